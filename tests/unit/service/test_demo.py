from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from service.client import Predictions
from service.commands.console import CommandError
from service.demo import child, flights
from service.demo.plan import FAST, FULL
from service.demo.stream import Answers, Asked, Pace, days_of, rows_of
from service.demo.table import by_month
from service.policy import Policy


def some_flights(count: int = 12, start: str = "2013-02-27 22:00") -> pd.DataFrame:
    at = pd.date_range(start, periods=count, freq="6h", tz=flights.NEW_YORK).tz_convert("UTC")
    table = pd.DataFrame({name: np.arange(count, dtype=float) for name in flights.FEATURES})
    table[flights.ID] = [f"flight-{number}" for number in range(count)]
    table[flights.TIME] = at
    table[flights.TARGET] = np.arange(count) % 3 == 0
    return table[list(flights.COLUMNS)]


def answer(table: pd.DataFrame, positions: list[int], late: float, version: int = 1) -> Asked:
    ids = table[flights.ID].iloc[positions].tolist()
    predictions: Predictions = {
        "model_version": version,
        "predictions": [
            {"id": name, "value": False, "probabilities": {"false": 1 - late, "true": late}} for name in ids
        ],
    }
    return Asked(positions=np.array(positions), ids=ids, seconds=0.01, answer=predictions)


@pytest.mark.parametrize("plan", [FULL, FAST])
def test_the_policy_of_each_plan_is_one_the_service_takes(plan: object) -> None:
    assert isinstance(plan, type(FULL))
    policy = Policy.model_validate(plan.policy())
    assert policy.triggers.new_labels is not None
    assert policy.gates.min_effect == 0.002


def test_days_follow_the_clock_of_new_york() -> None:
    days = list(days_of(some_flights()))
    assert [day for day, _ in days] == [
        date(2013, 2, 27),
        date(2013, 2, 28),
        date(2013, 3, 1),
        date(2013, 3, 2),
    ]
    assert np.concatenate([positions for _, positions in days]).tolist() == list(range(12))


def test_rows_never_carry_the_truth_and_write_missing_as_null() -> None:
    table = some_flights()
    table.loc[0, "temp"] = np.nan
    row = rows_of(table)[0]
    assert flights.TARGET not in row
    assert row["temp"] is None
    assert row[flights.TIME] == "2013-02-28T03:00:00Z"


def test_the_pace_waits_when_ahead_and_never_when_behind() -> None:
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(seconds=100, clock=lambda: now[0], sleep=sleep)
    pace.wait_until(0.1)
    now[0] = 50
    pace.wait_until(0.2)
    assert slept == [pytest.approx(10)]


def test_an_answer_about_other_rows_counts_as_dropped() -> None:
    table = some_flights()
    answers = Answers.for_rows(len(table))
    good = answer(table, [0, 1], 0.4)
    answers.keep(good)
    answers.keep(Asked(positions=good.positions, ids=["other", "rows"], seconds=0.01, answer=good.answer))
    answers.keep(Asked(positions=good.positions, ids=good.ids, seconds=0.01, answer=None))
    assert (answers.requests, answers.dropped) == (3, 2)
    assert answers.first_failure == "the answer was about other rows"
    assert answers.late[:2].tolist() == [0.4, 0.4]


def test_the_table_scores_each_month_and_all_of_them() -> None:
    table = some_flights()
    truth = table[flights.TARGET].to_numpy()
    answers = Answers.for_rows(len(table))
    for position in range(len(table)):
        answers.keep(answer(table, [position], 0.9 if truth[position] else 0.1, version=1 + position // 6))
    lines = by_month(table, answers, np.full(len(table), 0.5))
    assert [line.month for line in lines] == ["Feb", "Mar", "all"]
    assert lines[-1].live_auc == 1.0
    assert lines[-1].frozen_auc == 0.5
    assert lines[-1].live_log_loss < lines[-1].frozen_log_loss
    assert lines[-1].champions == (1, 2)
    assert lines[-1].flights == 12


def test_rows_without_an_answer_count_in_neither_column() -> None:
    table = some_flights()
    answers = Answers.for_rows(len(table))
    answers.keep(answer(table, list(range(1, 12)), 0.5))
    assert by_month(table, answers, np.full(len(table), 0.5))[-1].flights == 11


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def eventually(claim: object, seconds: float = 15) -> bool:
    assert callable(claim)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if claim():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.slow
def test_leaving_the_demo_leaves_no_server_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), child.server(tmp_path, 0) as (_, process):
        raise KeyboardInterrupt
    assert process.poll() is not None


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the death signal is Linux's")
def test_a_killed_demo_takes_its_server_with_it(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from service.demo import child\n"
        "with child.server(Path(sys.argv[1]), 0) as (url, process):\n"
        "    print(process.pid, flush=True); time.sleep(60)\n"
    )
    demo = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    server = int(demo.stdout.readline())
    demo.send_signal(signal.SIGKILL)
    demo.wait()
    demo.stdout.close()
    assert eventually(lambda: gone(server))


@pytest.mark.slow
def test_a_server_that_does_not_start_is_said_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "registry.db").mkdir()
    with pytest.raises(CommandError) as caught, child.server(tmp_path, 0):
        pass
    assert "serve.log" in caught.value.remedy
