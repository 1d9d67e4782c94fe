"""How the champion's own answers treat the groups of sensitive columns, now that their truth has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from automl.judge import spent_alpha
from automl.schema import Schema, frame
from automl.task import Task
from automl.trust.audit import Audit, FairnessRule, Judged, audit_report, audited
from automl.trust.fairness_words import exceeding
from automl.trust.groups import groupings
from registry.records import Project, QualityRecord
from registry.store import Registry
from service.fairness_reports import EXCEEDED, FAIRNESS, gaps_of, newest
from service.performance import answers_and_truths
from service.trust_fairness import Fairness
from service.trust_reports import trust_report


def fairness_rule(policy: Fairness) -> FairnessRule:
    return FairnessRule.from_json(policy.model_dump(mode="json"))


def look(
    registry: Registry, project: Project, policy: Fairness, *, truths: int, now: datetime
) -> QualityRecord | None:
    """Keep a report on the champion's newest answers with truth, and raise an event for each gap that is surely too
    wide and was not in the look before. None, and nothing is kept, while there are too few.

    Groups are those that the champion was judged by. Each look at one champion spends a part of ``alpha``, so that
    looking often does not raise alarms.
    """
    seen = _answered(registry, project, policy)
    if seen is None or project.champion is None:
        return None
    scored, rows = seen
    task, schema, rule = (
        Task.from_json(project.task),
        Schema.from_json(project.schema or {}),
        fairness_rule(policy),
    )
    before = newest(registry, project)
    number = 1 if before is None else int(before.report["look"]) + 1
    names = [name for name in rule.audited(task) if name in schema.by_name]
    table = frame(rows, schema)
    groups = groupings(
        table,
        schema,
        names,
        bins=rule.bins,
        crossed=rule.intersections,
        edges=_edges(registry, project, before),
    )
    y, answers = answers_and_truths(scored, task, schema)
    spent = replace(rule, alpha=spent_alpha(rule.alpha, number))
    audit = audited({"champion": answers}, table, y, groups, task, spent, seed=project.epoch)
    noted = {"look": number, "truths": truths, "from": scored["at"][0].as_py().isoformat()}
    report = {**audit_report(audit, spent), **noted, "to": scored["at"][-1].as_py().isoformat()}
    nearest = max(_with_limit(audit), key=lambda one: one.ours.value - (one.limit or 0.0), default=None)
    kept = registry.quality.add(
        project.id,
        model_version=project.champion,
        kind=FAIRNESS,
        score=0.0 if nearest is None else nearest.ours.value,
        reference=0.0 if nearest is None else nearest.limit or 0.0,
        report=report,
        at=now,
    )
    _tell(registry, project, audit, before, now)
    return kept


def _answered(registry: Registry, project: Project, policy: Fairness) -> tuple[pa.Table, pa.Table] | None:
    """The champion's newest answers with their truth since it reigns, and the rows they are about, in the same order."""
    reign = registry.ledger.promotions(project.id, limit=1)
    if not reign:
        return None
    scored = registry.datasets.scored(project.id, since=reign[0].at, limit=policy.window)
    scored = scored.filter(pc.equal(scored["model_version"], project.champion))
    if scored.num_rows < policy.min_rows:
        return None
    rows = registry.datasets.rows(project.id, scored["_row_id"].to_pylist())
    place = pc.index_in(scored["_row_id"], rows["_row_id"].combine_chunks())
    known = pc.is_valid(place)
    return scored.filter(known), rows.take(place.filter(known))


def _edges(
    registry: Registry, project: Project, before: QualityRecord | None
) -> dict[str, tuple[float, ...] | None]:
    """How the columns were cut when the champion was judged, or else at the first look at it."""
    report: Mapping[str, Any] | None = None
    if project.champion is not None:
        judged = trust_report(registry, registry.models.get(project.id, project.champion)) or {}
        report = judged.get("fairness")
    if not (report and report.get("columns")):
        report = None if before is None else before.report
    columns: Sequence[Mapping[str, Any]] = () if report is None else report["columns"]
    return {
        one["column"]: None if one["edges"] is None else tuple(one["edges"])
        for one in columns
        if len(one["columns"]) == 1
    }


def _with_limit(audit: Audit) -> list[Judged]:
    return [one for one in audit.judged if one.limit is not None]


def _tell(
    registry: Registry, project: Project, audit: Audit, before: QualityRecord | None, now: datetime
) -> None:
    known = set()
    if before is not None:
        known = {(one["column"], one["measure"]) for one in gaps_of(before.report) if one["exceeds"]}
    for one in _with_limit(audit):
        if not one.exceeds or (one.grouping.name, one.ours.measure) in known:
            continue
        sure = one.ours.surest
        data = {
            "project": project.name,
            "model_version": project.champion,
            "column": one.grouping.name,
            "measure": one.ours.measure,
            "figure": sure.figure.name,
            "class": sure.figure.label,
            "groups": list(sure.groups),
            "gap": sure.value,
            "at_least": sure.low,
            "limit": one.limit,
            "rows": audit.rows,
            "reason": f"on the newest {audit.rows:,} answers with truth {exceeding([one])}",
        }
        registry.ledger.emit(EXCEEDED, data, project_id=project.id, at=now)
