"""The labelling queue over HTTP: take rows, answer them, carry both to other tools and back."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field, model_validator

from automl.columns import scalar_text
from automl.task import Task
from registry.labeling import Leased
from registry.records import LabelSource, Project
from service.answers import LONGEST_NAME, MOST_LABELS, is_name
from service.api.context import Context, Ctx, ProjectInPath, require
from service.api.schemas import Body
from service.forecasts.kind import refuse
from service.labelling import Handed, LabellingDesk
from service.labelling_answers import Answered
from service.labelling_formats import (
    MEDIA_TYPES,
    Format,
    Given,
    Sheet,
    Unreadable,
    label_config,
    read,
    render,
)
from service.labelling_report import accuracy, progress
from service.labelling_sheets import answered, parsed, schema_of, sheets
from service.policy import Policy
from service.problems import Problem
from service.uploads import receive, storage_problems

router = APIRouter(dependencies=[Depends(require("data"))])

MOST_ROWS = 1_000
_making = threading.Lock()

Name = Annotated[str, Query(min_length=1, max_length=LONGEST_NAME, description="who labels")]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS)]
FileFormat = Annotated[Format, Query(alias="format")]


class OneAnswer(Body):
    id: str | int
    label: str | int | float | bool | None = None
    skip: bool = False

    @model_validator(mode="after")
    def _either(self) -> OneAnswer:
        if self.skip == (self.label is not None):
            raise ValueError("give a label, or skip: true")
        return self


class Answers(Body):
    """``POST …/labeling``."""

    answers: list[OneAnswer] = Field(min_length=1, max_length=MOST_LABELS)
    annotator: str = Field(default="anonymous", min_length=1, max_length=LONGEST_NAME)


@router.get("/{project}/labeling")
def labeling(
    project: ProjectInPath,
    request: Request,
    context: Ctx,
    limit: Limit = 20,
    annotator: Name = "anonymous",
) -> dict[str, Any]:
    """The rows most worth a person's label, most useful first.

    They are this annotator's for a while: another one gets others, and asking again gives the same ones.
    `why` is what raised a row (`uncertain`, `disputed`, `drifted`; `new`: unlike all training rows, and not alone in
    that; before there is a model `typical`), that it was `drawn` at random, or that it has a label which may be wrong
    (`check`: the answer takes its place); `probability` is the chance it had to
    be asked for. Without rows, `reason` says why.
    """
    _check_name(annotator, "annotator")
    handed = _hand_out(request, context, project, annotator, limit, None)
    found = sheets(context.registry, project, handed)
    answer: dict[str, Any] = {
        "annotator": annotator,
        "rows": [_shown(leased, sheet) for leased, sheet in zip(handed.rows, found, strict=True)],
        "reason": handed.reason,
        "classes": list(Task.from_json(project.task).classes),
        # 0, before there was a model, is none
        "model_version": None if handed.round is None else handed.round.model_version or None,
        "pool": 0 if handed.round is None else handed.round.pool,
        "accuracy": None,
    }
    if project.schema is None:
        return {**answer, "annotators": [], "waiting": 0, "agreement": None}
    if handed.model is not None:
        answer["accuracy"] = accuracy(context.registry, project, handed.model)
    return {**answer, **progress(context.registry, project)}


@router.post("/{project}/labeling")
def answer(body: Answers, project: ProjectInPath, request: Request, context: Ctx) -> dict[str, Any]:
    """Answers to rows, or that they were skipped. They are stored before this call is answered.

    `labelled` rows have their label now; `waiting` ones need more people, `disputed` ones agreement. A row
    that has its truth already keeps it (`unchanged`, or `conflicting`), but for those that were handed out to `check` it.
    """
    _check_name(body.annotator, "annotator")
    given = [
        Given(
            row_id=str(one.id),
            label=None if one.skip else scalar_text(one.label),
            annotator=body.annotator,
            place=f"answers[{place}].label",
        )
        for place, one in enumerate(body.answers)
    ]
    return _take(request, context, project, given, body.annotator)


@router.get("/{project}/labeling/export")
def export(
    project: ProjectInPath,
    request: Request,
    context: Ctx,
    format_: FileFormat,
    limit: Limit = 100,
    annotator: Name = "export",
    state: Literal["queue", "answered"] = "queue",
) -> Response:
    """Rows to label as a file for Label Studio, doccano or a spreadsheet; with `state=answered` those that
    people answered here, with their answers. Exported rows are this annotator's for a day."""
    _check_name(annotator, "annotator")
    if state == "answered":
        found = answered(context.registry, project, limit)
    else:
        lease = Policy.stored(project.policy).labelling.export_lease
        found = sheets(
            context.registry, project, _hand_out(request, context, project, annotator, limit, lease)
        )
    media_type, ending = MEDIA_TYPES[format_]
    is_number = not Task.from_json(project.task).is_classification
    name = f"{project.name}-{state}.{ending}"
    return Response(
        render(found, format_, is_number=is_number),
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.get("/{project}/labeling/config")
def config(project: ProjectInPath) -> Response:
    """The labelling interface to paste into Label Studio before the tasks are imported."""
    schema, task = schema_of(project), Task.from_json(project.task)
    classes = [schema.target.text(label) for label in task.classes]
    return Response(label_config(classes, is_number=not task.is_classification), media_type="application/xml")


@router.post("/{project}/labeling/import")
async def take_back(
    project: ProjectInPath,
    request: Request,
    context: Ctx,
    format_: FileFormat,
    annotator: Name = "import",
) -> dict[str, Any]:
    """The answers of a file that Label Studio (JSON, JSON-MIN), doccano (JSON Lines) or a spreadsheet gave back.

    As a form with one `file`, or as the body itself. `annotator` is who it was where the file doesn't say. All
    of it is stored or, where an entry is at fault, nothing.
    """
    _check_name(annotator, "annotator")
    folder = context.settings.home.resolve() / "spool"
    received = await receive(request, folder, context.settings.max_predict_bytes)
    try:
        data = await run_sync(received.file.read)
    finally:
        received.close()
    try:
        given, without = read(data, format_)
    except Unreadable as error:
        remedy = f"Send what GET …/labeling/export?format={format_.value} gave, with labels in it."
        raise Problem(422, "unreadable_file", f"{error}.", field="file", remedy=remedy) from None
    if not given:
        raise Problem(
            422,
            "no_answers",
            f"None of the {without} rows in the file has an answer.",
            field="file",
            remedy="Label some of them first; is it the export with annotations?",
        )
    told = await run_sync(_take, request, context, project, given, annotator)
    return {**told, "unanswered": without}


def _take(
    request: Request, context: Context, project: Project, given: Sequence[Given], annotator: str
) -> dict[str, Any]:
    by_name: dict[str, list[tuple[str, str | None]]] = defaultdict(list)
    for one, label in zip(given, parsed(project, given), strict=True):
        who = one.annotator or annotator
        _check_name(who, one.place)
        by_name[who].append((one.row_id, label))
    with storage_problems():
        told = desk_of(request, context).book.answer(project, by_name, at=context.clock())
    if told.labelled:
        if context.metrics is not None:
            labels = context.metrics.labels.labels(project.name, LabelSource.HUMAN.value)
            labels.inc(len(told.labelled))
        if context.scheduler is not None:
            context.scheduler.nudge()
    return {**_answered_json(told), "agreement": progress(context.registry, project)["agreement"]}


def _hand_out(
    request: Request,
    context: Context,
    project: Project,
    annotator: str,
    limit: int,
    lease: timedelta | None,
) -> Handed:
    refuse(project, "labelling")
    served = context.serving.champions.get(project.name) if context.serving is not None else None
    if served is not None and served.project_id != project.id:
        served = None
    return desk_of(request, context).hand_out(
        project, annotator, limit, served=served, at=context.clock(), lease=lease
    )


def _shown(leased: Leased, sheet: Sheet) -> dict[str, Any]:
    return {
        "id": leased.item.row_id,
        "row": sheet.row,
        "why": leased.item.why,
        "value": leased.item.value,
        "probability": leased.item.probability,
        "guess": sheet.guess,
        "votes": leased.votes,
        "lease_until": leased.until,
    }


def _answered_json(told: Answered) -> dict[str, Any]:
    return {
        "accepted": len(told.labelled) + len(told.waiting) + len(told.disputed),
        "labelled": len(told.labelled),
        "skipped": told.skipped,
        "waiting": list(told.waiting),
        "disputed": list(told.disputed),
        "unchanged": told.unchanged,
        "unknown": list(told.unknown),
        "conflicting": list(told.conflicting),
        "dataset_version": told.dataset_version,
    }


def desk_of(request: Request, context: Context) -> LabellingDesk:
    """The app's one labelling desk, which keeps the models that rank rows."""
    with _making:
        desk: LabellingDesk | None = getattr(request.app.state, "labelling_desk", None)
        if desk is None:
            flush = context.observation.flush if context.observation is not None else None
            desk = LabellingDesk(context.registry, flush, context.measures)
            request.app.state.labelling_desk = desk
        return desk


def _check_name(name: str, field: str) -> None:
    if not is_name(name):
        raise Problem(
            422,
            "invalid_request",
            f"{field}: the annotator {name!r} is no printable name of at most {LONGEST_NAME} characters.",
            field=field,
            remedy="Send a name such as 'anna'.",
        )
