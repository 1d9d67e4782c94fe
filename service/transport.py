"""How the client sends: when it may send again, and how a refusal becomes an error with its remedy. What is decided is
decided once, for the client that waits and for the one that awaits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

import httpx
import msgspec

BUSY = frozenset({429, 503})
LONGEST_WAIT = 5.0
LONG_SECONDS = 600.0
"""How long a call may take that carries a whole table."""

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Told how many bytes of how many have been read for sending."""


class IncumbentError(Exception):
    """The server refused, or could not be reached.

    ``status`` is the HTTP status (0 when no answer came), ``code`` the problem's stable word, ``field`` the
    part of the request at fault and ``remedy`` what to do about it, where the server named them.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str = "error",
        field: str | None = None,
        remedy: str | None = None,
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field
        self.remedy = remedy
        self.problem = dict(problem or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """Bytes, or a file that is read anew for each attempt, sent as a form with further ``parts``."""

    name: str
    data: Path | bytes
    parts: Mapping[str, str] = field(default_factory=dict)
    progress: Progress | None = None

    def open(self, opened: ExitStack) -> tuple[str, Any]:
        if isinstance(self.data, bytes):
            return self.name, self.data
        if not self.data.is_file():
            message = f"There is no file {self.data}."
            raise IncumbentError(message, code="no_file", remedy="Give the path of a file.")
        stream: Any = opened.enter_context(self.data.open("rb"))
        return self.name, stream if self.progress is None else Told(stream, self.progress)


class Told:
    """A file that says how far it was read."""

    def __init__(self, file: IO[bytes], progress: Progress) -> None:
        self._file = file
        self._progress = progress
        self._size = file.seek(0, 2)
        file.seek(0)

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._progress(self._file.tell(), self._size)
        return piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One request, and how its answer is read. ``safe``: sent twice it changes no more than once. With ``media_type``
    the bytes that come back are read, else their JSON."""

    method: str
    url: str
    read: Callable[[Any], T]
    safe: bool
    body: Any = None
    content: bytes | None = None
    media_type: str | None = None
    file: File | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(self, opened: ExitStack) -> dict[str, Any]:
        """The words that httpx takes."""
        words: dict[str, Any] = {"method": self.method, "url": self.url, "headers": dict(self.headers)}
        if self.file is not None:
            return words | {
                "data": dict(self.file.parts),
                "files": {"file": self.file.open(opened)},
                "timeout": LONG_SECONDS,
            }
        if self.media_type is not None:
            words["headers"] |= {"content-type": self.media_type, "accept": self.media_type}
            return words | {"content": self.content, "timeout": LONG_SECONDS}
        if self.body is not None:
            words["headers"]["content-type"] = "application/json"
            words["content"] = msgspec.json.encode(self.body, enc_hook=_plain)
        return words

    def answer(self, response: httpx.Response) -> T:
        """Raises IncumbentError for a refusal."""
        if self.media_type is not None and response.is_success:
            return self.read(response.content)
        return self.read(_json(response))


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """Whether and when a call is sent again: a little later each time."""

    url: str
    most: int

    def after_error(self, error: httpx.TransportError, attempt: int, *, safe: bool) -> float:
        """The seconds to wait. Raises IncumbentError where it must not be sent again: what got no connection did
        nothing, but of a lost answer nobody knows."""
        nothing_done = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        if attempt >= self.most or not (safe or nothing_done):
            raise unreachable(self.url, error) from error
        return _pause(attempt)

    def after_answer(self, response: httpx.Response, attempt: int) -> float | None:
        """The seconds to wait; None where this is the answer."""
        if response.status_code not in BUSY or attempt >= self.most:
            return None
        return max(_pause(attempt), _retry_after(response))


class Transport:
    """One connection pool."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        timeout: float,
        retries: int,
        transport: httpx.BaseTransport | None,
    ) -> None:
        self._retries = Retries(url=url, most=retries)
        with _addresses(url):
            self._http = httpx.Client(
                base_url=url, headers=dict(headers), timeout=timeout, transport=transport
            )

    def close(self) -> None:
        self._http.close()

    def send(self, call: Call[T]) -> T:
        attempt = 0
        while True:
            try:
                with ExitStack() as opened:
                    response = self._http.request(**call.request(opened))
            except httpx.TransportError as error:
                wait: float | None = self._retries.after_error(error, attempt, safe=call.safe)
            else:
                wait = self._retries.after_answer(response, attempt)
                if wait is None:
                    return call.answer(response)
            time.sleep(wait or 0.0)
            attempt += 1

    def lines(self, url: str) -> Iterator[str]:
        """The lines of an answer as they come. Raises IncumbentError."""
        try:
            with self._http.stream("GET", url, timeout=httpx.Timeout(60.0)) as response:
                if not response.is_success:
                    response.read()
                    _json(response)
                yield from response.iter_lines()
        except httpx.TransportError as error:
            raise unreachable(self._retries.url, error) from error


class AsyncTransport:
    """The same for an event loop."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        timeout: float,
        retries: int,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._retries = Retries(url=url, most=retries)
        with _addresses(url):
            self._http = httpx.AsyncClient(
                base_url=url, headers=dict(headers), timeout=timeout, transport=transport
            )

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        attempt = 0
        while True:
            try:
                with ExitStack() as opened:
                    response = await self._http.request(**call.request(opened))
            except httpx.TransportError as error:
                wait: float | None = self._retries.after_error(error, attempt, safe=call.safe)
            else:
                wait = self._retries.after_answer(response, attempt)
                if wait is None:
                    return call.answer(response)
            await asyncio.sleep(wait or 0.0)
            attempt += 1

    async def lines(self, url: str) -> AsyncIterator[str]:
        """The lines of an answer as they come. Raises IncumbentError."""
        try:
            async with self._http.stream("GET", url, timeout=httpx.Timeout(60.0)) as response:
                if not response.is_success:
                    await response.aread()
                    _json(response)
                async for line in response.aiter_lines():
                    yield line
        except httpx.TransportError as error:
            raise unreachable(self._retries.url, error) from error


class _addresses:  # noqa: N801  (a context, read as a word)
    """Turns what is no address into an error with its remedy."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, httpx.InvalidURL):
            raise IncumbentError(
                f"{self._url!r} is no address: {error}.",
                code="bad_url",
                remedy="Write it like http://127.0.0.1:8000.",
            ) from error


def unreachable(url: str, error: Exception) -> IncumbentError:
    return IncumbentError(
        f"No answer from {url}: {error or type(error).__name__}.",
        code="unreachable",
        remedy="Start it with 'incumbent serve', or point --url / INCUMBENT_URL to where it runs.",
    )


def _pause(attempt: int) -> float:
    return float(0.1 * 2**attempt)


def _retry_after(response: httpx.Response) -> float:
    """The seconds that the server asks for, at most LONGEST_WAIT."""
    text = response.headers.get("retry-after", "")
    return min(float(text), LONGEST_WAIT) if text.isdigit() else 0.0


def _plain(value: Any) -> Any:
    """What JSON has no word for, of the values that data frames hold (numpy scalars)."""
    return value.item() if hasattr(value, "item") else str(value)


def _json(response: httpx.Response) -> Any:
    if response.status_code == 204 or (response.is_success and not response.content):
        return {}
    try:
        body = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        body = None
    if response.is_success and body is not None:
        return body
    problem = body if isinstance(body, dict) else {}
    text = problem.get("detail") or problem.get("title") or f"The server answered {response.status_code}."
    raise IncumbentError(
        str(text),
        status=response.status_code,
        code=str(problem.get("code") or f"http_{response.status_code}"),
        field=problem.get("field"),
        remedy=problem.get("remedy"),
        problem=problem,
    )
