"""A typed client of the HTTP API, for programs that use Incumbent and for its own command line."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, cast
from urllib.parse import quote, urlencode

import httpx

from service.forecast_calls import ForecastCalls
from service.transport import IncumbentError, Transport

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Feedback", "Incumbent", "IncumbentError", "Prediction", "Predictions", "RunState", "Uploaded"]

DEFAULT_URL = "http://127.0.0.1:8000"
ENDED = frozenset({"completed", "failed", "cancelled"})
Row = Mapping[str, Any]
_ARROW = "application/vnd.apache.arrow.stream"
_ROWS_A_BATCH = 65_536


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


class Incumbent(ForecastCalls):
    """One server, spoken to synchronously; safe to share between threads. A context manager.

    ``url`` and ``key`` fall back on ``INCUMBENT_URL`` and ``INCUMBENT_KEY``. A request that certainly did
    nothing (no connection, or the server said it is busy) is sent again up to ``retries`` times; one whose
    answer was lost is sent again only when that changes nothing: reads, and uploads and feedback, which carry
    an ``Idempotency-Key``. Every method raises IncumbentError when the server refuses or stays out of reach.
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
        self._transport = Transport(self.url, headers, timeout=timeout, retries=retries, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

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
        return cast(dict[str, Any], self._transport.json("PATCH", _path(name), changes, safe=False))

    def delete_project(self, name: str) -> None:
        self._transport.json("DELETE", _path(name), None, safe=True)

    # data

    def upload(
        self,
        project: str,
        data: Path | str | Sequence[Row],
        *,
        origin: str | None = None,
        idempotency_key: str | None = None,
    ) -> Uploaded:
        """Stores a file (CSV, Parquet, JSON Lines, each also .gz) or rows, with or without their labels; ``origin``
        names who gave these."""
        named = {} if origin is None else {"origin": origin}
        key = {"idempotency-key": idempotency_key or uuid.uuid4().hex}
        url = _path(project, "data")
        if not isinstance(data, (str, Path)):
            return cast(
                Uploaded,
                self._transport.json("POST", url, {"rows": list(data), **named}, safe=True, headers=key),
            )
        return cast(Uploaded, self._transport.file(url, Path(data), key, parts=named))

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

    def score_table(
        self, project: str, table: pa.Table, *, log: bool = True, errors: Literal["refuse", "null"] = "refuse"
    ) -> pa.Table:
        """The champion's answers to an Arrow table of any length: ``id``, ``value``, for classification ``probabilities``
        (the classes are in the schema's metadata), and with ``errors="null"``, which answers rows at fault by nulls,
        ``error``. Without ``log`` the rows stay out of the prediction log."""
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=_ROWS_A_BATCH)
        asked = urlencode({"log": str(log).lower(), "errors": errors})
        body = sink.getvalue().to_pybytes()
        answer = self._transport.binary(_path(project, f"predict?{asked}"), body, _ARROW)
        return pa.ipc.open_stream(answer).read_all()

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
        return cast(
            Feedback, self._transport.json("POST", _path(project, "feedback"), body, safe=True, headers=key)
        )

    # labels

    def labelling_queue(self, project: str, *, annotator: str, limit: int = 20) -> dict[str, Any]:
        """The rows most worth this person's label; they are theirs for a while."""
        asked = urlencode({"annotator": annotator, "limit": limit})
        return self._get(_path(project, f"labeling?{asked}"))

    def answer_rows(self, project: str, answers: Mapping[str, Any], *, annotator: str) -> dict[str, Any]:
        """A person's labels by row id; None is a skip."""
        said = [
            {"id": row, "skip": True} if label is None else {"id": row, "label": label}
            for row, label in answers.items()
        ]
        return self._post(_path(project, "labeling"), {"annotator": annotator, "answers": said})

    def label_sources(self, project: str) -> dict[str, Any]:
        """Labels by source: counts, agreement, and which source went bad."""
        return self._get(_path(project, "label-sources"))

    def revoke_labels(self, project: str, *, reason: str, **criteria: Any) -> dict[str, Any]:
        """Let the labels of a ``source``, an ``origin`` or a ``teacher`` (``since`` a time) count no longer."""
        return self._post(_path(project, "labels", "revoke"), {**criteria, "reason": reason})

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

    def runs(self, project: str, *, limit: int = 50) -> list[dict[str, Any]]:
        """Newest first, without their trials."""
        return _items(self._get(_path(project, f"runs?limit={limit}")), "runs")

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

    # replays

    def start_replay(self, project: str, file: Path | str | None = None, **options: Any) -> dict[str, Any]:
        """Queues a policy replay of the project's own rows, or of a file. ``options``: see docs/replay.md."""
        url = _path(project, "replays")
        if file is None:
            return self._post(url, options)
        query = f"?options={quote(json.dumps(options), safe='')}"
        return cast(dict[str, Any], self._transport.file(url + query, Path(file), {}))

    def replays(self, project: str) -> list[dict[str, Any]]:
        """Newest first, without their results."""
        return _items(self._get(_path(project, "replays")), "replays")

    def replay(self, project: str, number: int) -> dict[str, Any]:
        return self._get(_path(project, "replays", number))

    def cancel_replay(self, project: str, number: int) -> dict[str, Any]:
        return self._post(_path(project, "replays", number, "cancel"), {})

    def watch_replay(self, project: str, number: int, *, every: float = 0.5) -> Iterator[dict[str, Any]]:
        """The replay each ``every`` seconds until it has ended; the last one given is the end."""
        while True:
            state = self.replay(project, number)
            yield state
            if state["status"] in ENDED:
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

    def promotions(self, project: str, *, limit: int = 50) -> list[dict[str, Any]]:
        """The ledger, newest first."""
        return _items(self._get(_path(project, f"promotions?limit={limit}")), "promotions")

    def decisions(self, project: str, *, limit: int = 50) -> list[dict[str, Any]]:
        """Why a run was started or not, newest first."""
        return _items(self._get(_path(project, f"decisions?limit={limit}")), "decisions")

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

    def _get(self, url: str) -> dict[str, Any]:
        return cast(dict[str, Any], self._transport.json("GET", url, None, safe=True))

    def _post(self, url: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return cast(dict[str, Any], self._transport.json("POST", url, body, safe=False))


def _given(**words: Any) -> dict[str, Any]:
    return {word: value for word, value in words.items() if value is not None}


def _path(project: str, *parts: str | int) -> str:
    return "/".join(["/v1/projects", quote(project, safe=""), *map(str, parts)])


def _items(answer: Any, name: str) -> list[dict[str, Any]]:
    return cast(list[dict[str, Any]], answer if isinstance(answer, list) else answer[name])
