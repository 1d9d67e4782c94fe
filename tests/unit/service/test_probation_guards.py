from __future__ import annotations

from typing import Any

import pytest

from service.probation_guards import Evidence, objection

RULE: dict[str, Any] = {
    "min_rows": 200,
    "max_error_share": 0.05,
    "max_latency_factor": 3.0,
    "max_latency_ms": 50,
    "max_shift": 0.5,
    "judged_shift": None,
}


def slow(**changed: Any) -> Evidence:
    return Evidence(**{"seconds": 0.2, "other_seconds": 0.01, "timed_calls": 60, **changed})


def test_nothing_seen_is_no_objection() -> None:
    assert objection(RULE, Evidence()) is None


@pytest.mark.parametrize(
    ("evidence", "word"),
    [
        (Evidence(calls=100, failed=6), "fails 6.0%"),
        (slow(), "200.0 ms"),
        (Evidence(shift=0.6, shifted_rows=200), "distributed otherwise"),
    ],
)
def test_each_guard_says_what_it_saw(evidence: Evidence, word: str) -> None:
    told = objection(RULE, evidence)
    assert told is not None
    assert word in told


@pytest.mark.parametrize(
    "evidence",
    [
        Evidence(calls=19, failed=19),
        Evidence(calls=100, failed=5),
        Evidence(calls=100, failed=10, other_calls=100, other_failed=8),
        slow(timed_calls=10),
        slow(other_seconds=0.1),
        slow(seconds=0.04, other_seconds=0.001),
        Evidence(shift=0.9, shifted_rows=199),
        Evidence(shift=0.5, shifted_rows=500),
    ],
)
def test_few_calls_small_excess_and_common_faults_are_no_objection(evidence: Evidence) -> None:
    assert objection(RULE, evidence) is None


def test_a_shift_that_the_judge_saw_too_is_allowed() -> None:
    assert objection({**RULE, "judged_shift": 0.3}, Evidence(shift=0.7, shifted_rows=500)) is None
    assert objection({**RULE, "judged_shift": 0.1}, Evidence(shift=0.7, shifted_rows=500)) is not None


def test_a_guard_set_to_null_is_off() -> None:
    off = {**RULE, "max_error_share": None, "max_latency_factor": None, "max_shift": None}
    seen = slow(calls=100, failed=100, shift=1.0, shifted_rows=1000)
    assert objection(off, seen) is None
