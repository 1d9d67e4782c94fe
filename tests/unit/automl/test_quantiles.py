"""The compiled QuantileTransformer gives scikit-learn's own numbers, to the last bit."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.preprocessing import QuantileTransformer

from automl.compiled.quantiles import Quantiles


@pytest.mark.parametrize("shape", ["uniform", "normal"])
@pytest.mark.parametrize("count", [10, 100, 500])
def test_every_value_becomes_what_scikit_learn_makes_of_it(shape: str, count: int) -> None:
    random = np.random.default_rng(0)
    trained = np.column_stack(
        [
            random.normal(size=600),
            random.poisson(1.0, 600),  # quantiles that repeat
            random.lognormal(3.0, 2.0, 600) * 1e6,
            np.zeros(600),
        ]
    )
    step = QuantileTransformer(n_quantiles=count, output_distribution=shape, random_state=0).fit(trained)
    ends = np.vstack([trained.min(axis=0), trained.max(axis=0)])
    near = np.vstack([ends - 1e-8, ends + 1e-8, ends - 1e-6, ends + 1e-6])
    gaps = np.full((1, 4), np.nan)
    rows = np.vstack([trained, ends, near, ends * 1e9, -ends * 1e9, random.normal(size=(200, 4)), gaps])
    made = pickle.loads(pickle.dumps(Quantiles(step)))
    np.testing.assert_array_equal(made(rows), step.transform(rows))
    np.testing.assert_array_equal(made(rows[:1]), step.transform(rows[:1]))
