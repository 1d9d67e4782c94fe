"""Rows come in, and what became of them is read back: batches, quarantine, versions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
from anyio import CapacityLimiter
from anyio.lowlevel import RunVar
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Header, Query, Request, Response

from automl.errors import SchemaError
from automl.schema import Schema
from automl.task import Task
from registry.records import Batch, BatchKind, DatasetVersion, Project
from service.answers import LONGEST_NAME
from service.api import schema
from service.api.context import Context, Ctx, ProjectInPath, require
from service.chunks import Limits
from service.intake import CountOdd, Receipt, answer, take_in
from service.problems import Problem
from service.readers import Format, Source, named_origin, open_source, rows_source
from service.upload_origin import digest_of, upload_origin
from service.uploads import Upload, receive, storage_problems, too_large

router = APIRouter(dependencies=[Depends(require("data"))])
router.include_router(schema.router)

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="the same key and the same body store nothing twice and get the same answer",
    ),
]
Limit = Annotated[int, Query(ge=1, le=1000)]
Before = Annotated[int | None, Query(ge=1, description="only those with a smaller number")]

UPLOADS_AT_ONCE = 4
"""More wait their turn; each may need some hundred megabytes."""

_threads: RunVar[CapacityLimiter] = RunVar("incumbent_intake_threads")

_ORIGIN = {
    "type": "string",
    "maxLength": LONGEST_NAME,
    "description": "who gave the labels, where several do: 'crm' is kept as 'given:crm'",
}
_REQUEST_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {"file": {"type": "string", "format": "binary"}, "origin": _ORIGIN},
            }
        },
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["rows"],
                "properties": {"rows": {"type": "array", "items": {"type": "object"}}, "origin": _ORIGIN},
            }
        },
        "text/csv": {"schema": {"type": "string"}},
        "application/x-ndjson": {"schema": {"type": "string"}},
        "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
    },
}


@router.post("/{project}/data", status_code=201, openapi_extra={"requestBody": _REQUEST_BODY})
async def upload(
    request: Request, project: ProjectInPath, context: Ctx, response: Response, key: Key = None
) -> dict[str, Any]:
    """Store rows, with or without their labels.

    A form with one `file` (CSV, Parquet or JSON Lines, each also gzipped), such a file as the body itself
    (gzip allowed as Content-Encoding), or JSON `{"rows": [{…}]}`. The first upload sets the schema.
    An `origin` (a part of the form, a member of the JSON) names who gave the labels.
    """
    is_json = _media_type(request.headers.get("content-type")) == "application/json"
    limit = _json_limit(context) if is_json else context.settings.max_upload_bytes
    folder = context.settings.home.resolve() / "spool"
    received = await receive(request, folder, limit)
    try:
        receipt = await run_sync(_store, context, project, received, folder, key, limiter=_intake_threads())
    finally:
        received.close()
    response.headers["Location"] = f"/v1/projects/{project.name}/data/{receipt.batch.number}"
    if receipt.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return answer(receipt.batch)


@router.get("/{project}/data")
def batches(project: ProjectInPath, context: Ctx, limit: Limit = 50, before: Before = None) -> dict[str, Any]:
    """What was stored, newest first: uploads, logged predictions, feedback."""
    found = context.registry.datasets.batches(project.id, limit, before)
    facts = context.registry.datasets.facts(project.id)
    return {
        "rows": facts.rows,
        "labelled": facts.truths,
        "predictions": facts.predictions,
        "dataset_version": facts.version,
        "batches": [_batch(batch) for batch in found],
    }


@router.get("/{project}/data/{batch}")
def batch(batch: int, project: ProjectInPath, context: Ctx) -> dict[str, Any]:
    return _batch(context.registry.datasets.batch(project.id, batch))


@router.get("/{project}/quarantine")
def quarantine(
    project: ProjectInPath,
    context: Ctx,
    limit: Limit = 100,
    batch: Annotated[int | None, Query(ge=1, description="only the rows of this batch")] = None,
) -> dict[str, Any]:
    """Refused rows, newest first, each with the column, the reason and the row as it came."""
    return {"rows": context.registry.datasets.quarantine(project.id, limit, batch)}


@router.get("/{project}/versions")
def versions(
    project: ProjectInPath, context: Ctx, limit: Limit = 50, before: Before = None
) -> dict[str, Any]:
    """Dataset versions, newest first; each can be read again exactly."""
    found = context.registry.datasets.versions(project.id, limit, before)
    return {"versions": [_version(version) for version in found]}


def _store(context: Context, project: Project, received: Upload, folder: Path, key: str | None) -> Receipt:
    with storage_problems():
        source = _source(context, project, received, folder)
        try:
            named = named_origin(source) if received.origin is None else received.origin
            origin = upload_origin(named)
            receipt = take_in(
                context.registry,
                project,
                source,
                digest=digest_of(received.digest, origin),
                key=key,
                origin=origin,
                odd=_odd_of(context, project),
                at=context.clock(),
            )
        except SchemaError as error:
            field = error.column or ("rows" if source.format is Format.ROWS else "file")
            raise Problem(422, error.code, str(error), field=field, remedy=error.remedy) from None
    if not receipt.replayed:
        if context.metrics is not None and receipt.batch.labelled:
            context.metrics.labels.labels(project.name, "given").inc(receipt.batch.labelled)
        _nudge(context)
    return receipt


def _odd_of(context: Context, project: Project) -> CountOdd:
    measures = context.measures

    def count(rows: pa.Table) -> int | None:
        odd = None if measures is None else measures.odd(project, rows)
        return None if odd is None else int(odd.sum())

    return count


def _source(context: Context, project: Project, received: Upload, folder: Path) -> Source:
    limits = Limits.of(context.settings)
    if _is_rows(received):
        if received.size > _json_limit(context):
            raise too_large(_json_limit(context))
        small = Limits(expanded_bytes=_json_limit(context), rows=limits.rows, columns=limits.columns)
        return rows_source(received.file, limits=small, folder=folder)
    return open_source(
        received.file,
        filename=received.filename,
        media_type=received.media_type,
        known=_known_names(project),
        limits=limits,
        folder=folder,
    )


def _is_rows(received: Upload) -> bool:
    """Whether the body is JSON rows; what ``curl -d`` sends without saying so too."""
    if received.filename is not None:
        return False
    media_type = _media_type(received.media_type)
    if media_type == "application/json":
        return True
    received.file.seek(0)
    return media_type == "application/x-www-form-urlencoded" and received.file.read(64).lstrip()[:1] == b"{"


def _known_names(project: Project) -> set[str]:
    task = Task.from_json(project.task)
    named = {task.target, task.time_column, task.id_column, task.entity_column, *task.sensitive}
    columns = Schema.from_json(project.schema).names if project.schema is not None else ()
    return {name for name in named if name is not None} | set(columns)


def _media_type(header: str | None) -> str:
    return (header or "").partition(";")[0].strip().lower()


def _json_limit(context: Context) -> int:
    # JSON bodies are held in memory, files are not.
    return min(context.settings.max_predict_bytes, context.settings.max_upload_bytes)


def _intake_threads() -> CapacityLimiter:
    try:
        return _threads.get()
    except LookupError:
        limiter = CapacityLimiter(UPLOADS_AT_ONCE)
        _threads.set(limiter)
        return limiter


def _nudge(context: Context) -> None:
    if context.scheduler is not None:
        context.scheduler.nudge()


def _batch(batch: Batch) -> dict[str, Any]:
    told = (
        answer(batch)
        if batch.kind is BatchKind.UPLOAD
        else {
            "batch": batch.number,
            "rows": batch.rows,
            "labelled": batch.labelled,
            "dataset_version": batch.dataset_version,
        }
    )
    return {**told, "kind": batch.kind, "content_hash": batch.content_hash, "created_at": batch.created_at}


def _version(version: DatasetVersion) -> dict[str, Any]:
    return {
        "version": version.number,
        "rows": version.rows,
        "labels": version.labels,
        "batch": version.batch,
        "content_hash": version.content_hash,
        "created_at": version.created_at,
    }
