"""Where the looks at groups are kept, and what is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry.records import Project, QualityRecord
from registry.store import Registry
from service.forecasts.kind import is_forecasting
from service.policy import Policy
from service.trust_reports import trust_report

FAIRNESS = "fairness"
"""The kind of these reports: ``score`` is the gap nearest to, or furthest beyond, its limit, ``reference`` that limit (0
where no gap could be judged)."""
EXCEEDED = "incumbent.fairness.exceeded"


def newest(registry: Registry, project: Project) -> QualityRecord | None:
    """The newest look at the champion."""
    if project.champion is None:
        return None
    found = registry.quality.list(project.id, FAIRNESS, limit=1, model_version=project.champion)
    return found[0] if found else None


def gaps_of(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All gaps of a report, column by column."""
    return [one for column in report["columns"] for one in column["gaps"]]


def audited_columns(project: Project) -> tuple[str, ...]:
    """The columns whose groups are looked at: the sensitive ones, and the features that the policy names."""
    rule = Policy.stored(project.policy).gates.trust.fairness
    sensitive = tuple(project.task.get("sensitive") or ())
    if rule is None or is_forecasting(project):
        return ()
    return (*sensitive, *(name for name in rule.columns if name not in sensitive))


def judged_report(registry: Registry, project: Project) -> dict[str, Any] | None:
    """What was found of the champion's groups when it was judged."""
    if project.champion is None:
        return None
    report = trust_report(registry, registry.models.get(project.id, project.champion)) or {}
    found: dict[str, Any] | None = report.get("fairness")
    return found if found and "columns" in found else None


def fairness(registry: Registry, project: Project, *, limit: int = 20) -> dict[str, Any]:
    """The champion's groups as they were judged, and live: the newest look whole, and the gaps of those before."""
    looks: tuple[QualityRecord, ...] = ()
    if project.champion is not None:
        looks = registry.quality.list(project.id, FAIRNESS, limit=limit, model_version=project.champion)
    columns = audited_columns(project)
    return {
        "columns": list(columns),
        "champion": project.champion,
        "judged": judged_report(registry, project),
        "live": None if not looks else {"at": looks[0].at, **looks[0].report},
        "looks": [{"at": one.at, "rows": one.report["rows"], "gaps": gaps_of(one.report)} for one in looks],
        "because": _because(project, columns, bool(looks)),
    }


def _because(project: Project, columns: tuple[str, ...], looked: bool) -> str | None:
    """Why there is no live look."""
    if looked:
        return None
    rule = Policy.stored(project.policy).gates.trust.fairness
    if rule is None or is_forecasting(project):
        return (
            "forecasts are not audited"
            if is_forecasting(project)
            else "the policy turns gates.trust.fairness off"
        )
    if not columns:
        return "no column is audited: name sensitive ones when a project is made, or gates.trust.fairness.columns"
    if project.champion is None:
        return "there is no champion yet"
    return f"the truth of fewer than {rule.min_rows:,} answers of the champion has come"
