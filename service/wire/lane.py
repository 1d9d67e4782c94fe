"""One project's lane: its calls, gathered into batches, answered by the champion of the moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from automl.compiled.column_reading import Columns
from service.batching import INLINE_SECONDS, SLOW, Batcher, Overloaded
from service.deployment import Deployment
from service.metrics import Metrics
from service.observation import Observation
from service.prediction import Answer, Answered, Beside, Predictor, Row, name_rows
from service.problems import Problem
from service.row_ids import ROW_IDS
from service.settings import Settings
from service.wire.asks import Ask, answers_of, fits, id_text
from service.wire.bodies import read_rows, too_many_rows
from service.wire.forms import Form, Values
from service.wire.team import WORTH_ROWS, Floats, Team
from service.wire.telling import encode_answer
from service.yielding import CALLS

LARGE_BODY = 128 * 1024
"""A body from this size on is read in the thread."""
MAX_BATCH_ROWS = 2_000
_FIRST_GUESS = 5e-5
_BYTES_A_ROW = 200
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all lanes share."""

    settings: Settings
    observation: Observation
    beside: Beside
    metrics: Metrics
    executor: Executor
    team: Team
    clock: Callable[[], float] = field(default=time.time)


class Lane:
    """Takes calls on the event loop. A call is decoded when it comes and answered with its batch; rows that the
    quick way does not settle go the long way (:class:`service.prediction.Predictor`) in the thread."""

    def __init__(self, project: str, champion: Callable[[], Deployment | None], around: Surroundings) -> None:
        self.project = project
        self._champion = champion
        self._around = around
        self._form: Form | None = None
        self._pace = _FIRST_GUESS
        self._predictor = Predictor(champion, around.observation.log, around.beside)
        self._durations = around.metrics.duration.of(project)
        self._counted: tuple[int, Any] = (0, None)
        self._batcher: Batcher[Ask, Any] = Batcher(
            self._work,
            around.executor,
            quick=self._quick,
            max_batch_rows=MAX_BATCH_ROWS,
            max_queue_rows=around.settings.queue_rows,
        )

    def form(self) -> Form | None:
        """How the champion of the moment reads and writes; None when there is none."""
        deployment = self._champion()
        form = self._form
        if deployment is None:
            return None
        if form is None or form.deployment is not deployment:
            form = self._form = Form(deployment)
        return form

    def ask_body(
        self, form: Form | None, body: bytes, deadline: float
    ) -> bytes | tuple[asyncio.Future[bytes], bool]:
        """The answer to a JSON body, as JSON; or its future, and whether the call had to queue for the thread.

        Raises a problem for rows that are none, Overloaded, and a problem when the log is behind.
        """
        if len(body) > LARGE_BODY:
            rows = 1 + len(body) // _BYTES_A_ROW
            return self._submit(Ask(form=form, body=body), rows, max(1.0, rows * self._pace), deadline), True
        values = form.read(body) if form is not None else None
        if form is not None and values is not None:
            return self._ask(form, values, body, deadline)
        found = read_rows(body)
        self.check_count(len(found))
        return self._submit(Ask(form=None, rows=found), len(found), None, deadline), True

    def ask_small(self, body: bytes) -> bytes | asyncio.Future[bytes] | None:
        """The answer, or its future, to a usual small JSON body; None, and nothing done, for any other: it is to be asked
        by :meth:`ask_body`."""
        form = self.form()
        values = form.read(body) if form is not None else None
        if form is None or values is None:
            return None
        deadline = time.monotonic() + self._around.settings.predict_deadline_seconds
        try:
            answer = self._ask(form, values, body, deadline)
        except (Problem, Overloaded):
            return None
        return answer if isinstance(answer, bytes) else answer[0]

    def _ask(
        self, form: Form, values: list[Values], body: bytes, deadline: float
    ) -> bytes | tuple[asyncio.Future[bytes], bool]:
        """The same for rows that were read."""
        count = len(values)
        self.check_count(count)
        ask = Ask(form=form, values=values, body=body)
        seconds = self._seconds(ask)
        queued = seconds is None or seconds > INLINE_SECONDS
        if not queued:
            self.check_log()
            answer: bytes | None = self._batcher.at_once(ask)
            if answer is not None:
                return answer
        return self._submit(ask, count, seconds, deadline), queued

    def _seconds(self, ask: Ask) -> float | None:
        """What the event loop would need for it; None where it is for the thread, with others."""
        if ask.form is None or ask.values is None or not ask.form.light:
            return None
        return len(ask.values) * self._pace

    def ask_rows(self, rows: Sequence[Row], deadline: float) -> asyncio.Future[Answer]:
        """The answer to rows that another protocol has brought."""
        self.check_count(len(rows))
        form = self.form()
        values = form.convert(rows) if form is not None else None
        ask = Ask(form=form, values=values, rows=rows, as_json=False)
        return self._submit(ask, len(rows), self._seconds(ask), deadline)

    def _submit(self, ask: Ask, rows: int, seconds: float | None, deadline: float) -> asyncio.Future[Any]:
        self.check_log()
        return self._batcher.submit(ask, rows, seconds=seconds, deadline=deadline)

    def check_log(self) -> None:
        """Raises a problem when the log is behind."""
        if self._around.observation.behind:
            raise Problem(
                503,
                "log_behind",
                "The prediction log can't be stored as fast as it grows, and no answer is given that is not logged.",
                remedy="Send the call again in a second; if this lasts, look at the server's disk.",
                headers={"Retry-After": "1"},
            )

    def check_count(self, count: int) -> None:
        if count > self._around.settings.max_predict_rows:
            raise too_many_rows(count, self._around.settings.max_predict_rows)

    # The quick way: on the event loop, or in the thread

    def _quick(self, asks: Sequence[Ask]) -> Sequence[Any]:
        """One answer each, SLOW for those that only the long way settles."""
        form = self.form()
        if form is None or not form.readable or form.long_way:
            return [SLOW] * len(asks)
        good = [ask for ask in asks if ask.form is form or fits(ask, form)]
        found = self._together(form, good) if good else []
        if found is None:
            good = [ask for ask in good if form.settles(ask.values or ())] if len(asks) > 1 else []
            found = (self._together(form, good) if good else []) or []
        if len(found) == len(asks):
            return found
        answered = dict(zip(map(id, good), found, strict=False))
        return [answered.get(id(ask), SLOW) for ask in asks]

    def _together(self, form: Form, asks: Sequence[Ask]) -> list[Any] | None:
        """All asks in one pass through the model; None when some value has to go the long way."""
        started = time.perf_counter()
        rows = asks[0].values if len(asks) == 1 else [row for ask in asks for row in ask.values or ()]
        assert rows is not None
        read, raw = self._scored(form, rows)
        if raw is None:
            return None
        scored = time.perf_counter()
        ids = name_rows([id_text(row[-1]) for row in rows]) if form.named else ROW_IDS.now(len(rows))
        around = self._around
        around.observation.append(form.record(int(around.clock() * _MICRO), ids, rows, raw, read))
        values = form.values(raw)
        shares = raw.tolist() if form.labels else None
        answers = answers_of(form, asks, ids, values, shares)
        beside = around.beside
        if beside.wants(form.deployment):
            beside.answered(
                Answered(
                    deployment=form.deployment,
                    typed=lambda: form.typed(rows),
                    ids=ids,
                    scores=form.deployment.answer(raw),
                    seconds=scored - started,
                )
            )
        beside.outcome(form.deployment, len(asks), 0)
        self._note(form.version, asks, len(rows))
        if form.light:
            pace = (time.perf_counter() - started) / len(rows)
            # A pause of the whole process is not the model's: one measurement can't move the pace by much.
            self._pace += 0.1 * (min(pace, 4 * self._pace) - self._pace)
        return answers

    def _scored(self, form: Form, rows: Sequence[Values]) -> tuple[Columns | None, Floats | None]:
        """The rows column by column, where there are many, and the model's answers; None where some value has to go the
        long way."""
        if len(rows) < WORTH_ROWS:
            return None, form.quick(rows)
        team = self._around.team
        if not form.columnar:
            return None, team.scores(form.quick, rows)
        read = form.columns_of(rows)
        return read, None if read is None else team.scores(form.answers, read)

    def _note(self, version: int, asks: Sequence[Ask], rows: int) -> None:
        known, counter = self._counted
        if known != version:
            counter = self._around.metrics.predictions.labels(self.project, str(version))
            self._counted = (version, counter)
        counter.inc(rows)
        CALLS.add(len(asks))
        now = time.perf_counter()
        self._durations.add([now - ask.started for ask in asks])

    # In the thread

    def _work(self, asks: Sequence[Ask]) -> Sequence[Any]:
        answers: list[Any] = [self._unreadable(ask) for ask in asks]
        read = [place for place, ask in enumerate(asks) if answers[place] is SLOW and ask.values is not None]
        try:
            found = self._quick([asks[place] for place in read]) if read else ()
        except Exception:  # whose rows it is shows when each call is answered alone
            found = ()
        for place, answer in zip(read, found, strict=False):
            answers[place] = answer
        slow = [place for place, answer in enumerate(answers) if answer is SLOW]
        if slow:
            for place, answer in zip(slow, self._long([asks[place] for place in slow]), strict=True):
                answers[place] = answer
        for ask in asks:  # or the event loop, where asks end, spends its time on letting go of each row
            ask.let_go()
        return answers

    def _unreadable(self, ask: Ask) -> Any:
        """Reads a large body. SLOW, or what is wrong with it."""
        try:
            if ask.values is None and ask.form is not None and ask.body:
                ask.values = ask.form.read_in_pieces(ask.body)
                if ask.values is not None:
                    self.check_count(len(ask.values))
            return SLOW
        except Problem as problem:
            return problem
        except Exception:
            return SLOW

    def _long(self, asks: Sequence[Ask]) -> list[Any]:
        """Through the check of the schema, and whatever the model is."""
        answers: list[Any] = [None] * len(asks)
        good = []
        for place, ask in enumerate(asks):
            try:
                if ask.rows is None:
                    ask.rows = read_rows(ask.body)
                    self.check_count(len(ask.rows))
                good.append(place)
            except Exception as error:
                answers[place] = error
        found = self._predictor([asks[place].rows or () for place in good]) if good else []
        for place, answer in zip(good, found, strict=True):
            answers[place] = answer
            if isinstance(answer, Answer):
                if asks[place].as_json:
                    answers[place] = encode_answer(
                        answer.model_version,
                        answer.ids,
                        answer.values,
                        answer.probabilities,
                        answer.classes,
                        answer.more,
                    )
                self._note(answer.model_version, [asks[place]], len(answer.ids))
        return answers
