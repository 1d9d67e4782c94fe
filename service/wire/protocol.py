"""Prediction calls answered by the HTTP protocol itself, before there is any ASGI.

Of a small call's way through a server, two thirds are the ASGI messages between protocol and application. A usual call
(JSON, small, on a connection that stays) is answered here; all others, and usual ones whose rows turn out odd, are
given to uvicorn's own protocol as if it had read them, and so to :mod:`service.wire.front`, which answers whatever is
answered here. This extends a class of uvicorn that it does not call public, hence the pin in pyproject.toml.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.wire.front import Front
from service.wire.lane import LARGE_BODY, Lane

_ODD = frozenset((b"content-encoding", b"transfer-encoding", b"expect", b"upgrade", b"x-deadline-ms"))
_CREDENTIALS = (b"authorization", b"x-api-key")
_HEAD = b"content-type: application/json\r\ncontent-length: "


class WireProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        front = getattr(self.app, "front", None)
        self._front: Front | None = front if isinstance(front, Front) else None
        self._lane: Lane | None = None
        self._parts: list[bytes] = []
        self._answer: asyncio.Future[bytes] | None = None
        self._leaving = False
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_since = 0.0
        self._dates: Any = None
        self._before_length = b""

    # What the parser tells

    def on_headers_complete(self) -> None:
        self._lane = self._lane_of_call()
        if self._lane is None:
            super().on_headers_complete()
        else:
            self._parts = []

    def on_body(self, body: bytes) -> None:
        if self._lane is None:
            super().on_body(body)
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        lane = self._lane
        if lane is None:
            super().on_message_complete()
            return
        parts = self._parts
        answer = lane.ask_small(parts[0] if len(parts) == 1 else b"".join(parts))
        self._lane, self._parts = None, []
        if answer is None:  # as if nobody had looked at it
            super().on_headers_complete()
            for part in parts:
                super().on_body(part)
            super().on_message_complete()
        elif isinstance(answer, bytes):
            self._write(answer)
        else:
            self._answer = answer
            answer.add_done_callback(self._answered)

    def _lane_of_call(self) -> Lane | None:
        """The lane of a usual call; None for all others."""
        front = self._front
        if front is None or self._answer is not None or self._leaving:
            return None
        lane = front.lane_at(self.url)
        if lane is None or self.parser.get_method() != b"POST":
            return None
        if self._in_asgi() or self.pipeline:
            return None
        if self.parser.get_http_version() != "1.1" or not self.parser.should_keep_alive():
            return None
        length = -1
        for name, value in self.headers:
            if name == b"content-length":
                length = int(value) if value.isdigit() else -1
            elif name in _ODD or (name == b"content-type" and not value.startswith(b"application/json")):
                return None
        if not 0 < length <= LARGE_BODY:
            return None
        if front.keys_required:
            given = dict(self.headers)
            if not front.keys.knows(*(given.get(name) for name in _CREDENTIALS)):
                return None
        return lane

    def _in_asgi(self) -> bool:
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    # Answers

    def _answered(self, future: asyncio.Future[bytes]) -> None:
        self._answer = None
        if future.cancelled() or self.transport.is_closing():
            return
        error = future.exception()
        if error is None:
            self._write(future.result())
        else:
            self._refuse(error)
        if self.pipeline:  # a request that came while this one was under way
            self.flow.resume_reading()
            cycle, app = self.pipeline.pop()
            super()._start_asgi_task(cycle, app)
        if self._leaving and not self._in_asgi():
            self.transport.close()

    def _write(self, body: bytes) -> None:
        if self._dates is not self.server_state.default_headers:
            self._dates = self.server_state.default_headers
            told = b"".join(b"%s: %s\r\n" % header for header in self._dates)
            self._before_length = STATUS_LINE[200] + told + _HEAD
        self.transport.write(b"%s%d\r\n\r\n%s" % (self._before_length, len(body), body))
        self._over()

    def _refuse(self, error: BaseException) -> None:
        assert self._front is not None
        response = self._front.refusal(self.url, error)
        headers = [*self.server_state.default_headers, *response.raw_headers]
        told = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[response.status_code] + told + b"\r\n" + bytes(response.body))
        self._over()

    def _over(self) -> None:
        self.server_state.total_requests += 1
        self._idle_since = time.monotonic()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._look)

    def _look(self) -> None:
        """One timer a connection, not one a request: it looks again later when there was a request since."""
        self._idle_timer = None
        if self.transport.is_closing() or self.timeout_keep_alive_task is not None:
            return
        busy = self._answer is not None or self._in_asgi()
        left = self._idle_since + self.timeout_keep_alive - time.monotonic()
        if busy or left > 0:
            self._idle_timer = self.loop.call_later(max(left, 1.0), self._look)
        else:
            self.transport.close()

    # What uvicorn asks

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if self._answer is None:
            super()._start_asgi_task(cycle, app)
        else:  # answers leave in the order of the requests
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, app))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None:
            self._answer.cancel()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        self._leaving = True
        if self._answer is None:
            super().shutdown()
