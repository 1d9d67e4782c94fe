"""Micro-batches without waiting: an idle model answers at once, calls that come while it is busy share the next batch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

Call = TypeVar("Call")
Answer = TypeVar("Answer")


class Overloaded(Exception):
    """More rows wait for the model than the queue may hold."""


class Batcher(Generic[Call, Answer]):
    """Gathers calls for one model.

    ``work`` gets a batch of calls and returns one answer, or one exception, for each, in order; it runs in
    ``executor``, never on the event loop, and one batch at a time. A call's ``size`` is its number of rows.
    All methods are to be called on the event loop.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Call]], Sequence[Answer | Exception]],
        executor: Executor,
        *,
        max_batch_rows: int,
        max_queue_rows: int,
    ) -> None:
        self._work = work
        self._executor = executor
        self._max_batch_rows = max_batch_rows
        self._max_queue_rows = max_queue_rows
        self._waiting: deque[tuple[Call, int, asyncio.Future[Answer]]] = deque()
        self._waiting_rows = 0
        self._busy = False

    async def submit(self, call: Call, size: int) -> Answer:
        """The answer to one call. Raises Overloaded at once when the queue is full, or what ``work`` gave for it."""
        if self._waiting_rows + size > self._max_queue_rows and self._waiting:
            raise Overloaded
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((call, size, future))
        self._waiting_rows += size
        if not self._busy:
            self._start(loop)
        return await future

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = self._take()
        if not batch:
            self._busy = False
            return
        self._busy = True
        calls = [call for call, _, _ in batch]
        done = loop.run_in_executor(self._executor, self._work, calls)
        done.add_done_callback(lambda finished: self._finish(loop, batch, finished))

    def _take(self) -> list[tuple[Call, int, asyncio.Future[Answer]]]:
        batch: list[tuple[Call, int, asyncio.Future[Answer]]] = []
        rows = 0
        while self._waiting:
            call, size, future = self._waiting[0]
            if batch and rows + size > self._max_batch_rows:
                break
            self._waiting.popleft()
            self._waiting_rows -= size
            if future.done():  # the client has gone
                continue
            batch.append((call, size, future))
            rows += size
        return batch

    def _finish(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[tuple[Call, int, asyncio.Future[Answer]]],
        finished: asyncio.Future[Sequence[Answer | Exception]],
    ) -> None:
        error = finished.exception()
        answers = [error] * len(batch) if error is not None else finished.result()
        for (_, _, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        self._start(loop)
