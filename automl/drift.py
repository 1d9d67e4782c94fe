"""Have the rows changed? Evidently's answer, by one pinned effect size per kind of column.

Both windows have fixed sizes and the methods never depend on them, so a score means the same on every day.
The only file that imports evidently, and only when a report is made: the import takes seconds and some
285 MB, so call this outside the serving process.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from automl.errors import AutoMLError
from automl.schema import ColumnKind, Schema

_VALUE_METHODS: Mapping[ColumnKind, str] = {
    ColumnKind.NUMERIC: "wasserstein",
    ColumnKind.CATEGORICAL: "jensenshannon",
    ColumnKind.BOOLEAN: "jensenshannon",
    ColumnKind.TEXT: "wasserstein",
}
"""Text is compared by its length. Dates move by themselves, so of them only the missing share is compared."""
_MISSING_SHARE = "missing_share"
_OTHER = "(other)"
_LARGEST = 1e150


class DriftShapeError(AutoMLError):
    """Evidently's result is not of the shape that this file was written for; the message says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRule:
    """What is compared, and from where on it counts.

    The newest ``window`` rows against a sample of at most ``reference_rows`` (at least ``min_reference``).
    ``numeric`` is a Wasserstein distance in standard deviations of the reference, ``categorical`` a
    Jensen-Shannon distance, ``missing`` a difference of missing shares. The whole drifts when at least
    ``share`` of the columns do. Few values are noisy ones, so a number also has to move by ``chance``
    standard errors of the difference of two means: 0.121 for full windows, 0.192 for 500 rows of reference.
    """

    window: int = 1000
    reference_rows: int = 5000
    min_reference: int = 500
    share: float = 0.3
    numeric: float = 0.1
    categorical: float = 0.1
    missing: float = 0.1
    chance: float = 3.5

    def lacking(self, *, reference: int, current: int) -> str | None:
        """Why rows of these numbers can't be compared yet, or None."""
        if current < self.window:
            return f"a full window of {self.window:,} rows is needed, {current:,} are there"
        if reference < self.min_reference:
            return f"a reference of at least {self.min_reference:,} rows is needed, {reference:,} are there"
        return None

    def threshold(self, method: str, *, reference: int, current: int) -> float:
        """From where on a score of this method counts, for so many values in the windows."""
        if method == "wasserstein":
            return max(self.numeric, self.chance * math.sqrt(1 / reference + 1 / current))
        return self.categorical if method == "jensenshannon" else self.missing


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """One column. It drifted when ``score`` or the change of its missing share reached its threshold.

    ``method`` is ``missing_share`` where values are not compared: dates, and columns with no value in one
    of the windows.
    """

    name: str
    kind: ColumnKind
    method: str
    score: float
    threshold: float
    drifted: bool
    missing_reference: float
    missing_current: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """Evidence, not a decision. ``share`` is that of drifted columns; ``drifted``: it reaches the rule's."""

    share: float
    drifted: bool
    columns: tuple[ColumnDrift, ...]
    rows_reference: int
    rows_current: int
    rule: DriftRule

    @property
    def drifted_columns(self) -> tuple[str, ...]:
        """Their names, the most changed first."""
        changed = [column for column in self.columns if column.drifted]
        return tuple(column.name for column in sorted(changed, key=lambda each: -each.score / each.threshold))

    def to_json(self) -> dict[str, Any]:
        return {
            "share": self.share,
            "drifted": self.drifted,
            "columns": [{**asdict(column), "kind": column.kind.value} for column in self.columns],
            "rows_reference": self.rows_reference,
            "rows_current": self.rows_current,
            "rule": asdict(self.rule),
        }


def drift(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    schema: Schema,
    rule: DriftRule,
    *,
    seed: int,
    columns: Sequence[str] | None = None,
) -> DriftReport:
    """Compare the newest rows with those a model was trained on. Rows come oldest first, typed by the schema.

    ``columns`` are those to compare (the task's features, say); all of the schema's by default. A column
    absent from a frame counts as missing throughout. Raises ValueError where the rule lacks rows or names
    no column, DriftShapeError where evidently answers in an unknown shape.
    """
    lacking = rule.lacking(reference=len(reference), current=len(current))
    if lacking is not None:
        raise ValueError(lacking)
    kinds = {
        column.name: column.kind for column in schema.columns if columns is None or column.name in columns
    }
    if not kinds:
        raise ValueError("no column to compare")
    if len(reference) > rule.reference_rows:
        reference = reference.sample(n=rule.reference_rows, random_state=seed)
    old = reference.reindex(columns=list(kinds)).reset_index(drop=True)
    new = current.tail(rule.window).reindex(columns=list(kinds)).reset_index(drop=True)
    scores = _value_scores(old, new, kinds, rule)
    found = tuple(
        _column(name, kind, old[name], new[name], scores.get(name), rule) for name, kind in kinds.items()
    )
    share = sum(column.drifted for column in found) / len(found)
    return DriftReport(
        share=share,
        drifted=share >= rule.share,
        columns=found,
        rows_reference=len(old),
        rows_current=len(new),
        rule=rule,
    )


def _column(
    name: str,
    kind: ColumnKind,
    old: pd.Series[Any],
    new: pd.Series[Any],
    score: float | None,
    rule: DriftRule,
) -> ColumnDrift:
    before, after = float(old.isna().mean()), float(new.isna().mean())
    vanished = abs(after - before)
    method = _MISSING_SHARE if score is None else _VALUE_METHODS[kind]
    value = vanished if score is None else score
    threshold = rule.threshold(method, reference=int(old.count()), current=int(new.count()))
    return ColumnDrift(
        name=name,
        kind=kind,
        method=method,
        score=value,
        threshold=threshold,
        drifted=value >= threshold or vanished >= rule.missing,
        missing_reference=before,
        missing_current=after,
    )


def _value_scores(
    old: pd.DataFrame, new: pd.DataFrame, kinds: Mapping[str, ColumnKind], rule: DriftRule
) -> dict[str, float]:
    """The pinned effect size of each column whose values can be compared."""
    ready: dict[str, tuple[pd.Series[Any], pd.Series[Any]]] = {}
    for name, kind in kinds.items():
        if kind in _VALUE_METHODS and old[name].notna().any() and new[name].notna().any():
            levels = _levels(int(old[name].count()), int(new[name].count()), rule.categorical)
            ready[name] = _prepared(old[name], new[name], kind, levels)
    if not ready:
        return {}
    # the caller's names never reach evidently: they would end in its HTML and its fingerprints
    aliases = {f"c{i}": name for i, name in enumerate(ready)}
    methods = {alias: _VALUE_METHODS[kinds[name]] for alias, name in aliases.items()}
    result = _evidently(
        pd.DataFrame({alias: ready[name][0] for alias, name in aliases.items()}),
        pd.DataFrame({alias: ready[name][1] for alias, name in aliases.items()}),
        methods,
    )
    return {aliases[alias]: score for alias, score in _read(result, methods).items()}


def _levels(reference: int, current: int, threshold: float) -> int:
    """How many categories can be told apart by windows of these sizes.

    Without any change the squared Jensen-Shannon distance of k categories is about (k - 1) / 8 · (1/n + 1/m).
    So many are kept that this stays at a quarter of the threshold's square; the rarest are one category.
    """
    return int(np.clip(2 * threshold**2 / (1 / reference + 1 / current), 2, 50))


def _prepared(
    old: pd.Series[Any], new: pd.Series[Any], kind: ColumnKind, levels: int
) -> tuple[pd.Series[Any], pd.Series[Any]]:
    if kind is ColumnKind.TEXT:
        old, new = (values.map(len, na_action="ignore") for values in (old, new))
    if kind in (ColumnKind.TEXT, ColumnKind.NUMERIC):
        old, new = (values.astype("float64").clip(-_LARGEST, _LARGEST) for values in (old, new))
        # evidently divides by the deviation, but never by less than 0.001: small units would hide a change
        middle, spread = float(old.mean()), float(old.std(ddof=0))
        if spread <= 1e-12 * abs(middle):  # all the same but for rounding
            spread = abs(middle)
        spread = spread or 1.0
        return (old - middle) / spread, (new - middle) / spread
    old, new = (values.astype(object).map(str, na_action="ignore") for values in (old, new))
    kept = set(old.value_counts().index[:levels])
    return tuple(  # type: ignore[return-value]
        values.where(values.isna() | values.isin(kept), _OTHER).astype(object) for values in (old, new)
    )


def _evidently(old: pd.DataFrame, new: pd.DataFrame, methods: Mapping[str, str]) -> Mapping[str, Any]:
    os.environ["DO_NOT_TRACK"] = "1"  # read at import: evidently reports its use otherwise
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    numbers = [alias for alias, method in methods.items() if method == "wasserstein"]
    definition = DataDefinition(
        numerical_columns=numbers, categorical_columns=[alias for alias in methods if alias not in numbers]
    )
    asked = [ValueDrift(column=alias, method=method) for alias, method in methods.items()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        snapshot = Report(asked).run(
            Dataset.from_pandas(new, data_definition=definition),
            Dataset.from_pandas(old, data_definition=definition),
        )
        result: Mapping[str, Any] = snapshot.dict()
    return result


def _read(result: Mapping[str, Any], methods: Mapping[str, str]) -> dict[str, float]:
    """The score of each column, by name. Anything unexpected in the result is said, never guessed."""
    scores: dict[str, float] = {}
    try:
        for entry in result["metrics"]:
            column, method, value = entry["config"]["column"], entry["config"]["method"], entry["value"]
            if methods.get(column) != method:
                raise DriftShapeError(f"evidently answered {method!r} for {column!r}, which was not asked")
            scores[column] = float(value)
    except (KeyError, TypeError, ValueError) as error:
        raise DriftShapeError(f"evidently's result has an unknown shape: {error!r}") from error
    missing = [column for column in methods if not math.isfinite(scores.get(column, math.nan))]
    if missing:
        raise DriftShapeError(f"evidently gave no score for {len(missing)} of {len(methods)} columns")
    return scores
