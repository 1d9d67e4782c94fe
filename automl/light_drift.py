"""A light measure of drift: the effect sizes of :mod:`automl.drift` on plain arrays, without Evidently.

Same sizes, same thresholds, milliseconds instead of seconds: a replay looks at drift hundreds of times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.columns import ColumnKind, Schema
from automl.drift import DriftRule

_OTHER = "(other)"
_NUMBERS = (ColumnKind.NUMERIC, ColumnKind.TEXT)
_QUANTILES = 512


def shift(
    reference: pd.DataFrame, current: pd.DataFrame, schema: Schema, rule: DriftRule, columns: Sequence[str]
) -> dict[str, Any]:
    """``share`` of the named columns that moved, the names of those (``drifted``, the most moved first), and each
    one's ``score`` and ``method`` under ``columns``. Frames are typed by the schema."""
    found: list[dict[str, Any]] = []
    for name in columns:
        kind = schema.by_name[name].kind
        old, new = reference[name], current[name]
        vanished = abs(float(new.isna().mean()) - float(old.isna().mean()))
        method, score = _score(old, new, kind, rule)
        value = vanished if score is None else score
        threshold = rule.threshold(method, reference=int(old.count()), current=int(new.count()))
        moved = value >= threshold or vanished >= rule.missing
        found.append(
            {"name": name, "method": method, "score": value, "by": value / threshold, "moved": moved}
        )
    drifted = sorted((one for one in found if one["moved"]), key=lambda one: -one["by"])
    return {
        "share": len(drifted) / len(found) if found else 0.0,
        "drifted": [one["name"] for one in drifted],
        "columns": [{name: one[name] for name in ("name", "method", "score")} for one in found],
    }


def _score(
    old: pd.Series[Any], new: pd.Series[Any], kind: ColumnKind, rule: DriftRule
) -> tuple[str, float | None]:
    before, after = old.dropna(), new.dropna()
    if kind is ColumnKind.DATETIME or not len(before) or not len(after):
        return "missing_share", None
    if kind in _NUMBERS:
        if kind is ColumnKind.TEXT:
            before, after = before.str.len(), after.str.len()
        return "wasserstein", _distance(before.to_numpy(dtype=np.float64), after.to_numpy(dtype=np.float64))
    return "jensenshannon", _divergence(before.astype(object), after.astype(object), rule)


def _distance(old: npt.NDArray[np.float64], new: npt.NDArray[np.float64]) -> float:
    """The Wasserstein distance in standard deviations of the old values, from evenly spread quantiles."""
    at = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    spread = float(old.std()) or abs(float(old.mean())) or 1.0
    return float(np.abs(np.quantile(old, at) - np.quantile(new, at)).mean() / spread)


def _divergence(old: pd.Series[Any], new: pd.Series[Any], rule: DriftRule) -> float:
    """The Jensen-Shannon distance of the shares, in nats as Evidently has it; the rarest categories count as one."""
    levels = int(np.clip(2 * rule.categorical**2 / (1 / len(old) + 1 / len(new)), 2, 50))
    kept = set(old.value_counts().index[:levels])
    shares = [values.where(values.isin(kept), _OTHER).value_counts(normalize=True) for values in (old, new)]
    both = pd.concat(shares, axis=1).fillna(0.0).to_numpy(dtype=np.float64)
    middle = both.mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(both > 0, both * np.log(both / middle[:, None]), 0.0)
    return float(np.sqrt(max(0.0, terms.sum() / 2)))
