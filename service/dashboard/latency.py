"""How fast this process answered since it started, from its own histogram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds; None before the first call. Quantiles are interpolated within the histogram's buckets."""

    calls: int
    p50: float | None
    p99: float | None
    mean: float | None
    buckets: tuple[tuple[float, int], ...] = ()


def latency(metrics: Metrics, project: str) -> Latency:
    bounds = metrics.duration.bounds
    counts, total = metrics.duration.of(project).seen()
    calls = counts[-1]
    if not calls:
        return Latency(calls=0, p50=None, p99=None, mean=None)
    singles = [after - before for before, after in zip([0, *counts], counts, strict=False)]
    return Latency(
        calls=calls,
        p50=quantile(bounds, counts, 0.5),
        p99=quantile(bounds, counts, 0.99),
        mean=total / calls,
        buckets=tuple(zip([*bounds, float("inf")], singles, strict=True)),
    )


def quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float:
    """From cumulated counts by bucket; what lies beyond the last bound counts as the last bound.

    >>> quantile((1.0, 2.0), (10, 20, 20), 0.75)
    1.5
    """
    wanted = share * counts[-1]
    below, low = 0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count >= wanted and count > below:
            return low + (bound - low) * (wanted - below) / (count - below)
        below, low = count, bound
    return bounds[-1]
