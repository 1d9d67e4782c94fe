"""A typed client of the HTTP API, for programs that use Incumbent and for its own command line."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, cast
from urllib.parse import quote

import httpx
import msgspec

DEFAULT_URL = "http://127.0.0.1:8000"
ENDED = frozenset({"completed", "failed", "cancelled"})
BUSY = frozenset({429, 503})
Row = Mapping[str, Any]


class Uploaded(TypedDict):
    """What an upload did. ``dataset_version`` is the version it made."""

    batch: int
    rows: int
    labelled: int
    unlabelled: int
    quarantined: int
    dataset_version: int


class Prediction(TypedDict, total=False):
    """One answer: the row's id, the value, and for classification the probability of each class."""

    id: str
    value: Any
    probabilities: dict[str, float]


class Predictions(TypedDict):
    model_version: int
    predictions: list[Prediction]


class Feedback(TypedDict):
    """``unknown`` ids were never seen; ``conflicting`` ids have another true label already."""

    accepted: int
    unknown: list[str]
    conflicting: list[str]


class RunState(TypedDict, total=False):
    run: int
    status: str
    trigger: Any
    reason: str
    snapshot: Any
    trials: list[dict[str, Any]]
    verdict: dict[str, Any] | None
    error: str | None


class IncumbentError(Exception):
    """The server refused, or could not be reached.

    ``status`` is the HTTP status (0 when no answer came), ``code`` the problem's stable word, ``field`` the part
    of the request at fault and ``remedy`` what to do about it, where the server named them.
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


class Incumbent:
    """One server, spoken to synchronously; safe to share between threads. Use as a context manager, or close it.

    ``url`` and ``key`` fall back on ``INCUMBENT_URL`` and ``INCUMBENT_KEY``. A request that certainly did nothing
    (no connection, or the server said it is busy) is sent again up to ``retries`` times; one whose answer was lost
    is sent again only when that changes nothing: reads, and uploads and feedback, which carry an
    ``Idempotency-Key``. Every method raises IncumbentError when the server refuses or stays out of reach.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = (url or os.environ.get("INCUMBENT_URL") or DEFAULT_URL).rstrip("/")
        secret = key or os.environ.get("INCUMBENT_KEY")
        headers = {"accept": "application/json"}
        if secret:
            headers["authorization"] = f"Bearer {secret}"
        self._retries = retries
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # projects

    def create_project(self, name: str, *, task: str, target: str, **more: Any) -> dict[str, Any]:
        """``more``: metric, time_column, id_column, entity_column, sensitive, horizon, policy."""
        given = {word: value for word, value in more.items() if value is not None}
        body = {"name": name, "task": task, "target": target, **given}
        return self._post("/v1/projects", body)

    def projects(self) -> list[dict[str, Any]]:
        return _items(self._get("/v1/projects"), "projects")

    def project(self, name: str) -> dict[str, Any]:
        return self._get(_path(name))

    def update_project(self, name: str, **changes: Any) -> dict[str, Any]:
        return cast(dict[str, Any], self._json("PATCH", _path(name), changes, safe=False))

    def delete_project(self, name: str) -> None:
        self._json("DELETE", _path(name), None, safe=True)

    # data

    def upload(
        self, project: str, data: Path | str | Sequence[Row], *, idempotency_key: str | None = None
    ) -> Uploaded:
        """Stores a file (CSV, Parquet, JSON Lines, each also .gz) or rows, with or without their labels."""
        key = {"idempotency-key": idempotency_key or uuid.uuid4().hex}
        url = _path(project, "data")
        if not isinstance(data, (str, Path)):
            return cast(Uploaded, self._json("POST", url, {"rows": list(data)}, safe=True, headers=key))
        return cast(Uploaded, self._send_file(url, Path(data), key))

    def batches(self, project: str) -> list[dict[str, Any]]:
        return _items(self._get(_path(project, "data")), "batches")

    def quarantine(self, project: str) -> list[dict[str, Any]]:
        return _items(self._get(_path(project, "quarantine")), "rows")

    def schema(self, project: str) -> dict[str, Any]:
        return self._get(_path(project, "schema"))

    # predictions and truth

    def predict(self, project: str, rows: Iterable[Row], *, explain: bool = False) -> Predictions:
        """The champion's answers, in the order of the rows."""
        url = _path(project, "predict") + ("?explain=true" if explain else "")
        return cast(Predictions, self._post(url, {"rows": list(rows)}))

    def feedback(
        self,
        project: str,
        labels: Mapping[str, Any] | Iterable[tuple[str, Any]],
        *,
        idempotency_key: str | None = None,
    ) -> Feedback:
        """Tells the truth about rows, by their ids."""
        pairs = labels.items() if isinstance(labels, Mapping) else labels
        body = {"labels": [{"id": row, "label": label} for row, label in pairs]}
        key = {"idempotency-key": idempotency_key or uuid.uuid4().hex}
        return cast(Feedback, self._json("POST", _path(project, "feedback"), body, safe=True, headers=key))

    # runs

    def start_run(
        self,
        project: str,
        *,
        engines: Mapping[str, float] | Sequence[str] | None = None,
        budget_seconds: float | None = None,
        reason: str | None = None,
    ) -> RunState:
        """Starts a search now. One runs at a time a project: 409 ``run_active`` when one does."""
        asked = {"engines": engines, "budget_seconds": budget_seconds, "reason": reason}
        body = {word: value for word, value in asked.items() if value is not None}
        return cast(RunState, self._post(_path(project, "runs"), body))

    def runs(self, project: str) -> list[dict[str, Any]]:
        return _items(self._get(_path(project, "runs")), "runs")

    def run(self, project: str, number: int) -> RunState:
        return cast(RunState, self._get(_path(project, "runs", number)))

    def cancel_run(self, project: str, number: int) -> RunState:
        return cast(RunState, self._post(_path(project, "runs", number, "cancel"), {}))

    def watch(self, project: str, number: int, *, every: float = 0.5) -> Iterator[RunState]:
        """The run's state each ``every`` seconds until it has ended; the last one given is the end."""
        while True:
            state = self.run(project, number)
            yield state
            if state.get("status") in ENDED:
                return
            time.sleep(every)

    # models

    def models(self, project: str) -> list[dict[str, Any]]:
        return _items(self._get(_path(project, "models")), "models")

    def model(self, project: str, version: int) -> dict[str, Any]:
        return self._get(_path(project, "models", version))

    def promote(self, project: str, version: int, *, reason: str | None = None) -> dict[str, Any]:
        return self._post(_path(project, "models", version, "promote"), _given(reason=reason))

    def rollback(self, project: str, *, reason: str | None = None) -> dict[str, Any]:
        return self._post(_path(project, "rollback"), _given(reason=reason))

    def champion(self, project: str) -> dict[str, Any]:
        return self._get(_path(project, "champion"))

    def promotions(self, project: str) -> list[dict[str, Any]]:
        """The ledger, newest first."""
        return _items(self._get(_path(project, "promotions")), "promotions")

    def decisions(self, project: str) -> list[dict[str, Any]]:
        """Why a run was started or not, newest first."""
        return _items(self._get(_path(project, "decisions")), "decisions")

    # the look of things

    def drift(self, project: str) -> dict[str, Any]:
        return self._get(_path(project, "drift"))

    def performance(self, project: str) -> dict[str, Any]:
        return self._get(_path(project, "performance"))

    def monitoring(self, project: str) -> dict[str, Any]:
        return self._get(_path(project, "monitoring"))

    def health(self) -> dict[str, Any]:
        return self._get("/healthz")

    def ready(self) -> dict[str, Any]:
        return self._get("/readyz")

    # transport

    def _get(self, url: str) -> Any:
        return self._json("GET", url, None, safe=True)

    def _post(self, url: str, body: Mapping[str, Any]) -> Any:
        return self._json("POST", url, body, safe=False)

    def _json(
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

    def _send_file(self, url: str, path: Path, headers: Mapping[str, str]) -> Any:
        def send() -> httpx.Response:
            with path.open("rb") as stream:
                return self._http.post(
                    url, files={"file": (path.name, stream)}, headers=headers, timeout=600.0
                )

        if not path.is_file():
            raise IncumbentError(
                f"There is no file {path}.", code="no_file", remedy="Give the path of a file."
            )
        return self._attempt(send, safe=True)

    def _attempt(self, send: Any, *, safe: bool) -> Any:
        """Sends, and sends again where the class's promise allows it, a little later each time."""
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                response: httpx.Response = send()
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                if last:
                    raise self._unreachable(error) from error
            except httpx.TransportError as error:
                if last or not safe:
                    raise self._unreachable(error) from error
            else:
                if response.status_code not in BUSY or last:
                    return _answer(response)
            time.sleep(0.1 * 2**attempt)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _unreachable(self, error: Exception) -> IncumbentError:
        return IncumbentError(
            f"No answer from {self.url}: {error or type(error).__name__}.",
            code="unreachable",
            remedy="Start it with 'incumbent serve', or point --url / INCUMBENT_URL to where it runs.",
        )


def _plain(value: Any) -> Any:
    """What JSON has no word for, of the values that data frames hold (numpy scalars)."""
    if hasattr(value, "item"):
        return value.item()
    return str(value)


def _given(**words: Any) -> dict[str, Any]:
    return {word: value for word, value in words.items() if value is not None}


def _path(project: str, *parts: str | int) -> str:
    return "/".join(["/v1/projects", quote(project, safe=""), *map(str, parts)])


def _items(answer: Any, name: str) -> list[dict[str, Any]]:
    return cast(list[dict[str, Any]], answer if isinstance(answer, list) else answer[name])


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
