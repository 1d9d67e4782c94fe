"""The ASGI application in front of all others: it answers prediction calls itself and passes on everything else.

A call that comes here costs a few microseconds until its rows are read; through the routes behind it would cost
fifty. What is odd about a call (a query, a body in another format, a project without a champion …) goes to the
route of the same path, which answers every call that is answered here, with the same pieces.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.batching import Overloaded, TooLate
from service.context import Context
from service.problems import Problem, problem_of
from service.wire.bodies import body_too_large, unpacked
from service.wire.key_cache import KeyCache
from service.wire.lane import Lane
from service.wire.lanes import Lanes, overloaded, too_late

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_BEFORE, _AFTER = "/v1/projects/", "/predict"
_JSON = (b"content-type", b"application/json")
_PACKED = ((b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))
_READ = frozenset(
    (
        b"authorization",
        b"x-api-key",
        b"content-encoding",
        b"content-type",
        b"accept-encoding",
        b"x-deadline-ms",
    )
)
_OTHER_FORMATS = (b"application/vnd.apache.", b"text/csv")
_IN_THREAD = 64 * 1024
"""Bodies from this size on are unpacked in a thread."""


class Gone(Exception):
    """The client has closed the connection."""


class Front:
    """Takes calls while the service runs (:attr:`lanes` is set); before and after that it passes them on."""

    def __init__(self, behind: App) -> None:
        self._behind = behind
        self.keys = KeyCache("predict")
        self._known: dict[bytes | str, Lane] = {}
        self.lanes: Lanes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        lane = self._lane(scope)
        form = lane.form() if lane is not None else None
        if lane is None or form is None:
            await self._behind(scope, receive, send)
            return
        found = {name: value for name, value in scope["headers"] if name in _READ}
        if found.get(b"content-type", b"").startswith(_OTHER_FORMATS):
            await self._behind(scope, receive, send)
            return
        assert self.lanes is not None
        context = self.lanes.context
        try:
            if context.keys_required:
                await self._authorise(context, found)
            message = await receive()
            most = context.settings.max_predict_bytes
            if message.get("more_body") or len(message.get("body", b"")) > most or len(message) < 2:
                body = await _long_body(message, receive, most)
            else:
                body = message["body"]
            if b"content-encoding" in found:
                body = await _unpacked(body, found[b"content-encoding"], most)
            answer = lane.ask_body(form, body, deadline_of(found.get(b"x-deadline-ms"), context))
            if isinstance(answer, bytes):
                said = answer
            else:
                future, queued = answer
                said = await (_while_connected(future, receive) if queued else future)
        except Gone:
            return
        except Exception as error:
            await _refused(context, lane, error).response(scope["path"])(scope, receive, send)
            return
        headers = [_JSON, (b"content-length", b"%d" % len(said))]
        if len(said) >= context.settings.gzip_answer_bytes and b"gzip" in found.get(b"accept-encoding", b""):
            said = await run_in_threadpool(gzip.compress, said, 1)
            headers = [_JSON, *_PACKED, (b"content-length", b"%d" % len(said))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})

    @property
    def keys_required(self) -> bool:
        return self.lanes is None or self.lanes.context.keys_required

    def lane_at(self, path: bytes | str) -> Lane | None:
        """The lane of a path's prediction calls; None for any other path, and for a project without a champion here."""
        lanes = self.lanes
        if lanes is None:
            self._known.clear()
            return None
        lane = self._known.get(path)
        if lane is None:
            text = path if isinstance(path, str) else path.decode("latin-1")
            if not (text.startswith(_BEFORE) and text.endswith(_AFTER)):
                return None
            lane = lanes.get(text[len(_BEFORE) : -len(_AFTER)])
            if lane is not None:
                self._known[path] = lane
        return lane

    def refusal(self, path: bytes, error: BaseException) -> Response:
        """What a call is told that was taken and could not be answered."""
        lane = self._known.get(path)
        assert lane is not None
        assert self.lanes is not None
        failure = error if isinstance(error, Exception) else RuntimeError(str(error))
        return _refused(self.lanes.context, lane, failure).response(path.decode("latin-1"))

    def _lane(self, scope: Scope) -> Lane | None:
        """The lane that the call belongs in; None for what is not answered here."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["query_string"]:
            return None
        return self.lane_at(scope["path"])

    async def _authorise(self, context: Context, headers: dict[bytes, bytes]) -> None:
        given = headers.get(b"authorization"), headers.get(b"x-api-key")
        if not self.keys.knows(*given):
            await self.keys.check(context, *given)


def deadline_of(header: bytes | None, context: Context) -> float:
    """When a call has to be answered, by ``time.monotonic``: what the caller asks for, within what the server
    allows."""
    seconds = context.settings.predict_deadline_seconds
    if header is not None:
        seconds = min(seconds, asked_seconds(header))
    return time.monotonic() + seconds


def asked_seconds(header: bytes) -> float:
    """The seconds that X-Deadline-Ms asks for. Raises a problem when it is no such number."""
    if not header.isdigit() or not int(header):
        raise Problem(
            422,
            "invalid_deadline",
            "X-Deadline-Ms is not a whole number of milliseconds above 0.",
            field="X-Deadline-Ms",
            remedy="Send for instance 'X-Deadline-Ms: 250', or leave it out.",
        )
    return int(header) / 1000


async def _long_body(message: Message, receive: Receive, most: int) -> bytes:
    """A body that comes in parts, never more than ``most`` bytes of it in memory."""
    parts, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise Gone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise body_too_large(most)
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()


async def _unpacked(body: bytes, encoding: bytes, most: int) -> bytes:
    named = encoding.decode("latin-1").strip().lower()
    if named in ("", "identity"):
        return body
    if len(body) < _IN_THREAD:
        return unpacked(body, named, most)
    return await run_in_threadpool(unpacked, body, named, most)


async def _while_connected(answer: asyncio.Future[bytes], receive: Receive) -> bytes:
    """The answer; when the client goes away first, its call is dropped before it costs model time."""
    gone = asyncio.ensure_future(receive())
    try:
        await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            raise Gone
        return answer.result()
    finally:
        gone.cancel()


def _refused(context: Context, lane: Lane, error: Exception) -> Problem:
    if isinstance(error, Overloaded):
        error = overloaded()
    elif isinstance(error, TooLate):
        error = too_late()
    problem = problem_of(error)
    if isinstance(error, Problem) and problem.status not in (401, 403, 404):
        context.metrics.refused.labels(lane.project, problem.code).inc()
    return problem
