"""What speaks against a new champion before any truth has come: its errors, its pace, its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LEAST_CALLS = 20
LEAST_TIMES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Seen since the probation began. Calls and seconds are those of one process; ``shift`` is 0..1 over
    ``shifted_rows`` rows that both models answered, None before there are any."""

    calls: int = 0
    failed: int = 0
    other_calls: int = 0
    other_failed: int = 0
    seconds: float | None = None
    other_seconds: float | None = None
    timed_calls: int = 0
    shift: float | None = None
    shifted_rows: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def objection(rule: Mapping[str, Any], seen: Evidence) -> str | None:
    """The sentence for which a champion is deposed, or None. ``rule`` is the probation's."""
    return _errors(rule, seen) or _latency(rule, seen) or _shift(rule, seen)


def _errors(rule: Mapping[str, Any], seen: Evidence) -> str | None:
    most = rule["max_error_share"]
    if most is None or seen.calls < LEAST_CALLS:
        return None
    share = seen.failed / seen.calls
    before = seen.other_failed / seen.other_calls if seen.other_calls else 0.0
    # what failed as often with the old model is not this one's fault
    if share <= most or share <= 2 * before:
        return None
    return f"it fails {share:.1%} of {seen.calls:,} prediction calls; {most:.1%} is allowed"


def _latency(rule: Mapping[str, Any], seen: Evidence) -> str | None:
    factor, floor = rule["max_latency_factor"], rule["max_latency_ms"]
    if factor is None or seen.seconds is None or not seen.other_seconds or seen.timed_calls < LEAST_TIMES:
        return None
    ours, theirs = seen.seconds * 1000, seen.other_seconds * 1000
    if ours <= factor * theirs or (floor is not None and ours <= floor):
        return None
    return (
        f"it takes {ours:.1f} ms for what the other answers in {theirs:.1f} ms (medians of "
        f"{seen.timed_calls} calls); {factor:g} times that is allowed"
    )


def _shift(rule: Mapping[str, Any], seen: Evidence) -> str | None:
    most = rule["max_shift"]
    if most is None or seen.shift is None or seen.shifted_rows < rule["min_rows"]:
        return None
    judged = rule["judged_shift"] or 0.0
    if seen.shift <= most + judged:
        return None
    known = f" beyond the {judged:.2f} of the judged rows" if judged else ""
    return (
        f"its answers to {seen.shifted_rows:,} live rows are distributed otherwise than the other's by "
        f"{seen.shift:.2f} (0 alike, 1 nothing in common); {most:.2f}{known} is allowed"
    )
