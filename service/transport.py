"""How the client sends: when it may send again, and how a refusal becomes an error with its remedy."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec

BUSY = frozenset({429, 503})
LONGEST_WAIT = 5.0


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


class Transport:
    """One connection pool. ``safe`` says that a request sent twice changes no more than once."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        timeout: float,
        retries: int,
        transport: httpx.BaseTransport | None,
    ) -> None:
        self.url = url
        self._retries = retries
        try:
            self._http = httpx.Client(
                base_url=url, headers=dict(headers), timeout=timeout, transport=transport
            )
        except httpx.InvalidURL as error:
            raise IncumbentError(
                f"{url!r} is no address: {error}.",
                code="bad_url",
                remedy="Write it like http://127.0.0.1:8000.",
            ) from error

    def close(self) -> None:
        self._http.close()

    def json(
        self, method: str, url: str, body: Any, *, safe: bool, headers: Mapping[str, str] | None = None
    ) -> Any:
        sent = dict(headers or {})
        content = None
        if body is not None:
            content = msgspec.json.encode(body, enc_hook=_plain)
            sent["content-type"] = "application/json"
        return self._attempt(
            lambda: self._http.request(method, url, content=content, headers=sent), safe=safe
        )

    def binary(self, url: str, content: bytes, media_type: str) -> bytes:
        """Posts bytes and gives the bytes that come back."""
        headers = {"content-type": media_type, "accept": media_type}
        return cast(
            bytes,
            self._attempt(
                lambda: self._http.post(url, content=content, headers=headers, timeout=600.0),
                safe=False,
                read=_bytes,
            ),
        )

    def file(
        self, url: str, path: Path, headers: Mapping[str, str], *, parts: Mapping[str, str] | None = None
    ) -> Any:
        """Sends a file as a form, with further ``parts``."""

        def send() -> httpx.Response:
            with path.open("rb") as stream:
                return self._http.post(
                    url, data=parts, files={"file": (path.name, stream)}, headers=headers, timeout=600.0
                )

        if not path.is_file():
            raise IncumbentError(
                f"There is no file {path}.", code="no_file", remedy="Give the path of a file."
            )
        return self._attempt(send, safe=True)

    def _attempt(
        self,
        send: Callable[[], httpx.Response],
        *,
        safe: bool,
        read: Callable[[httpx.Response], Any] | None = None,
    ) -> Any:
        """Sends, and sends again where the class's promise allows it, a little later each time."""
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            wait = 0.1 * 2**attempt
            try:
                response = send()
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                if last:
                    raise self._unreachable(error) from error
            except httpx.TransportError as error:
                if last or not safe:
                    raise self._unreachable(error) from error
            else:
                if response.status_code not in BUSY or last:
                    return (read or _answer)(response)
                wait = max(wait, _retry_after(response))
            time.sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _unreachable(self, error: Exception) -> IncumbentError:
        return IncumbentError(
            f"No answer from {self.url}: {error or type(error).__name__}.",
            code="unreachable",
            remedy="Start it with 'incumbent serve', or point --url / INCUMBENT_URL to where it runs.",
        )


def _retry_after(response: httpx.Response) -> float:
    """The seconds that the server asks for, at most LONGEST_WAIT."""
    text = response.headers.get("retry-after", "")
    return min(float(text), LONGEST_WAIT) if text.isdigit() else 0.0


def _plain(value: Any) -> Any:
    """What JSON has no word for, of the values that data frames hold (numpy scalars)."""
    if hasattr(value, "item"):
        return value.item()
    return str(value)


def _bytes(response: httpx.Response) -> bytes:
    return response.content if response.is_success else cast(bytes, _answer(response))  # which raises


def _answer(response: httpx.Response) -> Any:
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
