"""What moved, how well each version answers, how fast, and what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from registry.records import DriftRecord, Project, QualityRecord
from registry.store import Registry
from service.api import energy
from service.api import monitoring as api
from service.api import probation as probations
from service.api.context import Context, Ctx, ProjectInPath
from service.attribution_watch import ATTRIBUTED
from service.dashboard import pictures
from service.dashboard.access import Looks
from service.dashboard.frame import PageRoute, page_of
from service.dashboard.latency import Latency, latency
from service.dashboard.trust_fairness import fairness_panel
from service.dashboard.turns import turn
from service.fairness_reports import newest
from service.forecasts.kind import is_forecasting
from service.forecasts.view import forecast_performance
from service.quality_windows import WINDOW

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_REPORTS = 40
_WINDOWS = 400
_DEPLOYMENTS = 8
_FORECASTS = 500
_METHODS = {
    "wasserstein": "distance in standard deviations",
    "jensenshannon": "distance of shares",
    "missing_share": "share that is missing",
}


@router.get("/projects/{project}/monitoring")
def monitoring_page(request: Request, context: Ctx, viewer: Looks, project: ProjectInPath) -> Response:
    with turn():
        registry = context.registry
        reports = registry.drift.list(project.id, limit=_REPORTS)
        windows = registry.quality.list(project.id, WINDOW, limit=_WINDOWS)
        timed = latency(context.metrics, project.name)
        return page_of(
            request,
            viewer,
            project,
            "monitoring.html",
            twin="/monitoring",
            seen=api.monitoring(project, context),
            drift=reports[0] if reports else None,
            shares=[one.share for one in reversed(reports)],
            columns=columns(reports[0]) if reports else [],
            methods=_METHODS,
            leaning=leaning(registry.quality.list(project.id, ATTRIBUTED, limit=_REPORTS)),
            forecasting=is_forecasting(project),
            came_true=came_true(registry, project),
            versions=by_version(windows),
            latency=timed,
            buckets=buckets(timed),
            refused=refused(context, project.name),
            trust=groups(registry, project),
            changes=registry.quality.list(project.id, "loss_change", limit=6),
            probation=probations.probation(project, context, limit=5),
            deployments=registry.ledger.deployments(project.id, limit=_DEPLOYMENTS),
            energy=energy.shown(context, project, limit=1),
            metric=str(project.task["metric"]),
        )


def groups(registry: Registry, project: Project) -> dict[str, Any]:
    """The panel of the newest look at the champion's groups, where there was one."""
    look = newest(registry, project)
    if look is None:
        return {}
    return {"fairness": fairness_panel(look.report, "newest answers whose truth has come")}


def came_true(registry: Registry, project: Project) -> list[dict[str, Any]]:
    """How good each version's newest forecasts were, the newest version first; nothing where rows are predicted."""
    if not is_forecasting(project):
        return []
    found = forecast_performance(registry, project, most=_FORECASTS)["by_version"]
    return sorted(found, key=lambda one: -one["version"])


def columns(report: DriftRecord) -> list[dict[str, Any]]:
    """The most moved first, each with its bar: how far, where it counts, and what is usual, on one scale."""
    found = report.report.get("columns") or ()
    ordered = sorted(found, key=lambda one: (not one["drifted"], -one["score"] / (one["threshold"] or 1)))
    return [{**one, **_bar(one)} for one in ordered]


def leaning(records: Sequence[QualityRecord]) -> dict[str, Any] | None:
    """What each column adds to an answer in the newest window, the most moved first, on one scale; and how far the most
    moved one was off, window by window."""
    if not records:
        return None
    newest = records[0].report
    most = max((max(one["before"], one["now"], one["effect"]) for one in newest["columns"]), default=0) or 1
    own = [one.score for one in reversed(records) if one.model_version == records[0].model_version]
    return {
        "at": records[0].at,
        "version": records[0].model_version,
        "rows": newest["rows"],
        "method": newest["method"],
        "threshold": newest["threshold"],
        "moved": newest["moved"],
        "effects": own,
        "columns": [
            {
                **one,
                "bar_before": round(100 * one["before"] / most, 2),
                "bar_now": round(100 * one["now"] / most, 2),
            }
            for one in newest["columns"]
        ],
    }


def _bar(one: Mapping[str, Any]) -> dict[str, float]:
    """Multiples of the threshold, three of them across; beyond that the bar is full."""
    unit = 100 / 3 / (one["threshold"] or 1)
    return {
        "bar": round(min(one["score"] * unit, 100), 2),
        "mark": round(100 / 3, 2),
        "usual_mark": round(min(one["usual"] * unit, 100), 2),
    }


def by_version(windows: Sequence[QualityRecord]) -> list[dict[str, Any]]:
    """What each version did live, the newest first, beside what it was promoted with."""
    found = []
    for version in sorted({one.model_version for one in windows}, reverse=True):
        mine = [one for one in reversed(windows) if one.model_version == version]
        rows = sum(int(one.report["rows"]) for one in mine)
        found.append(
            {
                "version": version,
                "rows": rows,
                "live": sum(one.score * int(one.report["rows"]) for one in mine) / rows,
                "promised": mine[-1].reference,
                "scores": [one.score for one in mine][-60:],
            }
        )
    return found


def buckets(timed: Latency) -> dict[str, Any] | None:
    """The histogram's bars from the first bucket with a call to the last."""
    called = [place for place, (_, calls) in enumerate(timed.buckets) if calls]
    if not called:
        return None
    shown = timed.buckets[called[0] : called[-1] + 1]
    return {
        **pictures.bars([calls for _, calls in shown], width=320, height=72, gap=3),
        "bounds": [bound for bound, _ in shown],
    }


def refused(context: Context, project: str) -> list[tuple[str, int]]:
    """Prediction calls that were refused since this process started, by reason, the most first."""
    counts: Counter[str] = Counter()
    for code, value in _samples(context, project):
        counts[code] += int(value)
    return counts.most_common()


def _samples(context: Context, project: str) -> Iterable[tuple[str, float]]:
    for family in context.metrics.refused.collect():
        for sample in family.samples:
            if sample.name.endswith("_total") and sample.labels.get("project") == project:
                yield sample.labels["code"], sample.value
