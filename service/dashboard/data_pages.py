"""What came in: uploads by drag and drop, batches, refused rows and how they are sent again, odd rows."""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from automl.errors import SchemaError
from registry.records import BatchKind, Project
from service.api import data as api
from service.api import outliers
from service.api.context import Context, Ctx, ProjectInPath
from service.chunks import Limits
from service.dashboard import words
from service.dashboard.access import Looks, Sends, Uploads
from service.dashboard.frame import PageRoute, done, page_of, to
from service.dashboard.sessions import say
from service.intake import take_in
from service.problems import Problem
from service.readers import rows_source
from service.upload_origin import digest_of

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_BATCHES = 20
_ODD_COLUMNS = 3
_REFUSED = 100
_ODD = 10
_LARGEST_ROW = 1024 * 1024
KINDS = {
    BatchKind.UPLOAD: "upload",
    BatchKind.PREDICTIONS: "answers",
    BatchKind.FEEDBACK: "truth",
    BatchKind.SHADOW: "shadow answers",
    BatchKind.REVOCATION: "labels taken back",
    BatchKind.PSEUDO_LABELS: "pseudo-labels",
}


@router.get("/projects/{project}/data")
def data_page(
    request: Request,
    context: Ctx,
    viewer: Looks,
    project: ProjectInPath,
    before: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    registry = context.registry
    batches = registry.datasets.batches(project.id, limit=_BATCHES, before=before)
    odd = outliers.outliers(project, context, limit=_ODD, source=None, batch=None)
    return page_of(
        request,
        viewer,
        project,
        "data.html",
        twin="/data",
        facts=registry.datasets.facts(project.id),
        batches=batches,
        kinds=KINDS,
        older=batches[-1].number if len(batches) == _BATCHES else None,
        refused=sum(batch.quarantined for batch in batches),
        odd=odd,
        odd_columns=odd_columns(odd["looks"]),
        first=project.schema is None,
    )


def odd_columns(looks: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """The columns that made most of the newest odd rows odd."""
    counts: Counter[str] = Counter()
    for look in looks:
        counts.update(look["columns"])
    return counts.most_common(_ODD_COLUMNS)


@router.post("/projects/{project}/data")
async def upload(request: Request, context: Ctx, viewer: Uploads, project: ProjectInPath) -> Response:
    told = await api.upload(request, project, context, Response())
    address = f"/projects/{project.name}/data/{told['batch']}"
    if "text/html" in request.headers.get("accept", ""):
        return to(address)
    return JSONResponse({"page": address, **told}, status_code=201)


@router.get("/projects/{project}/data/{number}")
def batch_page(
    request: Request, context: Ctx, viewer: Looks, project: ProjectInPath, number: int
) -> Response:
    batch = context.registry.datasets.batch(project.id, number)
    return page_of(
        request,
        viewer,
        project,
        "batch.html",
        twin=f"/data/{number}",
        watched=False,
        batch=batch,
        kind=KINDS[batch.kind],
        reasons=batch.details.get("quarantine_reasons") or {},
        unseen=batch.details.get("unseen_categories") or {},
        ignored=batch.details.get("ignored_columns") or [],
        missing=batch.details.get("missing_columns") or [],
    )


@router.get("/projects/{project}/quarantine")
def quarantine_page(
    request: Request,
    context: Ctx,
    viewer: Looks,
    project: ProjectInPath,
    batch: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    found = context.registry.datasets.quarantine(project.id, _REFUSED, batch)
    where = "" if batch is None else f"?batch={batch}"
    return page_of(
        request,
        viewer,
        project,
        "quarantine.html",
        twin=f"/quarantine{where}",
        watched=False,
        batch=batch,
        rows=[_refused(row) for row in found],
        most=_REFUSED,
    )


@router.post("/projects/{project}/quarantine")
def send_again(
    request: Request,
    context: Ctx,
    viewer: Sends,
    project: ProjectInPath,
    batch: Annotated[int, Form()],
    line: Annotated[int, Form()],
    row: Annotated[str, Form(max_length=_LARGEST_ROW)],
    column: Annotated[str | None, Form()] = None,
    value: Annotated[str | None, Form()] = None,
) -> Response:
    """Store a refused row, corrected. The same correction sent twice is stored once."""
    corrected = mended(row, column, value)
    stored = _store(context, project, corrected, key=f"mended-{batch}-{line}")
    response = done(request, f"/projects/{project.name}/quarantine?batch={batch}")
    say(context, response, f"Row {line} of batch {batch} is stored: it came in as batch {stored}.")
    return response


def mended(row: str, column: str | None, value: str | None) -> dict[str, Any]:
    """The row with one value put right, or as it was written anew. Raises a 422 problem when it is no object."""
    try:
        found = json.loads(row)
    except ValueError as error:
        raise _no_row(f"The row is not valid JSON: {error}.") from None
    if not isinstance(found, dict):
        raise _no_row("The row is not a JSON object.")
    if column:
        found[column] = value if value not in ("", None) else None
    return found


def _no_row(detail: str) -> Problem:
    return Problem(422, "not_an_object", detail, field="row", remedy='Write it as {"column": value, …}.')


def _store(context: Context, project: Project, row: dict[str, Any], *, key: str) -> int:
    body = json.dumps({"rows": [row]}).encode()
    digest = hashlib.sha256(body).hexdigest()
    settings = context.settings
    limits = Limits(
        expanded_bytes=settings.max_predict_bytes, rows=settings.max_rows, columns=settings.max_columns
    )
    source = rows_source(io.BytesIO(body), limits=limits, folder=settings.home.resolve() / "spool")
    try:
        receipt = take_in(
            context.registry,
            project,
            source,
            digest=digest_of(digest, None),
            key=f"{key}-{digest[:32]}",
            at=context.clock(),
        )
    except SchemaError as error:
        raise Problem(422, error.code, str(error), field=error.column or "row", remedy=error.remedy) from None
    context.scheduler.nudge()
    return receipt.batch.number


def _refused(entry: dict[str, Any]) -> dict[str, Any]:
    """A refused row for the page: with the value at fault where it is known, and its text where it is an object."""
    try:
        row = json.loads(entry["row"])
    except ValueError:
        row = None
    is_object = isinstance(row, dict)
    column = entry["column"] if is_object and entry["column"] in row else None
    value = None if column is None else row[column]
    return {
        **entry,
        "mendable": is_object,
        "faulty": column,
        "value": "" if value is None else words.short(value, 500),
        "text": json.dumps(row, indent=1, ensure_ascii=False) if is_object else str(entry["row"]),
    }


@router.get("/projects/{project}/quarantine.jsonl")
async def refused_rows(
    context: Ctx, viewer: Looks, project: ProjectInPath, batch: Annotated[int | None, Query(ge=1)] = None
) -> Response:
    """All refused rows as they came, to be corrected in an editor and dropped on the data page."""
    found = await run_in_threadpool(context.registry.datasets.quarantine, project.id, 100_000, batch)
    lines = "".join(str(one["row"]).strip() + "\n" for one in found)
    name = f"{project.name}-refused.jsonl"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(lines, media_type="application/x-ndjson", headers=headers)
