"""What serving is to reach, beside what was found: ratios within one run, which another machine shifts least."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.serving.comparison import Figures
from benchmarks.serving.contestants import PEERS_TO_BEAT

OURS, PLAIN, ECHO = "incumbent", "incumbent, not compiled", "echo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """One line of the second table; ``reached`` is None where it was not measured."""

    told: str
    aim: str
    found: str
    reached: bool | None


def aims(found: Mapping[str, Any]) -> list[Aim]:
    """Every aim that the parts of a run say something about."""
    said: list[Aim] = []
    if "compare" in found:
        said += _compared(found["compare"])
    if "bulk" in found:
        said.append(_bulk(found["bulk"]))
    if "search" in found:
        said.append(_tail("p99 while a search runs, to quiet", found["search"], 2.0))
    if "swap" in found:
        swap = found["swap"]
        said.append(_tail("p99 during swaps, to quiet", swap, 1.3))
        bad = f"{swap['failed']:,} of {swap['requests']:,} ({swap.get('promotions', 0)} swaps)"
        said.append(Aim(told="failed or mixed during swaps", aim="0", found=bad, reached=swap["failed"] == 0))
    if "memory" in found:
        said += _footprint(found["memory"])
    return said


def ratio(
    figures: Figures, case: str, figure: str, name: str, others: Sequence[str], *, best: Callable[..., float]
) -> float | None:
    """``name``'s figure to the best of the others', round by round, and the median of that."""
    shots = figures.get(case, {})
    there = [other for other in others if shots.get(other)]
    if not there or not shots.get(name):
        return None
    rounds = zip(shots[name], *(shots[other] for other in there), strict=True)
    return median(own[figure] / best(one[figure] for one in rest) for own, *rest in rounds)


def _compared(figures: Figures) -> list[Aim]:
    many, one, peers = "64 clients, 1 row: ", "1 client, 1 row: ", PEERS_TO_BEAT
    return [
        _at_least(
            many + "req/s to the best peer's", ratio(figures, "many", "per_second", OURS, peers, best=max), 20
        ),
        _at_least(
            many + "req/s to the echo's", ratio(figures, "many", "per_second", OURS, (ECHO,), best=max), 0.35
        ),
        _at_most(
            many + "p99 to the best peer's", ratio(figures, "many", "p99_ms", OURS, peers, best=min), 0.1
        ),
        _at_most(one + "p50 to the echo's", ratio(figures, "one", "p50_ms", OURS, (ECHO,), best=min), 3),
        _at_most(one + "p50 to the best peer's", ratio(figures, "one", "p50_ms", OURS, peers, best=min), 0.1),
        _at_least(
            many + "req/s, not compiled, to the best peer's",
            ratio(figures, "many", "per_second", PLAIN, peers, best=max),
            2.5,
        ),
        _at_least(
            "8 clients, 1,000 rows: calls/s to the best peer's",
            ratio(figures, "wide", "per_second", OURS, peers, best=max),
            2.5,
        ),
        # No aims, but what other work on the machine shifts least.
        _told(
            many + "processor time a call to the best peer's",
            ratio(figures, "many", "cpu_ms", OURS, peers, best=min),
        ),
        _told(
            many + "processor time a call to the echo's",
            ratio(figures, "many", "cpu_ms", OURS, (ECHO,), best=min),
        ),
        _told(
            "8 clients, 1,000 rows: processor time a call to the best peer's",
            ratio(figures, "wide", "cpu_ms", OURS, peers, best=min),
        ),
    ]


def _bulk(bulk: Mapping[str, Any]) -> Aim:
    told = "Arrow bulk: rows/s"
    least = min(500_000.0, 0.8 * bulk["limit"])
    aim = f"≥ {least:,.0f} (the trees alone: {bulk['limit']:,.0f})"
    if "refused" in bulk:
        return Aim(told=told, aim=aim, found=f"refused, {bulk['refused'][:60]}", reached=None)
    shown = f"{bulk['rows_per_second']:,.0f} (a processor second: {bulk['rows_per_cpu_second']:,.0f})"
    return Aim(told=told, aim=aim, found=shown, reached=bulk["rows_per_second"] >= least)


def _tail(told: str, found: Mapping[str, Any], most: float) -> Aim:
    times = found["p99_ms"] / found["quiet_p99_ms"]
    shown = f"{times:.2f} ({found['p99_ms']:.2f} to {found['quiet_p99_ms']:.2f} ms at {found['rate']:,.0f}/s)"
    return Aim(told=told, aim=f"≤ {most:g}", found=shown, reached=times <= most)


def _footprint(memory: Mapping[str, Any]) -> list[Aim]:
    resident, seconds = memory["resident_mib"], memory["first_answer_seconds"]
    return [
        Aim(
            told=f"resident memory, {memory['projects']} projects loaded",
            aim="≤ 400 MB",
            found=f"{resident * 2**20 / 1e6:.0f} MB",
            reached=resident * 2**20 <= 400e6,
        ),
        Aim(told="start to first answer", aim="≤ 2 s", found=f"{seconds:.2f} s", reached=seconds <= 2),
    ]


def _at_least(told: str, found: float | None, least: float) -> Aim:
    return Aim(
        told=told, aim=f"≥ {least:g}", found=_shown(found), reached=None if found is None else found >= least
    )


def _at_most(told: str, found: float | None, most: float) -> Aim:
    return Aim(
        told=told, aim=f"≤ {most:g}", found=_shown(found), reached=None if found is None else found <= most
    )


def _told(told: str, found: float | None) -> Aim:
    return Aim(told=told, aim="–", found=_shown(found), reached=None)


def _shown(found: float | None) -> str:
    return "not measured" if found is None else f"{found:.3g}"
