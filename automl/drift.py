"""Have the rows changed? Evidently's answer, by one pinned effect size per kind of column.

Both windows have fixed sizes and the methods never depend on them, so a score means the same on every day. A
column drifted when its effect is large enough to matter *and* more than chance would make: its p-value comes
from permuting the rows (:mod:`automl.distances`), and false discoveries among the columns are held at a share q
(Benjamini & Hochberg 1995). A classifier of old against new rows looks at all columns together.

The only file that imports evidently, and only when a report is made: the import takes seconds and some
285 MB, so call this outside the serving process.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from automl.distances import Chance, Distance, adjusted, by_chance
from automl.domain import JointRule, domain
from automl.drift_columns import MISSING_SHARE, WASSERSTEIN, ComparedColumn, compared, own_distances
from automl.drift_report import ColumnDrift, DriftReport, DriftRule
from automl.errors import AutoMLError
from automl.schema import Schema

__all__ = [
    "ColumnDrift",
    "DriftReport",
    "DriftRule",
    "DriftShapeError",
    "JointRule",
    "drift",
    "measured",
    "own_distances",
]

Measure = Callable[[Mapping[str, ComparedColumn]], dict[str, float]]
"""The pinned distance of each column, by name."""

BY_EVIDENTLY = 60
"""Evidently takes some 0.1 s a column: the first 60 are its; further ones get the same distances from
:mod:`automl.drift_columns`, so that a table of a thousand columns is done in time too."""
_WANTED_CELLS = 400_000_000
_MOST_CELLS = 1_000_000_000
"""Rows times draws times columns: some four seconds of a core, and some ten."""


class DriftShapeError(AutoMLError):
    """Evidently's result is not of the shape that this file was written for; the message says where."""


def drift(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    schema: Schema,
    rule: DriftRule,
    *,
    seed: int,
    columns: Sequence[str] | None = None,
    measure: Measure | None = None,
) -> DriftReport:
    """Compare the newest rows with those a model was trained on. Rows come oldest first, typed by the schema.

    ``columns`` are those to compare (the task's features, say); all of the schema's by default. A column
    absent from a frame counts as missing throughout. ``measure`` replaces Evidently. Raises ValueError where the
    rule lacks rows or names no column, DriftShapeError where evidently answers in an unknown shape.
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
    newest = current.tail(rule.window)
    if len(newest) > rule.reference_rows:
        newest = newest.sample(n=rule.reference_rows, random_state=seed).sort_index()
    new = newest.reindex(columns=list(kinds)).reset_index(drop=True)
    ready = {
        name: compared(name, kind, old[name], new[name], threshold=rule.categorical)
        for name, kind in kinds.items()
    }
    scores = (measure or measured)({n: each for n, each in ready.items() if each.method != MISSING_SHARE})
    found = _judged(ready, scores, rule, seed)
    share = sum(column.drifted for column in found) / len(found)
    return DriftReport(
        share=share,
        drifted=share >= rule.share,
        columns=found,
        rows_reference=len(old),
        rows_current=len(new),
        rule=rule,
        joint=None if rule.joint is None else domain(list(ready.values()), rule.joint, seed=seed),
    )


def measured(columns: Mapping[str, ComparedColumn]) -> dict[str, float]:
    """Evidently's distances of the first columns, the same ones without it of any further."""
    names = list(columns)
    first = {name: columns[name] for name in names[:BY_EVIDENTLY]}
    return {**by_evidently(first), **own_distances({name: columns[name] for name in names[BY_EVIDENTLY:]})}


def _judged(
    ready: Mapping[str, ComparedColumn], scores: Mapping[str, float], rule: DriftRule, seed: int
) -> tuple[ColumnDrift, ...]:
    score = {name: scores.get(name, column.vanished) for name, column in ready.items()}
    large = {
        name
        for name, column in ready.items()
        if score[name] >= rule.threshold(column.method) or column.vanished >= rule.missing
    }
    chances = {name: _chance(parts) for name, parts in _chances(ready, large, rule, seed).items()}
    q_values = adjusted(np.array([chances[name].p_value for name in ready]))
    return tuple(
        ColumnDrift(
            name=name,
            kind=column.kind,
            method=column.method,
            score=score[name],
            threshold=rule.threshold(column.method),
            drifted=name in large and bool(q_value <= rule.q),
            missing_reference=column.missing[0],
            missing_current=column.missing[1],
            usual=chances[name].usual,
            p_value=chances[name].p_value,
            q_value=float(q_value),
        )
        for (name, column), q_value in zip(ready.items(), q_values, strict=True)
    )


def _chances(
    ready: Mapping[str, ComparedColumn], large: set[str], rule: DriftRule, seed: int
) -> dict[str, list[Chance]]:
    """By column, what chance would do to its values and to its missing share.

    Few draws do for columns whose effect is too small to count. The others get as many as it takes for their
    p-values to pass the adjustment when none of the draws reaches them.
    """
    any_column = next(iter(ready.values()))
    sizes = {"reference": len(any_column.old), "current": len(any_column.new)}
    draws = {True: _draws(len(ready), len(large), sum(sizes.values()), rule), False: rule.draws}
    found: dict[str, list[Chance]] = {name: [] for name in ready}
    for is_large in (True, False):
        distances: dict[str, Distance] = {}
        for name, column in ready.items():
            if (name in large) == is_large:
                parts = (("values", column.values_distance()), ("missing", column.missing_distance()))
                distances |= {f"{part} {name}": one for part, one in parts if one is not None}
        if distances:
            answers = by_chance(distances, **sizes, draws=draws[is_large], seed=seed)
            for key, chance in answers.items():
                found[key.partition(" ")[2]].append(chance)
    return found


def _draws(columns: int, large: int, rows: int, rule: DriftRule) -> int:
    """Draws for the ``large`` columns: so many that all of them pass the adjustment at q if none of the draws
    reaches them (both of a column's tests counted), two and a half times that where it is cheap."""
    needed = math.ceil(2 * columns / (rule.q * max(large, 1)))
    cells = max(large, 1) * rows
    affordable = min(5 * needed // 2, _WANTED_CELLS // cells)
    return max(rule.draws, min(max(needed, affordable), _MOST_CELLS // cells))


def _chance(parts: Sequence[Chance]) -> Chance:
    """One answer for a column: its values' or its missing share's, whichever is the less likely (Bonferroni)."""
    if not parts:
        return Chance(p_value=1.0, usual=0.0, draws=0)
    least = min(each.p_value for each in parts)
    return Chance(p_value=min(1.0, least * len(parts)), usual=parts[0].usual, draws=parts[0].draws)


def by_evidently(columns: Mapping[str, ComparedColumn]) -> dict[str, float]:
    """The pinned distance of each column, by the real Evidently."""
    if not columns:
        return {}
    # the caller's names never reach evidently: they would end in its HTML and its fingerprints
    aliases = {f"c{i}": name for i, name in enumerate(columns)}
    methods = {alias: columns[name].method for alias, name in aliases.items()}
    result = _evidently(
        pd.DataFrame({alias: columns[name].old for alias, name in aliases.items()}),
        pd.DataFrame({alias: columns[name].new for alias, name in aliases.items()}),
        methods,
    )
    return {aliases[alias]: score for alias, score in _read(result, methods).items()}


def _evidently(old: pd.DataFrame, new: pd.DataFrame, methods: Mapping[str, str]) -> Mapping[str, Any]:
    os.environ["DO_NOT_TRACK"] = "1"  # read at import: evidently reports its use otherwise
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    numbers = [alias for alias, method in methods.items() if method == WASSERSTEIN]
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
