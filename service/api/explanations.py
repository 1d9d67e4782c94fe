"""Prediction calls with ``?explain=true``: answered and logged like any other, then explained, out of the others' way."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import Request, Response

from automl.schema import check, table_from_rows
from registry.store import Registry
from service.api.context import Context
from service.batching import TooLate
from service.deployment import Deployment
from service.explain_messages import MOST_COUNTERFACTUALS, Model
from service.explaining import Explaining
from service.prediction import Answer, Predictor
from service.problems import Problem
from service.scores import Scores
from service.wire.telling import told_predictions


async def explained(
    request: Request,
    context: Context,
    project: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    within: float,
    counterfactual: bool = False,
) -> Response:
    """The answer to rows of a project with a champion, each with its ``explanation``, and on demand with its
    ``counterfactual``.

    Raises TooLate after ``within`` seconds. A call whose turn had not come by then is neither answered nor logged; one
    that was under way is logged, as its answer was made.
    """
    explaining: Explaining = request.app.state.explaining
    deployment = context.serving.champions.get(project)

    if counterfactual:
        _check(deployment, len(rows))

    def work() -> bytes:
        return _work(context, explaining, deployment, rows, counterfactual)

    future = asyncio.wrap_future(explaining.submit(len(rows), work))
    try:
        answer = await asyncio.wait_for(future, within)
    except TimeoutError:
        raise TooLate from None
    return Response(answer, media_type="application/json")


def _check(deployment: Deployment | None, rows: int) -> None:
    """Raises a problem where there are no classes, or too many rows to look for others."""
    if deployment is not None and not deployment.task.is_classification:
        raise Problem(
            422,
            "no_counterfactual",
            "A counterfactual is a row that is answered with another class; this project answers with numbers.",
            field="counterfactual",
            remedy="Send the call with explain=true alone.",
        )
    if rows > MOST_COUNTERFACTUALS:
        raise Problem(
            413,
            "too_many_counterfactuals",
            f"{rows} rows in one call; counterfactuals are looked for of {MOST_COUNTERFACTUALS} at most.",
            field="rows",
            remedy="Send the rows in several calls, or without counterfactual=true.",
        )


def _work(
    context: Context,
    explaining: Explaining,
    deployment: Deployment | None,
    rows: Sequence[Mapping[str, Any]],
    counterfactual: bool,
) -> bytes:
    """By one deployment from the first row to the last explanation."""
    typed: list[pa.Table] = []

    def log(by: Deployment, table: pa.Table, ids: Sequence[str], scores: Scores) -> None:
        context.observation.log(by, table, ids, scores)
        typed.append(table)

    answer = Predictor(lambda: deployment, log, context.shadow)([rows])[0]
    if isinstance(answer, Exception):
        raise answer
    if deployment is None:
        raise Problem(503, "no_champion", "The model was withdrawn.", remedy="Try again.")
    context.metrics.predictions.labels(deployment.project, str(answer.model_version)).inc(len(rows))
    key = f"{deployment.project_id}/{deployment.version}/{deployment.revision}"
    parts = explaining.explain(
        key, typed[0], lambda: _model(context.registry, deployment), counterfactuals=counterfactual
    )
    return _encode(answer, parts)


def _model(registry: Registry, deployment: Deployment) -> Model:
    """The model as it is kept, with the sample of its training rows; the golden ones where there is no sample."""
    kept = registry.models.get(deployment.project_id, deployment.version)
    reference = kept.attachments.get("reference")
    if reference is not None:
        background = registry.blobs.open(reference.digest)
    else:
        golden = json.loads(registry.blobs.open(kept.attachments["golden"].digest))
        checked = check(table_from_rows(golden["rows"]), deployment.schema, deployment.unkeyed_task)
        sink = io.BytesIO()
        pq.write_table(checked.table, sink)
        background = sink.getvalue()
    return Model(
        pipeline=registry.blobs.open(kept.blob.digest),
        schema=deployment.schema.to_json(),
        task={**deployment.task.to_json(), "classes": list(deployment.classes)},
        background=background,
    )


def _encode(answer: Answer, parts: Sequence[msgspec.Raw]) -> bytes:
    told = told_predictions(answer.ids, answer.values, answer.probabilities, answer.classes, answer.more)
    predictions = [{**said, "explanation": part} for said, part in zip(told, parts, strict=True)]
    return msgspec.json.encode({"model_version": answer.model_version, "predictions": predictions})
