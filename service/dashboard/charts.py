"""What the charts of a page draw, as plain numbers: times in seconds since 1970, None where there is nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from registry.records import Promotion, QualityRecord, TrialRecord
from registry.traffic import Slice
from service.dashboard import words

_BAND = 1.96
_SLICES = 60
_LENGTHS = (10, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 86_400)


@dataclass(frozen=True, slots=True)
class _Point:
    at: float
    values: Mapping[str, float | None]


def quality(
    windows: Sequence[QualityRecord],
    estimates: Sequence[QualityRecord],
    promotions: Iterable[Promotion],
    *,
    metric: str,
) -> dict[str, Any]:
    """Live windows with their 95% band, estimates with theirs, and what the champion of the time was promoted with;
    oldest first. Promotions are marks where they fall between the first point and the last."""
    points = [_window(one) for one in windows] + [_estimate(one) for one in estimates]
    points.sort(key=lambda point: point.at)
    x = [point.at for point in points]
    names = ("live", "live_low", "live_high", "estimate", "estimate_low", "estimate_high", "promise")
    inside = [one for one in promotions if x and x[0] <= one.at.timestamp() <= x[-1]]
    return {
        "kind": "quality",
        "x": x,
        **{name: [point.values.get(name) for point in points] for name in names},
        "marks": [
            {"x": one.at.timestamp(), "label": f"v{one.to_version}", "kind": one.kind.value} for one in inside
        ],
        "metric": words.metric_name(metric),
    }


def search(
    trials: Sequence[TrialRecord], started: datetime | None, *, lower_is_better: bool
) -> dict[str, Any]:
    """Each trial's score at the second it ended, by engine, and the best so far. Scores far below the best are left
    at the edge by the chart."""
    first = started or (trials[0].at if trials else None)
    kept = [(one, float(one.score)) for one in trials if one.score is not None and math.isfinite(one.score)]
    engines = list(dict.fromkeys(one.engine for one in trials))
    best: list[float] = []
    for _, score in kept:
        better = min if lower_is_better else max
        best.append(score if not best else better(best[-1], score))
    return {
        "kind": "search",
        "x": [round((one.at - first).total_seconds(), 2) for one, _ in kept] if first else [],
        "engines": engines,
        "scores": [[score if one.engine == engine else None for one, score in kept] for engine in engines],
        "best": best,
        "low": _floor([score for _, score in kept], lower_is_better),
    }


def slice_seconds(span: timedelta) -> int:
    """How long the slices are into which a span is cut for a chart: at most sixty of them."""
    wanted = span.total_seconds() / _SLICES
    return next((length for length in _LENGTHS if length >= wanted), _LENGTHS[-1])


def traffic(slices: Sequence[Slice], *, seconds: int, now: datetime) -> dict[str, Any]:
    """Bars from the first slice to now, empty ones among them."""
    if not slices:
        return {"kind": "traffic", "x": [], "predictions": [], "truths": [], "caption": ""}
    found = {int(one.at.timestamp()): one for one in slices}
    last = int(now.timestamp()) // seconds * seconds
    first = max(min(found), last - seconds * _SLICES)
    x = list(range(first, last + 1, seconds))
    return {
        "kind": "traffic",
        "x": x,
        "predictions": [found[at].predictions if at in found else 0 for at in x],
        "truths": [found[at].truths if at in found else 0 for at in x],
        "seconds": seconds,
        "caption": f"answers and truths in each {words.span(seconds)}",
    }


def _window(one: QualityRecord) -> _Point:
    error = float(one.report["error"]) * _BAND
    middle = (datetime.fromisoformat(one.report["from"]).timestamp() + _end(one)) / 2
    values = {
        "live": one.score,
        "live_low": one.score - error,
        "live_high": one.score + error,
        "promise": one.reference,
    }
    return _Point(middle, values)


def _end(one: QualityRecord) -> float:
    return datetime.fromisoformat(one.report["to"]).timestamp()


def _estimate(one: QualityRecord) -> _Point:
    error = float(one.report.get("error") or 0)
    values = {"estimate": one.score, "estimate_low": one.score - error, "estimate_high": one.score + error}
    return _Point(one.at.timestamp(), values)


def _floor(scores: Sequence[float], lower_is_better: bool) -> float | None:
    """Where the chart may end on the worse side: failures would squeeze everything else into a line."""
    if len(scores) < 4:
        return None
    ordered = sorted(scores, reverse=lower_is_better)
    quarter, half, best = ordered[len(ordered) // 4], ordered[len(ordered) // 2], ordered[-1]
    reach = max(abs(best - half), abs(best - quarter)) * 2.5
    return half + reach if lower_is_better else half - reach
