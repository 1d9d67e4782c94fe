"""The year over HTTP: flights go out as prediction requests in order of time, their truth days later."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from service.client import Incumbent, IncumbentError, Prediction, Predictions
from service.demo import flights
from service.demo.plan import Plan

Positions = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: which rows, how long it took, and the answer, or None and why."""

    positions: Positions
    ids: list[str]
    seconds: float
    answer: Predictions | None
    failure: str | None = None


@dataclass(slots=True)
class Answers:
    """What the service said about each row at the time it was asked; ``late`` is NaN where no answer came.

    ``dropped`` counts requests that failed or whose answer was not about the rows asked for.
    """

    late: npt.NDArray[np.float64]
    version: npt.NDArray[np.int32]
    seconds: list[float] = field(default_factory=list)
    dropped: int = 0
    first_failure: str | None = None
    labels: int = 0

    @classmethod
    def for_rows(cls, count: int) -> Answers:
        return cls(late=np.full(count, np.nan), version=np.zeros(count, dtype=np.int32))

    def keep(self, asked: Asked) -> None:
        self.seconds.append(asked.seconds)
        if asked.answer is None or [one["id"] for one in asked.answer["predictions"]] != asked.ids:
            self.dropped += 1
            self.first_failure = self.first_failure or asked.failure or "the answer was about other rows"
            return
        self.late[asked.positions] = [probability(one) for one in asked.answer["predictions"]]
        self.version[asked.positions] = asked.answer["model_version"]

    @property
    def requests(self) -> int:
        return len(self.seconds)

    def percentile_ms(self, share: float) -> float:
        return float(np.percentile(self.seconds, share * 100)) * 1000 if self.seconds else float("nan")


def probability(prediction: Prediction) -> float:
    """The probability that the flight is late."""
    return float(prediction["probabilities"]["true"])


@dataclass(slots=True, kw_only=True)
class Pace:
    """Spreads the days over the time there is; never hurries by leaving something out."""

    seconds: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def wait_until(self, share: float) -> None:
        """Returns when this share of the time has passed, at once when it is later than that."""
        ahead = self.started + share * self.seconds - self.clock()
        if ahead > 0:
            self.sleep(ahead)


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them: null for what is missing, times in ISO 8601, no target."""
    bare = table.drop(columns=flights.TARGET)
    bare = bare.assign(**{flights.TIME: bare[flights.TIME].dt.strftime("%Y-%m-%dT%H:%M:%SZ")})
    columns = {name: _plain(bare[name]) for name in bare.columns}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _plain(column: pd.Series) -> list[Any]:
    values = column.tolist()
    if not column.isna().any():
        return values
    return [None if value != value or value is None else value for value in values]


def play_days(
    server: Incumbent,
    project: str,
    table: pd.DataFrame,
    plan: Plan,
    pace: Pace,
    told: Callable[[date, int, Answers], None],
) -> Answers:
    """Plays ``table`` (oldest first) day by day.

    The rows of a day are predicted by ``plan.clients`` threads, then the truth that is ``plan.truth_days`` old
    is sent. ``told`` hears of each day when it is over.
    """
    answers = Answers.for_rows(len(table))
    waiting: list[Positions] = []
    days = list(days_of(table))
    with ThreadPoolExecutor(plan.clients) as clients:
        try:
            for number, (day, positions) in enumerate(days, start=1):
                parts = np.array_split(positions, -(-len(positions) // plan.batch_rows))
                for asked in clients.map(lambda some: _ask(server, project, table, some), parts):
                    answers.keep(asked)
                waiting.append(positions)
                if number % plan.deliver_days == 0:
                    _tell_truth(server, project, table, waiting[: -plan.truth_days], answers)
                    del waiting[: -plan.truth_days]
                told(day, number, answers)
                pace.wait_until(number / len(days))
        except BaseException:
            clients.shutdown(cancel_futures=True)
            raise
    _tell_truth(server, project, table, waiting, answers)
    return answers


def days_of(table: pd.DataFrame) -> Iterator[tuple[date, Positions]]:
    """Each local day with the positions of its flights, in order."""
    days = table[flights.TIME].dt.tz_convert(flights.NEW_YORK).dt.date.to_numpy()
    starts = np.flatnonzero(np.r_[True, days[1:] != days[:-1]])
    for start, end in zip(starts, [*starts[1:], len(days)], strict=True):
        yield days[start], np.arange(start, end)


def _ask(server: Incumbent, project: str, table: pd.DataFrame, positions: Positions) -> Asked:
    rows = rows_of(table.iloc[positions])
    ids = [row[flights.ID] for row in rows]
    began = time.perf_counter()
    answer, failure = None, None
    try:
        answer = server.predict(project, rows)
    except IncumbentError as error:
        failure = f"{error} ({error.code})"
    seconds = time.perf_counter() - began
    return Asked(positions=positions, ids=ids, seconds=seconds, answer=answer, failure=failure)


def _tell_truth(
    server: Incumbent, project: str, table: pd.DataFrame, days: list[Positions], answers: Answers
) -> None:
    if not days:
        return
    told = table.iloc[np.concatenate(days)]
    pairs = zip(told[flights.ID].tolist(), told[flights.TARGET].tolist(), strict=True)
    answers.labels += server.feedback(project, pairs)["accepted"]
