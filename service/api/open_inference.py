"""The Open Inference Protocol, version 2: what KServe, Triton and MLServer speak. A project is a model, its champion the
version that serves. Errors are ``{"error": text}``, as the protocol has it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from automl.errors import AutoMLError
from registry.errors import RegistryError
from service.api.context import context_of
from service.api.predictions import body_of, counted, deadline, lane_of, may_predict
from service.batching import Overloaded, TooLate
from service.deployment import Deployment
from service.problems import Problem, problem_of
from service.wire.lane import Lane
from service.wire.tensors import answer_json, metadata, read_request, rows_of

router = APIRouter()


@router.get("")
async def server_metadata() -> dict[str, Any]:
    """Name and version of the server."""
    return {"name": "incumbent", "version": version("incumbent"), "extensions": []}


@router.get("/health/live")
async def live() -> dict[str, bool]:
    """The process answers."""
    return {"live": True}


@router.get("/health/ready")
async def ready(request: Request) -> Response:
    """Every champion was loaded or refused; 503 until then."""
    caught_up = context_of(request).serving.caught_up
    told = {"live": True, "ready": caught_up}
    return JSONResponse(told, status_code=200 if caught_up else 503)


@router.get("/models/{project}/ready")
@router.get("/models/{project}/versions/{model_version}/ready")
async def model_ready(project: str, request: Request, model_version: str | None = None) -> Response:
    """The project's champion is loaded (and is this version)."""
    try:
        await may_predict(request, context_of(request))
        await _served(request, project, model_version)
    except (Problem, RegistryError) as error:
        problem = problem_of(error)
        if problem.status in (404, 409, 503):
            return JSONResponse({"name": project, "ready": False}, status_code=problem.status)
        return _error(problem)
    return JSONResponse({"name": project, "ready": True})


@router.get("/models/{project}")
@router.get("/models/{project}/versions/{model_version}")
async def model_metadata(project: str, request: Request, model_version: str | None = None) -> Response:
    """The columns that the model takes, and what it answers."""
    try:
        await may_predict(request, context_of(request))
        _, deployment = await _served(request, project, model_version)
    except (Problem, RegistryError) as error:
        return _error(problem_of(error))
    return JSONResponse(metadata(project, deployment.version, deployment.schema, deployment.task))


@router.post("/models/{project}/infer")
@router.post("/models/{project}/versions/{model_version}/infer")
async def infer(project: str, request: Request, model_version: str | None = None) -> Response:
    """One input tensor a column; answers ``predict``, ``probabilities`` and ``id``, logged before they are sent."""
    context = context_of(request)
    try:
        await may_predict(request, context_of(request))
        lane, _ = await _served(request, project, model_version)
        asked = read_request(await body_of(request, context))
        rows = rows_of(asked, context.settings.max_predict_rows)
        answer = await lane.ask_rows(rows, deadline(request, context))
    except (Problem, Overloaded, TooLate, RegistryError, AutoMLError) as error:
        return _error(counted(context, project, error))
    if model_version is not None and str(answer.model_version) != model_version:
        return _error(_another(project, model_version, answer.model_version))  # it was replaced meanwhile
    return Response(answer_json(project, answer, asked), media_type="application/json")


async def _served(request: Request, project: str, model_version: str | None) -> tuple[Lane, Deployment]:
    lane = await lane_of(request, context_of(request), project)
    form = lane.form()
    if form is None:
        raise Problem(503, "champion_not_loaded", f"The champion of {project!r} was withdrawn just now.")
    if model_version is not None and model_version != str(form.version):
        raise _another(project, model_version, form.version)
    return lane, form.deployment


def _another(project: str, asked: str, served: int) -> Problem:
    return Problem(
        404,
        "version_not_served",
        f"Version {asked} of {project!r} is not served; its champion is version {served}.",
    )


def _error(problem: Problem) -> Response:
    text = problem.detail if not problem.remedy else f"{problem.detail} {problem.remedy}"
    headers = dict(problem.headers) if problem.headers else None
    return JSONResponse({"error": text}, status_code=problem.status, headers=headers)
