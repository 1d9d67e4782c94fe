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
_POINTS = 100
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
    oldest first. Of many windows some that follow each other are one point. Promotions are marks where they fall between
    the first point and the last."""
    points = [_merged(group) for group in _grouped(windows)]
    points += [_estimate(one) for one in _thinned(estimates)]
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
        "lower_is_better": lower_is_better,
        "edge": _edge([score for _, score in kept], lower_is_better),
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
        "caption": f"in each {words.span(seconds)}",
    }


def _grouped(windows: Sequence[QualityRecord]) -> list[list[QualityRecord]]:
    """Windows in order of time, so many of one version together that at most some hundred groups are left."""
    size = math.ceil(len(windows) / _POINTS) or 1
    groups: list[list[QualityRecord]] = []
    for one in sorted(windows, key=_middle):
        last = groups[-1] if groups else None
        if last is None or len(last) == size or last[0].model_version != one.model_version:
            groups.append([one])
        else:
            last.append(one)
    return groups


def _thinned(estimates: Sequence[QualityRecord]) -> Sequence[QualityRecord]:
    """Every so many-th, the newest among them."""
    return estimates[:: math.ceil(len(estimates) / _POINTS) or 1]


def _merged(group: Sequence[QualityRecord]) -> _Point:
    """The mean of windows, weighted by their rows, with the error that independent windows have together."""
    rows = [float(one.report.get("rows") or 1) for one in group]
    total = sum(rows)
    score = sum(one.score * weight for one, weight in zip(group, rows, strict=True)) / total
    errors = [float(one.report.get("error") or 0) * weight for one, weight in zip(group, rows, strict=True)]
    error = math.hypot(*errors) / total * _BAND
    values = {
        "live": score,
        "live_low": score - error,
        "live_high": score + error,
        "promise": group[-1].reference,
    }
    return _Point(sum(map(_middle, group)) / len(group), values)


def _middle(one: QualityRecord) -> float:
    """The time a record speaks of: the middle of its answers, or when it was made."""
    began, ended = (one.report.get(name) for name in ("from", "to"))
    if began is None or ended is None:
        return one.at.timestamp()
    return (datetime.fromisoformat(began).timestamp() + datetime.fromisoformat(ended).timestamp()) / 2


def _estimate(one: QualityRecord) -> _Point:
    error = float(one.report.get("error") or 0)
    values = {"estimate": one.score, "estimate_low": one.score - error, "estimate_high": one.score + error}
    return _Point(one.at.timestamp(), values)


def _edge(scores: Sequence[float], lower_is_better: bool) -> float | None:
    """Where the chart may end on the worse side: failures would squeeze everything else into a line."""
    if len(scores) < 4:
        return None
    ordered = sorted(scores, reverse=lower_is_better)
    half, best = ordered[len(ordered) // 2], ordered[-1]
    reach = abs(best - half) * 1.5
    return half + reach if lower_is_better else half - reach
