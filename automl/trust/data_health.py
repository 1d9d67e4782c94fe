"""The gate ``data_health``: are the rows fit to learn from and to judge by?

Columns that know the label, labels that are likely wrong, rows on both sides of the split, gaps and values that came new,
rows unlike all others. Everything is named, nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from automl.frames import typed
from automl.leaks import FROM, Leak, suspected_leaks
from automl.oddness import LEAST_ROWS, Oddness, measured
from automl.proportions import wilson
from automl.trust.changed_columns import Changed, changed_columns
from automl.trust.duplicates import Duplicates, duplicates
from automl.trust.examined import Examined, trust_gate
from automl.trust.exhibit import Exhibit, drawn
from automl.trust.label_review import LabelReview, reviewed
from automl.trust.mode import Mode

NAME = "data_health"
_NAMED = 3
_ODD_FROM = 0.99
_ODD_ROWS = 500
_MEASURED_BY = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DataHealthRule:
    """The limits; None tells a figure without holding anybody to it.

    ``leak_from``: what a column may score alone (ROC AUC, R²). ``max_label_errors``: the share of labels that is surely
    denied where a model can tell. ``max_shared_rows``: of the rows that judge, with an equal training row.
    ``max_missing_rise`` and ``max_unseen``: of a column, from the training rows to the newest, surely. ``max_odd``: of the
    newest rows, unlike all trained on.
    """

    mode: Mode = Mode.REPORT
    leak_from: float | None = FROM
    max_label_errors: float | None = 0.01
    max_shared_rows: float | None = 0.05
    max_missing_rise: float | None = 0.1
    max_unseen: float | None = 0.2
    max_odd: float | None = 0.1

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DataHealthRule:
        return cls(**{**data, "mode": Mode(data["mode"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Odd:
    """``odd`` of ``rows`` gate rows lie as far out as one training row of a hundred; ``columns`` counts them by what made
    them so."""

    rows: int
    odd: int
    columns: Mapping[str, int]


def data_health_gates(exhibit: Exhibit, rule: DataHealthRule) -> Examined:
    """One gate; its evidence says which checks ``failed``."""
    columns = [name for name in exhibit.features if name in exhibit.train]
    leaks = suspected_leaks(
        exhibit.train,
        exhibit.train_y,
        schema=exhibit.schema,
        task=exhibit.task,
        seed=exhibit.seed,
        least=rule.leak_from or FROM,
    )
    knowing = {leak.column for leak in leaks}
    labels = reviewed(exhibit, without=knowing if knowing < set(columns) else ())
    twice = duplicates(exhibit.train, exhibit.train_y, exhibit.whole, columns)
    changed = changed_columns(
        exhibit.train, exhibit.rows, exhibit.schema, columns, time_column=exhibit.task.time_column
    )
    odd = _odd(exhibit)
    faults = {
        "leakage": _leakage(exhibit, leaks, rule),
        "label_errors": _label_errors(labels, rule),
        "duplicates": _shared(twice, rule),
        "missing": _missing(changed, rule),
        "schema": _unseen(changed, rule),
        "outliers": _out(odd, rule),
    }
    failed = {name: fault for name, fault in faults.items() if fault is not None}
    new, gone = _columns_since(exhibit)
    evidence = {
        "failed": list(failed),
        "leaks": [leak.column for leak in leaks],
        "label_errors": None if labels is None else labels.share,
        "shared_rows": twice.share,
        "odd": None if odd is None else odd.odd / max(odd.rows, 1),
    }
    reason = "; ".join(failed.values()) or _sound(labels, twice)
    report = {
        "failed_checks": failed,
        "leaks": [{"column": leak.column, "score": leak.score, "reason": leak.reason} for leak in leaks],
        "label_errors": None if labels is None else labels.to_json(exhibit),
        "duplicates": twice.to_json(),
        "columns": [one.to_json() for one in changed],
        "columns_new": new,
        "columns_gone": gone,
        "outliers": None if odd is None else {"rows": odd.rows, "odd": odd.odd, "columns": dict(odd.columns)},
    }
    gate = trust_gate(NAME, mode=rule.mode, passed=not failed, reason=reason, evidence=evidence)
    return Examined(gates=(gate,), report=report)


def _sound(labels: LabelReview | None, twice: Duplicates) -> str:
    told = (
        "labels were not looked at" if labels is None else f"{labels.share:.1%} of the sure labels are denied"
    )
    return f"no column knows the label, {told}, {twice.share:.1%} of the holdout was trained on"


def _leakage(exhibit: Exhibit, leaks: Sequence[Leak], rule: DataHealthRule) -> str | None:
    """With ``non_inferior`` a column that the champion learnt from too is not held against the challenger."""
    if rule.leak_from is None:
        return None
    found = list(leaks)
    if rule.mode is Mode.NON_INFERIOR and exhibit.champion is not None:
        known = set(exhibit.champion.pipeline[0].features)
        found = [leak for leak in found if leak.column not in known]
    return " and ".join(leak.reason for leak in found[:_NAMED]) or None


def _label_errors(labels: LabelReview | None, rule: DataHealthRule) -> str | None:
    if labels is None or rule.max_label_errors is None:
        return None
    if _surely(labels.denied, labels.surest) <= rule.max_label_errors:
        return None
    return (
        f"a model denies {labels.share:.1%} of the labels it is surest of, surely more than the "
        f"{rule.max_label_errors:.1%} allowed: "
        f"{labels.suspected:,} of {labels.rows:,} looked at are to be reviewed"
    )


def _shared(twice: Duplicates, rule: DataHealthRule) -> str | None:
    if rule.max_shared_rows is None or not twice.telling or twice.share <= rule.max_shared_rows:
        return None
    return f"{twice.shared:,} of {twice.held:,} rows that judge ({twice.share:.1%}) are copies of rows trained on"


def _missing(changed: Sequence[Changed], rule: DataHealthRule) -> str | None:
    if rule.max_missing_rise is None:
        return None
    found = [one for one in changed if one.risen and one.rise > rule.max_missing_rise]
    told = [
        f"{one.column} is missing in {one.missing:.0%} of the newest rows, {one.missing_before:.0%} before"
        for one in found[:_NAMED]
    ]
    return " and ".join(told) or None


def _unseen(changed: Sequence[Changed], rule: DataHealthRule) -> str | None:
    if rule.max_unseen is None:
        return None
    looked = [one for one in changed if one.unseen_values is not None and one.values]
    found = [
        one
        for one in looked
        if _surely(one.unseen_values or 0, one.values, columns=len(looked)) > rule.max_unseen
    ]
    told = [
        f"{one.unseen:.0%} of the newest values of {one.column} lie outside of all trained on"
        for one in found[:_NAMED]
    ]
    return " and ".join(told) or None


def _out(odd: _Odd | None, rule: DataHealthRule) -> str | None:
    if odd is None or rule.max_odd is None or _surely(odd.odd, odd.rows) <= rule.max_odd:
        return None
    named = ", ".join(list(odd.columns)[:_NAMED])
    return f"{odd.odd / odd.rows:.0%} of the newest rows are unlike all trained on, mostly by {named}"


def _odd(exhibit: Exhibit) -> _Odd | None:
    columns = measured(exhibit.schema, exhibit.task)
    if len(exhibit.train) < LEAST_ROWS or not columns:
        return None
    train = exhibit.train.iloc[drawn(len(exhibit.train), _MEASURED_BY, seed=exhibit.seed)]
    rows = exhibit.rows.iloc[drawn(len(exhibit.rows), _ODD_ROWS, seed=exhibit.seed)]
    measure = Oddness.fit(typed(train, exhibit.schema), columns, seed=exhibit.seed)
    table = typed(rows, exhibit.schema)
    out = np.flatnonzero(measure.scores(table).score >= _ODD_FROM)
    counts: dict[str, int] = {}
    for why in measure.why(table.take(out)) if len(out) else ():
        if why:
            counts[why[0].column] = counts.get(why[0].column, 0) + 1
    return _Odd(rows=len(rows), odd=len(out), columns=dict(sorted(counts.items(), key=lambda one: -one[1])))


def _columns_since(exhibit: Exhibit) -> tuple[list[str], list[str]]:
    """Columns that the challenger learns from and the champion did not know, and the other way round."""
    if exhibit.champion is None:
        return [], []
    old, new = (list(model.pipeline[0].features) for model in (exhibit.champion, exhibit.challenger))
    return [name for name in new if name not in old], [name for name in old if name not in new]


def _surely(count: int, of: int, *, columns: int = 1) -> float:
    """The share that is reached with 95% confidence, over all ``columns`` together."""
    return wilson(count, of, alpha=0.1 / columns).lower
