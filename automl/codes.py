"""Categories as whole numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

UNSEEN = -1


class Codes(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Each category's position among those of training, in ascending order; missing comes last.

    A value that training did not have, a missing one too, is UNSEEN. Does what scikit-learn's OrdinalEncoder
    does, but keeps its look-up between calls: that makes it quick for one row and thousands of categories.
    """

    def fit(self, X: pd.DataFrame, y: object = None) -> Codes:
        self.codes_: dict[str, Mapping[str | None, int]] = {}
        for name in X.columns:
            values = X[name]
            known: list[str | None] = sorted(values.dropna().unique().tolist())
            if values.isna().any():
                known.append(None)
            self.codes_[str(name)] = {value: code for code, value in enumerate(known)}
        return self

    def transform(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        check_is_fitted(self, "codes_")
        coded = np.empty((len(X), len(self.codes_)))
        for position, (name, codes) in enumerate(self.codes_.items()):
            values = X[name].array.__arrow_array__().to_pylist()  # plain text, and None for missing
            coded[:, position] = [codes.get(value, UNSEEN) for value in values]
        return coded

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        return np.array(list(self.codes_), dtype=object)
