"""One POST to a host that was looked up once: the connection goes to an address that was checked, whatever the name leads
to a moment later. No redirects, no proxies of the environment, one deadline for all of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from service.host_guard import Guard, Resolve, resolve

MOST_BYTES = 16 * 1024
"""Of an answer; what it says is shown to people, not kept."""


class Unreachable(Exception):
    """No answer came; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    guard: Guard,
    seconds: float,
    look_up: Resolve = resolve,
) -> Answer:
    """The answer, which comes within ``seconds`` or not at all. Raises Unreachable, Forbidden."""
    backend = _Pinning(guard, look_up, time.monotonic() + seconds)
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), seconds)
    try:
        context = httpx.create_ssl_context()
        with (
            httpcore.ConnectionPool(ssl_context=context, network_backend=backend, max_connections=1) as pool,
            pool.stream(
                "POST",
                url,
                headers=[*headers.items(), ("content-length", str(len(body))), ("connection", "close")],
                content=body,
                extensions={"timeout": timeouts},
            ) as response,
        ):
            return Answer(
                status=response.status,
                headers={
                    name.decode("latin-1").lower(): value.decode("latin-1")
                    for name, value in response.headers
                },
                body=_beginning(response.iter_stream()),
            )
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
        raise Unreachable(_said(error, seconds)) from error


def _beginning(pieces: Iterable[bytes]) -> bytes:
    kept = b""
    for piece in pieces:
        kept += piece
        if len(kept) >= MOST_BYTES:
            break
    return kept[:MOST_BYTES]


def _said(error: Exception, seconds: float) -> str:
    if isinstance(error, httpcore.TimeoutException):
        return f"no answer within {seconds:g} s"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class _Pinning(httpcore.NetworkBackend):
    """Connects to checked addresses only, with what is left of the time. The name stays in the request and in TLS."""

    def __init__(self, guard: Guard, look_up: Resolve, until: float) -> None:
        self._guard = guard
        self._look_up = look_up
        self._until = until
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in self._guard.addresses(host, port, self._look_up):
            try:
                stream = self._sockets.connect_tcp(address, port, _left(self._until))
            except (httpcore.NetworkError, httpcore.TimeoutException) as error:
                failure = error
            else:
                return _Bounded(stream, self._until)
        raise failure


class _Bounded(httpcore.NetworkStream):
    """A stream whose every step has only what is left of the time: a byte now and then does not keep it open."""

    def __init__(self, stream: httpcore.NetworkStream, until: float) -> None:
        self._stream = stream
        self._until = until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._until))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._until))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> Any:
        return _Bounded(self._stream.start_tls(ssl_context, server_hostname, _left(self._until)), self._until)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time is over")
    return left
