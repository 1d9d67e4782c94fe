"""What contestants' results say together, and the aims."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.searching.data import TABLES
from benchmarks.searching.standings import Job, aims, show, standings

NAMES = ("incumbent", "autogluon", "lightgbm")


def result(score: float, seconds: float = 30.0, ms: float = 10.0) -> dict[str, Any]:
    return {"score": score, "seconds": seconds, "thousand_rows_ms": ms}


def jobs(*tables: str) -> list[Job]:
    return [
        Job(table=TABLES[table], contestant=name, budget=30.0, seed=0) for table in tables for name in NAMES
    ]


RESULTS = {
    "churn/incumbent/30/0": result(0.9),
    "churn/autogluon/30/0": result(0.8, ms=60.0),
    "churn/lightgbm/30/0": {"error": "it broke"},
    "concrete/incumbent/30/0": result(4.4, seconds=41.5, ms=20.0),
    "concrete/autogluon/30/0": result(4.0, ms=80.0),
    "concrete/lightgbm/30/0": result(4.4, ms=10.0),
}


def test_ranks_and_losses_are_those_of_each_table_and_a_failure_ranks_last() -> None:
    ours, named, plain = standings(RESULTS, jobs("churn", "concrete"))
    assert (ours.mean_rank, named.mean_rank, plain.mean_rank) == (1.75, 1.5, 2.75)
    assert ours.loss == pytest.approx(0.05)  # none, and 0.4 of 4.0
    assert named.loss == pytest.approx(0.125)  # 0.1 of the 0.4 above chance, and none
    assert plain.loss == pytest.approx(0.1)
    assert (ours.failures, plain.failures) == (0, 1)
    assert named.times_ours == pytest.approx(5.0)  # six times, and four


def test_a_table_that_somebody_has_not_done_counts_for_nobody() -> None:
    part = {key: value for key, value in RESULTS.items() if key != "concrete/lightgbm/30/0"}
    assert {one.tables for one in standings(part, jobs("churn", "concrete"))} == {1}


def test_each_aim_says_what_was_found_and_whether_that_is_enough() -> None:
    said = {name: (value, reached) for name, _, value, reached in aims(RESULTS, jobs("churn", "concrete"))}
    assert said == {
        "30 s: mean rank": ("1.75", False),
        "30 s: loss to the table's best": ("5.0%", False),
        "30 s: failures": ("0", True),
        "30 s: longest, s": ("41.5", False),
        "30 s: time of AutoGluon's predictions to ours": ("5.0", True),
    }


def test_the_best_of_each_table_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    show(RESULTS, jobs("churn", "concrete"))
    out = capsys.readouterr().out
    assert "| churn | ROC AUC | **0.9000** | 0.8000 | failed |" in out
    assert "| concrete | RMSE | 4.4000 | **4.0000** | 4.4000 |" in out
    assert "| 30 s: longest, s | ≤ 41 | 41.5 | not reached |" in out
