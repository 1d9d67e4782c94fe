"""What contestants' results say together: ranks, losses to the best, seconds, and the aims they are measured by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from automl.metrics import metric
from benchmarks.markdown import print_table
from benchmarks.searching.data import Table

OURS, NAMED = "incumbent", "autogluon"
_NAMES = {"roc_auc": "ROC AUC", "log_loss": "log loss", "rmse": "RMSE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    table: Table
    contestant: str
    budget: float
    seed: int

    @property
    def key(self) -> str:
        return f"{self.table.name}/{self.contestant}/{self.budget:g}/{self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One contestant at one budget, over the tables that all contestants have done.

    ``mean_rank`` is among those asked for, a failure ranks last. ``loss`` is the mean distance to the table's best as
    a share of what that lies above chance (ROC AUC), or of the best's error; failures are left out of it.
    ``thousand_rows_ms`` is the median time that 1,000 rows take, ``times_ours`` the median of its ratio to ours on the
    same table.
    """

    budget: float
    contestant: str
    tables: int
    mean_rank: float
    loss: float
    failures: int
    seconds: float
    longest: float
    thousand_rows_ms: float
    times_ours: float


Results = Mapping[str, Mapping[str, Any]]


def standings(results: Results, jobs: Sequence[Job]) -> list[Standing]:
    """One for each contestant and budget."""
    return [
        _standing(results, [job for job in jobs if job.budget == budget], budget, name)
        for budget in sorted({job.budget for job in jobs})
        for name in dict.fromkeys(job.contestant for job in jobs)
    ]


def aims(results: Results, jobs: Sequence[Job]) -> list[tuple[str, str, str, bool]]:
    """At each budget: what is aimed at, the aim, what was found, and whether that reaches it."""
    found = []
    every = standings(results, jobs)
    for ours in (one for one in every if one.contestant == OURS and one.tables):
        others = [one for one in every if one.budget == ours.budget and one.contestant != OURS]
        best = min((one.mean_rank for one in others), default=math.inf)
        at, most = f"{ours.budget:g} s", 1.2 * ours.budget + 5
        found += [
            (f"{at}: mean rank", f"< {best:.2f}", f"{ours.mean_rank:.2f}", ours.mean_rank < best),
            (f"{at}: loss to the table's best", "≤ 2%", f"{ours.loss:.1%}", ours.loss <= 0.02),
            (f"{at}: failures", "0", f"{ours.failures}", not ours.failures),
            (f"{at}: longest, s", f"≤ {most:g}", f"{ours.longest:.1f}", ours.longest <= most),
        ]
        slow = next((one.times_ours for one in others if one.contestant == NAMED), None)
        if slow is not None:
            found.append((f"{at}: time of AutoGluon's predictions to ours", "≥ 5", f"{slow:.1f}", slow >= 5))
    return found


def show(results: Results, jobs: Sequence[Job]) -> None:
    """Prints the results as Markdown: each table, the standings, the aims."""
    names = list(dict.fromkeys(job.contestant for job in jobs))
    for budget in sorted({job.budget for job in jobs}):
        print(f"\n{budget:g} s\n")
        rows = [
            _cells(results, table, [job for job in jobs if (job.table, job.budget) == (table, budget)])
            for table in dict.fromkeys(job.table for job in jobs)
        ]
        print_table(("table", "measure", *names), rows)
        print()
        told = [one for one in standings(results, jobs) if one.budget == budget]
        head = (
            "contestant",
            "mean rank",
            "loss",
            "failures",
            "mean s",
            "longest s",
            "1,000 rows, ms",
            "to ours",
        )
        print_table((f"{told[0].tables} tables: {head[0]}", *head[1:]), [_line(one) for one in told])
    print()
    said = [
        (name, aim, value, "reached" if yes else "not reached")
        for name, aim, value, yes in aims(results, jobs)
    ]
    print_table(("", "aim", "found", ""), said)


def _standing(results: Results, jobs: Sequence[Job], budget: float, name: str) -> Standing:
    ranks, losses, ratios, done = [], [], [], list[Mapping[str, Any]]()
    for table in dict.fromkeys(job.table for job in jobs):
        at = {job.contestant: results.get(job.key) for job in jobs if job.table == table}
        told = {contestant: result for contestant, result in at.items() if result is not None}
        if len(told) < len(at):
            continue
        done.append(told[name])
        loss = _losses(told, table)
        mine, best = loss[name], min(loss.values())
        same = sum(each == mine for each in loss.values())
        ranks.append(1 + sum(each < mine for each in loss.values()) + 0.5 * (same - 1))
        if "score" not in told[name]:
            continue
        unit = -best - 0.5 if table.metric == "roc_auc" else abs(best)
        losses.append((mine - best) / max(unit, 1e-9))
        if "score" in told.get(OURS, {}):
            ratios.append(told[name]["thousand_rows_ms"] / told[OURS]["thousand_rows_ms"])
    good = [result for result in done if "score" in result]
    return Standing(
        budget=budget,
        contestant=name,
        tables=len(done),
        mean_rank=_of(fmean, ranks),
        loss=_of(fmean, losses),
        failures=len(done) - len(good),
        seconds=_of(fmean, [result["seconds"] for result in good]),
        longest=_of(max, [result["seconds"] for result in good]),
        thousand_rows_ms=_of(median, [result["thousand_rows_ms"] for result in good]),
        times_ours=_of(median, ratios),
    )


def _losses(told: Mapping[str, Mapping[str, Any]], table: Table) -> dict[str, float]:
    sign = -1.0 if metric(table.metric).greater_is_better else 1.0
    return {name: sign * result["score"] if "score" in result else math.inf for name, result in told.items()}


def _of(what: Any, values: Sequence[float]) -> float:
    return float(what(values)) if values else math.nan


def _cells(results: Results, table: Table, jobs: Sequence[Job]) -> list[str]:
    told = {job.contestant: results.get(job.key, {}) for job in jobs}
    loss = _losses(told, table)
    best = min(loss.values())
    cells = [table.name, _NAMES[table.metric]]
    for job in jobs:
        score = told[job.contestant].get("score")
        if score is None:
            cells.append("failed" if told[job.contestant] else "–")
            continue
        text = f"{score:,.0f}" if abs(score) >= 1_000 else f"{score:.4f}"
        cells.append(f"**{text}**" if loss[job.contestant] == best else text)
    return cells


def _line(one: Standing) -> list[str]:
    return [
        one.contestant,
        f"{one.mean_rank:.2f}",
        f"{one.loss:.1%}",
        f"{one.failures}",
        f"{one.seconds:.1f}",
        f"{one.longest:.1f}",
        f"{one.thousand_rows_ms:.1f}",
        f"{one.times_ours:.1f}",
    ]
