"""Micro-batches without waiting: an idle model answers at once, calls that come while it is busy share the next batch.

Small work is done on the event loop: handing it to a thread would cost more than the work. All calls that have come
in one turn of the loop are one batch. Large work, and work that can't be done the quick way, goes to a thread, one
batch at a time; small calls do not wait for it. There is no timer: nothing is held back in the hope of more, but for
those whom a batch in the thread has just answered. A twentieth of its time without a call, at most a millisecond, is
taken for their silence; else callers who call again part into two halves that take turns, each at nearly the price of
all.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Generic, TypeVar, cast

Call = TypeVar("Call")
Answer = TypeVar("Answer")

INLINE_SECONDS = 0.001
"""Work estimated to take less is done on the event loop, and so much of it in one turn."""
_LOOK_SECONDS = 0.05
_SILENCE, _MOST_SILENCE = 0.05, 0.001
"""Of a batch's time, and in seconds, after which nobody whom it answered is waited for."""
_LONELY = 3
"""After so many batches of one call the next small call is answered as it comes."""


class Overloaded(Exception):
    """More rows wait for the model than the queue may hold."""


class TooLate(Exception):
    """The call's deadline passed before it was answered."""


class _Slow:
    """What quick work answers for a call that it leaves to the thread."""


SLOW = _Slow()


class _Waiting(Generic[Call, Answer]):
    __slots__ = ("call", "deadline", "future", "seconds", "size")

    def __init__(
        self, call: Call, size: int, seconds: float, deadline: float, future: asyncio.Future[Answer]
    ) -> None:
        self.call = call
        self.size = size
        self.seconds = seconds
        self.deadline = deadline
        self.future = future


class Batcher(Generic[Call, Answer]):
    """Gathers calls for one model.

    ``quick`` and ``work`` get a batch of calls and return one answer, or one exception, for each, in order.
    ``quick`` runs on the event loop and may return SLOW for a call; ``work`` runs in ``executor``, one batch at a
    time. A call's ``size`` is its number of rows. All methods are to be called on the event loop.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Call]], Sequence[Answer | Exception]],
        executor: Executor,
        *,
        max_batch_rows: int,
        max_queue_rows: int,
        quick: Callable[[Sequence[Call]], Sequence[Answer | Exception | _Slow]] | None = None,
    ) -> None:
        self._work = work
        self._quick = quick
        self._executor = executor
        self._max_batch_rows = max_batch_rows
        self._max_queue_rows = max_queue_rows
        self._small: deque[_Waiting[Call, Answer]] = deque()
        self._large: deque[_Waiting[Call, Answer]] = deque()
        self._running: list[_Waiting[Call, Answer]] = []
        self._gathering = False
        self._arrived, self._arrived_at = 0, 0.0
        self._waiting_rows = 0
        self._flushing = False
        self._looking = False
        self._lonely = 0
        self._this_turn = False
        self._loop = asyncio.get_running_loop()

    def submit(
        self, call: Call, size: int, *, seconds: float | None = None, deadline: float = float("inf")
    ) -> asyncio.Future[Answer]:
        """The answer to one call, as a future; one that is cancelled is not worked on.

        ``seconds`` is what quick work is estimated to take for it, None when it can't be done the quick way.
        A call that is not answered by ``deadline`` (of ``time.monotonic``) gets TooLate. Raises Overloaded at
        once when the queue is full.
        """
        if self._waiting_rows + size > self._max_queue_rows and (self._small or self._large):
            raise Overloaded
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting_rows += size
        waiting = _Waiting(call, size, seconds or 0.0, deadline, future)
        if self._this_turn:
            self._lonely = 0
        if seconds is None or seconds > INLINE_SECONDS or self._quick is None:
            self._queue(waiting)
        else:
            self._small.append(waiting)
            if not self._flushing:
                self._flushing = True
                self._loop.call_soon(self._flush)
        return future

    def at_once(self, call: Call) -> Answer | None:
        """The answer to a small call, without a batch, where calls have been coming one by one; None where this one
        may have company and is to be submitted. Raises what ``quick`` gave for it.

        A client that waits for its answer before it calls again gains two turns of the loop by this.
        """
        if self._lonely < _LONELY or self._this_turn or self._flushing or self._quick is None:
            return None
        self._this_turn = True
        self._loop.call_soon(self._turn_ended)
        try:
            (answer,) = self._quick((call,))
        except Exception:
            return None
        if isinstance(answer, Exception):
            raise answer
        return None if answer is SLOW else cast(Answer, answer)

    # On the loop

    def _turn_ended(self) -> None:
        self._this_turn = False

    def _flush(self) -> None:
        """Answer what is small, up to what one turn of the loop may take."""
        batch = self._take_small()
        if self._small:
            self._loop.call_soon(self._flush)
        else:
            self._flushing = False
        if not batch or self._quick is None:
            return
        self._lonely = self._lonely + 1 if len(batch) == 1 else 0
        try:
            answers: Sequence[Any] = self._quick([waiting.call for waiting in batch])
        except Exception:  # whose rows it is shows when each call is answered alone
            answers = [SLOW] * len(batch)
        for waiting, answer in zip(batch, answers, strict=True):
            if answer is SLOW:
                self._waiting_rows += waiting.size
                self._queue(waiting)
            else:
                _settle(waiting.future, answer)

    def _take_small(self) -> list[_Waiting[Call, Answer]]:
        batch: list[_Waiting[Call, Answer]] = []
        seconds, now = 0.0, time.monotonic()
        small = self._small
        while small and seconds < INLINE_SECONDS:
            waiting = small.popleft()
            self._waiting_rows -= waiting.size
            if waiting.future.done():  # the client has gone
                continue
            if waiting.deadline < now:
                waiting.future.set_exception(TooLate())
                continue
            batch.append(waiting)
            seconds += waiting.seconds
        return batch

    # In the thread

    def _queue(self, waiting: _Waiting[Call, Answer]) -> None:
        self._large.append(waiting)
        self._arrived += 1
        self._arrived_at = time.perf_counter()
        if not self._running and not self._gathering:
            self._start()
        if waiting.deadline != float("inf") and not self._looking:
            self._looking = True
            self._loop.call_later(_LOOK_SECONDS, self._look)

    def _start(self) -> None:
        batch = self._take_large()
        self._running = batch
        if not batch:
            return
        calls = [waiting.call for waiting in batch]
        started = time.perf_counter()
        done = self._loop.run_in_executor(self._executor, self._work, calls)
        done.add_done_callback(lambda finished: self._finish(batch, started, finished))

    def _take_large(self) -> list[_Waiting[Call, Answer]]:
        batch: list[_Waiting[Call, Answer]] = []
        rows = 0
        while self._large:
            waiting = self._large[0]
            if batch and (
                waiting.seconds or batch[0].seconds or rows + waiting.size > self._max_batch_rows
            ):  # what is large by itself gains nothing in company
                break
            self._large.popleft()
            self._waiting_rows -= waiting.size
            if waiting.future.done():  # the client has gone, or it is too late
                continue
            batch.append(waiting)
            rows += waiting.size
        return batch

    def _finish(
        self,
        batch: list[_Waiting[Call, Answer]],
        started: float,
        finished: asyncio.Future[Sequence[Answer | Exception]],
    ) -> None:
        self._running = []
        gathers = len(batch) > 1 and not (self._large and self._large[0].seconds)
        if not gathers:
            self._start()  # the model is busy again before the answers are sent
        error = finished.exception()
        answers = [error] * len(batch) if error is not None else finished.result()
        for waiting, answer in zip(batch, answers, strict=True):
            _settle(waiting.future, answer)
        if gathers:
            self._gathering = True
            silence = min(_MOST_SILENCE, _SILENCE * (time.perf_counter() - started))
            self._loop.call_soon(self._sent, self._arrived + len(batch), silence)

    def _sent(self, arrived: int, silence: float) -> None:
        """All who asked have their answers by now."""
        self._arrived_at = time.perf_counter()
        self._loop.call_soon(self._gather, arrived, silence)

    def _gather(self, arrived: int, silence: float) -> None:
        """Begin the next batch once so many have arrived in all, or none for a while."""
        more = self._arrived < arrived and self._waiting_rows < self._max_batch_rows
        if more and time.perf_counter() - self._arrived_at < silence:
            self._loop.call_soon(self._gather, arrived, silence)
            return
        self._gathering = False
        self._start()

    def _look(self) -> None:
        """Refuse what has waited too long; what the thread has begun is finished there, for nobody."""
        now = time.monotonic()
        for waiting in (*self._running, *self._large):
            if waiting.deadline < now and not waiting.future.done():
                waiting.future.set_exception(TooLate())
        self._looking = bool(self._running or self._large)
        if self._looking:
            self._loop.call_later(_LOOK_SECONDS, self._look)


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    if future.done():
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
