"""Every call of the API as a value: what is sent, and how the answer is read. Neither waits nor awaits: both clients
send these."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote, urlencode

from service.client_words import Feedback, Json, OnError, Predictions, Row, RunState, Uploaded
from service.tables import (
    ARROW,
    answers_frame,
    is_frame,
    labels_of,
    parquet_of,
    rows_of,
    stream_of,
    table_in,
    table_of,
)
from service.transport import Call, File, Progress

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

DEFAULT_URL = "http://127.0.0.1:8000"
T = TypeVar("T")


def address(url: str | None) -> str:
    return (url or os.environ.get("INCUMBENT_URL") or DEFAULT_URL).rstrip("/")


def headers(key: str | None) -> dict[str, str]:
    secret = key or os.environ.get("INCUMBENT_KEY")
    return {"accept": "application/json", **({"authorization": f"Bearer {secret}"} if secret else {})}


def path(project: str, *parts: str | int) -> str:
    return "/".join(["/v1/projects", quote(project, safe=""), *map(str, parts)])


def given(**words: Any) -> Json:
    """The words that were said."""
    return {word: value for word, value in words.items() if value is not None}


def get(url: str) -> Call[Json]:
    return Call(method="GET", url=url, read=_json, safe=True)


def listed(url: str, name: str) -> Call[list[Json]]:
    return Call(method="GET", url=url, read=lambda found: _items(found, name), safe=True)


def post(url: str, body: Mapping[str, Any], read: Callable[[Any], T], *, key: str | None = None) -> Call[T]:
    """A change. With an idempotency ``key`` it may be sent again."""
    sent = {} if key is None else {"idempotency-key": key}
    return Call(method="POST", url=url, body=body, read=read, safe=key is not None, headers=sent)


# projects


def create_project(name: str, *, task: str, target: str, **more: Any) -> Call[Json]:
    return post("/v1/projects", {"name": name, "task": task, "target": target, **given(**more)}, _json)


def update_project(name: str, changes: Mapping[str, Any]) -> Call[Json]:
    return Call(method="PATCH", url=path(name), body=changes, read=_json, safe=False)


def delete_project(name: str) -> Call[None]:
    return Call(method="DELETE", url=path(name), read=lambda _: None, safe=True)


# rows, answers and truth


def upload(
    project: str,
    data: Path | str | Sequence[Row] | pd.DataFrame,
    *,
    origin: str | None,
    idempotency_key: str | None,
    progress: Progress | None,
) -> Call[Uploaded]:
    named, key, url = given(origin=origin), idempotency_key or uuid.uuid4().hex, path(project, "data")
    read = cast(Callable[[Any], Uploaded], _json)
    if is_frame(data):
        file = File(name="frame.parquet", data=parquet_of(data), parts=named)
    elif isinstance(data, str | Path):
        file = File(name=Path(data).name, data=Path(data), parts=named, progress=progress)
    else:
        return post(url, {"rows": list(cast(Sequence[Row], data)), **named}, read, key=key)
    sent = {"idempotency-key": key}
    return Call(method="POST", url=url, file=file, read=read, safe=True, headers=sent)


def predict(
    project: str, rows: Iterable[Row] | pd.DataFrame, *, explain: bool, counterfactual: bool
) -> Call[Predictions]:
    asked = {"explain": explain or counterfactual, "counterfactual": counterfactual}
    said = urlencode({name: "true" for name, wanted in asked.items() if wanted})
    url = path(project, f"predict?{said}" if said else "predict")
    return post(url, {"rows": rows_of(rows)}, cast(Callable[[Any], Predictions], _json))


def score_table(project: str, table: pa.Table, *, log: bool, errors: OnError) -> Call[pa.Table]:
    return _scored(project, table, log, errors, table_in)


def predict_frame(project: str, frame: pd.DataFrame, *, log: bool, errors: OnError) -> Call[pd.DataFrame]:
    index = frame.index
    return _scored(project, table_of(frame), log, errors, lambda stream: answers_frame(stream, index))


def _scored(project: str, table: pa.Table, log: bool, errors: OnError, read: Callable[[bytes], T]) -> Call[T]:
    asked = urlencode({"log": str(log).lower(), "errors": errors})
    url = path(project, f"predict?{asked}")
    return Call(method="POST", url=url, content=stream_of(table), media_type=ARROW, read=read, safe=not log)


def forecast(
    project: str,
    horizon: int | None,
    series: Sequence[str] | None,
    covariates: Iterable[Row] | pd.DataFrame,
) -> Call[Json]:
    known = rows_of(covariates) or None
    return post(path(project, "forecast"), given(horizon=horizon, series=series, covariates=known), _json)


def feedback(
    project: str,
    labels: Mapping[str, Any] | Iterable[tuple[str, Any]] | pd.Series[Any],
    *,
    origin: str | None,
    idempotency_key: str | None,
) -> Call[Feedback]:
    body = {
        "labels": [{"id": row, "label": label} for row, label in labels_of(labels)],
        **given(origin=origin),
    }
    read = cast(Callable[[Any], Feedback], _json)
    return post(path(project, "feedback"), body, read, key=idempotency_key or uuid.uuid4().hex)


def outliers(project: str, limit: int, source: str | None, batch: int | None) -> Call[Json]:
    asked = urlencode(given(limit=limit, source=source, batch=batch))
    return get(path(project, f"outliers?{asked}"))


# labels


def labelling_queue(project: str, annotator: str, limit: int) -> Call[Json]:
    return get(path(project, f"labeling?{urlencode({'annotator': annotator, 'limit': limit})}"))


def answer_rows(project: str, answers: Mapping[str, Any], annotator: str) -> Call[Json]:
    said = [
        {"id": row, "skip": True} if label is None else {"id": row, "label": label}
        for row, label in answers.items()
    ]
    # Answered again, a row keeps the answer it has.
    body = {"annotator": annotator, "answers": said}
    return Call(method="POST", url=path(project, "labeling"), body=body, read=_json, safe=True)


def revoke_labels(
    project: str, reason: str, criteria: Mapping[str, Any], idempotency_key: str | None
) -> Call[Json]:
    key = idempotency_key or uuid.uuid4().hex
    return post(path(project, "labels", "revoke"), {**criteria, "reason": reason}, _json, key=key)


# runs and models


def start_run(
    project: str,
    engines: Mapping[str, float] | Sequence[str] | None,
    budget_seconds: float | None,
    reason: str | None,
) -> Call[RunState]:
    body = given(engines=engines, budget_seconds=budget_seconds, reason=reason)
    return post(path(project, "runs"), body, cast(Callable[[Any], RunState], _json))


def run(project: str, number: int) -> Call[RunState]:
    read = cast(Callable[[Any], RunState], _json)
    return Call(method="GET", url=path(project, "runs", number), read=read, safe=True)


def cancel_run(project: str, number: int) -> Call[RunState]:
    return post(path(project, "runs", number, "cancel"), {}, cast(Callable[[Any], RunState], _json))


def start_replay(project: str, file: Path | str | None, options: Mapping[str, Any]) -> Call[Json]:
    url = path(project, "replays")
    if file is None:
        return post(url, options, _json)
    query = f"?options={quote(json.dumps(options), safe='')}"
    form = File(name=Path(file).name, data=Path(file))
    return Call(method="POST", url=url + query, file=form, read=_json, safe=True)


def cancel_replay(project: str, number: int) -> Call[Json]:
    return post(path(project, "replays", number, "cancel"), {}, _json)


def promote(project: str, version: int, reason: str | None) -> Call[Json]:
    return post(path(project, "models", version, "promote"), given(reason=reason), _json)


def rollback(project: str, reason: str | None) -> Call[Json]:
    return post(path(project, "rollback"), given(reason=reason), _json)


def _json(found: Any) -> Json:
    return cast(Json, found)


def _items(answer: Any, name: str) -> list[Json]:
    return cast(list[Json], answer if isinstance(answer, list) else answer[name])
