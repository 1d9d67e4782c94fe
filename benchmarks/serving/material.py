"""What every server gets alike: seeded rows, and the same trees in a pipeline of plain scikit-learn.

10 numbers (two of them sometimes missing) and 4 categories of 32 values become 140 features; 300 LightGBM trees
score them. Peers' environments import this module too, so it needs only numpy, and for :func:`plain_pipeline`
scikit-learn and LightGBM.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

NUMBERS = tuple(f"x{at}" for at in range(10))
CATEGORIES = tuple(f"c{at}" for at in range(4))
FEATURES = NUMBERS + CATEGORIES
TARGET = "bought"
CLASSES = ("no", "yes")
VALUES = 32
TRAIN_ROWS = 6_000
TREES: dict[str, Any] = {"n_estimators": 300, "num_leaves": 31, "random_state": 0, "n_jobs": 1, "verbose": -1}
FEATURE_COUNT = 140


def columns(count: int, seed: int) -> dict[str, list[Any]]:
    """Rows as columns, the target among them. The first 6,000 of seed 0 are what is learnt from."""
    random = np.random.default_rng(seed)
    numbers = {name: random.normal(size=count).round(4) for name in NUMBERS}
    codes = {name: random.integers(0, VALUES, count) for name in CATEGORIES}
    signal = numbers["x0"] + 0.5 * numbers["x1"] * numbers["x2"] + 0.3 * (codes["c0"] % 5) - 0.6
    bought = signal + 0.3 * random.normal(size=count) > 0
    table: dict[str, list[Any]] = {name: values.tolist() for name, values in numbers.items()}
    for name in NUMBERS[-2:]:
        gone = random.random(count) < 0.05
        table[name] = [None if missing else value for value, missing in zip(table[name], gone, strict=True)]
    table |= {name: [f"v{code}" for code in values] for name, values in codes.items()}
    table[TARGET] = [CLASSES[int(one)] for one in bought]
    return table


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Rows as a caller sends them: without the target."""
    table = columns(count, seed)
    return [
        dict(zip(FEATURES, values, strict=True))
        for values in zip(*(table[name] for name in FEATURES), strict=True)
    ]


def write_train(path: Path) -> None:
    """The training rows as CSV; its numbers read back exactly."""
    table = columns(TRAIN_ROWS, 0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*FEATURES, TARGET])
        writer.writerows(zip(*(table[name] for name in (*FEATURES, TARGET)), strict=True))


def plain_pipeline() -> Any:
    """The model as a user of scikit-learn writes it, unfitted."""
    from lightgbm import LGBMClassifier
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = Pipeline(
        [("impute", SimpleImputer(strategy="median", add_indicator=True)), ("scale", StandardScaler())]
    )
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5, sparse_output=False)
    encode = ColumnTransformer(
        [("numbers", numbers, list(NUMBERS)), ("one_hot", one_hot, list(CATEGORIES))], sparse_threshold=0.0
    )
    return Pipeline([("encode", encode), ("model", LGBMClassifier(**TREES))])


def fit_plain(train: Path) -> Any:
    """The plain pipeline, fitted on the rows of :func:`write_train`."""
    import pandas as pd

    frame = pd.read_csv(train, float_precision="round_trip")
    labels = (frame.pop(TARGET) == CLASSES[1]).astype(int)
    return plain_pipeline().fit(frame, labels)
