"""Small real problems, and a policy that does not keep a test waiting."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer

FAST: dict[str, Any] = {
    "triggers": {
        "schedule": None,
        "new_labels": {"count": 150},
        "drift": {"window": 100, "action": "annotate"},
    },
    "cooldown": "PT0S",
    "min_fresh_labels": 50,
    "search": {"budget_seconds": 12, "engines": {"flaml": 0.5, "tpot": 0.5}},
    "gates": {"max_latency_ms": 2000},
    "refit": False,  # one version a promotion is easier to tell
}


def tumours() -> pd.DataFrame:
    data = load_breast_cancer(as_frame=True)
    frame = data.frame.iloc[:, :8].round(4)
    frame["note"] = np.where(frame["mean radius"] > 14, "large and irregular border", "small smooth border")
    frame.loc[::9, "mean texture"] = np.nan
    frame["diagnosis"] = np.where(data.target == 1, "benign", "malignant")
    return frame.sample(frac=1, random_state=0).reset_index(drop=True)


def csv(frame: pd.DataFrame) -> bytes:
    out = io.StringIO()
    frame.to_csv(out, index=False)
    return out.getvalue().encode()


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    plain = frame.astype(object).where(frame.notna(), None)
    return plain.to_dict("records")
