"""API keys that were verified a moment ago, so that not every call asks the database."""

from __future__ import annotations

import hashlib
import time

from starlette.concurrency import run_in_threadpool

from service.context import Context, authorise

KEPT_SECONDS = 5.0
"""A revoked key may go on predicting for so long."""
_MOST = 10_000


class KeyCache:
    """Remembers only what was allowed, by the hash of what was sent. Used on the event loop alone."""

    def __init__(self, scope: str) -> None:
        self._scope = scope
        self._allowed: dict[bytes, float] = {}

    def knows(self, authorization: bytes | None, x_api_key: bytes | None) -> bool:
        until = self._allowed.get(_digest(authorization, x_api_key))
        return until is not None and time.monotonic() < until

    async def check(self, context: Context, authorization: bytes | None, x_api_key: bytes | None) -> None:
        """Raises what :func:`service.api.context.authorise` does; the database is asked in a thread."""
        words = (_text(authorization), _text(x_api_key))
        await run_in_threadpool(authorise, context, *words, self._scope)
        if len(self._allowed) >= _MOST:
            self._allowed.clear()
        self._allowed[_digest(authorization, x_api_key)] = time.monotonic() + KEPT_SECONDS


def _digest(authorization: bytes | None, x_api_key: bytes | None) -> bytes:
    given = x_api_key if x_api_key is not None else authorization or b""
    return hashlib.sha256(b"\1" + given if x_api_key is not None else b"\0" + given).digest()


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")
