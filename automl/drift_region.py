"""Where the rows have moved: how much each one looks like it came from the newer rows, not from the reference."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from automl.tallies import Values

LEAST_ROWS = 30


def moved(reference: npt.NDArray[np.float64], pool: npt.NDArray[np.float64], *, seed: int) -> Values:
    """For each row of ``pool`` from 0 (as any row of the reference) to 1 (no row there is like it).

    A domain classifier's probability, out of fold and with both sides of equal weight, above the 0.5 that says
    nothing. All 0 where either side has fewer than LEAST_ROWS. Both are numeric matrices without gaps.
    """
    # Late: the server has this at hand, and must not wait for scikit-learn before it answers.
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    if min(len(reference), len(pool)) < LEAST_ROWS:
        return np.zeros(len(pool))
    X = np.concatenate([reference, pool])
    y = np.concatenate([np.zeros(len(reference)), np.ones(len(pool))])
    model = LogisticRegression(class_weight="balanced", C=0.1, max_iter=500)
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    of_pool = cross_val_predict(model, X, y, cv=folds, method="predict_proba")[len(reference) :, 1]
    return np.asarray(np.clip(2.0 * of_pool - 1.0, 0.0, 1.0), dtype=np.float64)
