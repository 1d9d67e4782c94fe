"""Explanations, made in a process of their own: plain predictions share neither its interpreter nor its queue."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import msgspec
import pyarrow as pa

from service.companion import Companion
from service.explain_messages import Model, Reply, Request
from service.problems import Problem

Result = TypeVar("Result")

MOST_ROWS = 1_000
"""Rows in one call; a sampled explanation asks the model some hundred times for each."""
QUEUE_ROWS = 2_000
ANSWER_WITHIN = 60.0


class Explaining:
    """One thread that waits, one process that works (started when it is first asked, gone when it idles).

    All methods may be called from any thread.
    """

    def __init__(self, *, queue_rows: int = QUEUE_ROWS, answer_within: float = ANSWER_WITHIN) -> None:
        self._queue_rows = queue_rows
        self._answer_within = answer_within
        self._waiting_rows = 0
        self._counting = threading.Lock()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="explain")
        self._child: Companion | None = None
        self._closed = False

    def submit(self, rows: int, work: Callable[[], Result]) -> Future[Result]:
        """Runs ``work``, which may call :meth:`explain`, after the calls that came before.

        Raises a problem at once when the call is too large or too many rows wait.
        """
        if rows > MOST_ROWS:
            raise Problem(
                413,
                "too_many_rows_to_explain",
                f"{rows} rows in one call; the most to explain is {MOST_ROWS}.",
                field="rows",
                remedy="Send the rows in several calls, or without explain=true.",
            )
        with self._counting:
            if self._waiting_rows and self._waiting_rows + rows > self._queue_rows:
                raise Problem(
                    503,
                    "explanations_overloaded",
                    "More rows wait to be explained than the queue holds.",
                    remedy="Send the call again in a few seconds, or without explain=true.",
                    headers={"Retry-After": "5"},
                )
            self._waiting_rows += rows
        future = self._executor.submit(work)
        future.add_done_callback(lambda _: self._done(rows))
        return future

    def explain(
        self, key: str, table: pa.Table, model: Callable[[], Model], *, counterfactuals: bool = False
    ) -> Sequence[msgspec.Raw]:
        """One JSON object for each row of a typed table. To be called within :meth:`submit`.

        ``key`` names what ``model`` gives, which is only asked when the process does not know it. Raises a problem when
        there is no explanation.
        """
        request = Request(key=key, rows=_stream(table), counterfactuals=counterfactuals)
        for _ in range(3):  # an idle process may end just now, and a new one knows no model
            reply = self._asked(request)
            if reply is None:
                continue
            if reply.error is not None:
                raise unexplained(reply.error)
            if not reply.lacking:
                return [msgspec.Raw(one) for one in reply.explanations]
            request.model = model()
        raise unexplained("the process that explains ended")

    @property
    def pid(self) -> int | None:
        """Of the process that explains; None while there is none."""
        child = self._child
        return child.pid if child is not None and child.lives else None

    def close(self) -> None:
        """Let go of what waits, and end the process."""
        self._closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)
        child = self._child
        if child is not None:
            child.end()
        self._executor.shutdown(wait=True)

    def _asked(self, request: Request) -> Reply | None:
        """The reply, or None when the process is gone."""
        if self._closed:
            raise unexplained("the server stops")
        if self._child is None or not self._child.lives:
            self._child = Companion("service.explain_child")
        try:
            self._child.tell(msgspec.msgpack.encode(request))
            return msgspec.msgpack.decode(self._child.hear(self._answer_within), type=Reply)
        except TimeoutError:
            self._child.end()
            raise Problem(
                503,
                "explanation_too_slow",
                f"The explanation took more than {self._answer_within:.0f} seconds and was ended.",
                remedy="Send fewer rows in a call.",
                headers={"Retry-After": "5"},
            ) from None
        except OSError:
            self._child.end()
            return None

    def _done(self, rows: int) -> None:
        with self._counting:
            self._waiting_rows -= rows


def unexplained(reason: str) -> Problem:
    return Problem(
        500,
        "not_explained",
        f"The rows were answered, but could not be explained: {reason}.",
        remedy="Send the call without explain=true, and report this.",
    )


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())
