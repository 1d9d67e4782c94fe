"""Errors over HTTP: RFC 9457 problem documents that name the fault, the field and the remedy."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from automl.errors import AutoMLError, SchemaError, SeriesError, SplitError
from registry.errors import (
    Conflict,
    Damaged,
    DuplicateRows,
    NotFound,
    RegistryError,
    StaleEpoch,
    StaleFence,
    Tampered,
    Unavailable,
)

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 20
"""So many single errors are listed in one document; the rest is only counted."""

logger = logging.getLogger("incumbent.problems")

Handler = Callable[[Request, Any], Awaitable[Response]]


class Problem(Exception):
    """An answer that is not a success.

    ``code`` is a stable word for programs, ``detail`` one sentence for people, ``field`` the input at fault,
    ``remedy`` what to do. ``extra`` members are added to the document as they are.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        title: str | None = None,
        field: str | None = None,
        remedy: str | None = None,
        errors: Sequence[Mapping[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.title = title
        self.field = field
        self.remedy = remedy
        self.errors = errors
        self.headers = headers
        self.extra = extra

    def document(self, instance: str | None = None) -> dict[str, Any]:
        """The members of RFC 9457, and ``code``, ``field``, ``remedy`` and ``errors`` where known."""
        known = {
            "type": f"urn:incumbent:problem:{self.code}",
            "title": self.title or _phrase(self.status),
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "code": self.code,
            "field": self.field,
            "remedy": self.remedy or None,
            "errors": list(self.errors) if self.errors else None,
        }
        return {**self.extra, **{name: value for name, value in known.items() if value is not None}}

    def response(self, instance: str | None = None) -> Response:
        return JSONResponse(
            self.document(instance),
            status_code=self.status,
            media_type=MEDIA_TYPE,
            headers=dict(self.headers) if self.headers else None,
        )


def problem_of(error: Exception) -> Problem:
    """The problem that an exception stands for; one nobody expected says nothing of what is inside."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RegistryError):
        return _of_registry(error)
    if isinstance(error, AutoMLError):
        return _of_automl(error)
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    if isinstance(error, HTTPException):
        return _of_http(error)
    return _unexpected(error)


def install_problems(app: FastAPI) -> None:
    """Makes every error of the app a problem document, those of unknown paths and methods too."""

    async def handle(request: Request, error: Exception) -> Response:
        return problem_of(error).response(request.url.path)

    handled: tuple[type[Exception], ...] = (
        Problem,
        RegistryError,
        AutoMLError,
        RequestValidationError,
        HTTPException,
        Exception,
    )
    for kind in handled:
        app.add_exception_handler(kind, handle)


_CONFLICTS = {
    "project_exists": "Choose another name, or go on with the project there is.",
    "run_active": "Wait for it, or cancel it: POST …/runs/{run}/cancel.",
    "already_champion": "Nothing is to be done.",
    "idempotency_mismatch": "Use a new Idempotency-Key for another request.",
    "channel_exists": "Choose another name, or remove the channel there is.",
    "approval_ended": "Read what became of it: GET …/approvals/{approval}.",
    "approval_stale": "A later run judges against the champion there is now; start one: POST …/runs.",
    "approval_expired": "A later run asks again; start one: POST …/runs.",
    "other_version": "Name a version that it is about, and the same as those who approved it before.",
    "key_needed": "Send 'Authorization: Bearer inc_…'; make a key with 'incumbent key create --scope approve'.",
    "schema_changed": "Read the project again and repeat the change.",
}


def _of_registry(error: RegistryError) -> Problem:
    if isinstance(error, NotFound):
        return Problem(404, "not_found", str(error), remedy="Check the name or number in the path.")
    if isinstance(error, Conflict):
        return Problem(409, error.code, str(error), remedy=_CONFLICTS.get(error.code))
    if isinstance(error, DuplicateRows):
        return Problem(
            409,
            "duplicate_rows",
            str(error),
            remedy="Send the rows again: those stored already will be quarantined as duplicates.",
        )
    if isinstance(error, StaleEpoch):
        return Problem(
            409, "champion_changed", str(error), remedy="Read the champion again and repeat the call."
        )
    if isinstance(error, StaleFence):
        return Problem(409, "lease_lost", str(error), remedy="Repeat the call.")
    if isinstance(error, Unavailable):
        logger.error("the database is out of reach: %s", error)
        return Problem(
            503,
            "database_unavailable",
            "The database is out of reach or busy; nothing was stored.",
            remedy="Repeat the call in a moment.",
            headers={"Retry-After": "1"},
        )
    if isinstance(error, Tampered | Damaged):
        logger.error("the store is damaged: %s", error)
        return Problem(
            500,
            "store_damaged",
            "A stored file is not what the registry says it should be, so it was not read.",
            remedy="Run 'incumbent doctor' on the server and restore the file from a backup.",
        )
    return _unexpected(error)


def _of_automl(error: AutoMLError) -> Problem:
    if isinstance(error, SchemaError):
        return Problem(422, error.code, str(error), field=error.column, remedy=error.remedy)
    if isinstance(error, SeriesError):
        return Problem(422, "no_series", str(error), field=error.column, remedy=error.remedy)
    if isinstance(error, SplitError):
        return Problem(422, "too_few_labels", str(error), remedy="Send more labelled rows.")
    return _unexpected(error)


def _of_validation(error: RequestValidationError) -> Problem:
    found = error.errors()
    if any(one.get("type") == "json_invalid" for one in found):
        return Problem(
            400, "not_json", "The body is not valid JSON.", field="body", remedy="Send valid JSON."
        )
    errors = [_one_error(one) for one in found[:MOST_ERRORS]]
    first = errors[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return Problem(
        422,
        "invalid_request",
        f"{first['field']}: {first['detail']}{more}",
        field=first["field"],
        remedy="See /docs for what this call takes.",
        errors=errors,
    )


def _one_error(one: Mapping[str, Any]) -> dict[str, str]:
    where = list(one.get("loc", ()))
    if len(where) > 1 and where[0] in ("body", "query", "path", "header", "cookie"):
        where = where[1:]
    return {"field": _path(where), "detail": str(one.get("msg", "")), "code": str(one.get("type", ""))}


def _path(parts: Sequence[str | int]) -> str:
    """``("labels", 3, "id")`` -> ``labels[3].id``."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path


def _of_http(error: HTTPException) -> Problem:
    phrase = _phrase(error.status_code)
    code = phrase.lower().replace(" ", "_").replace("-", "_")
    remedies = {404: "See /docs for the paths there are.", 405: "See /docs for the methods of this path."}
    detail = error.detail if isinstance(error.detail, str) and error.detail else phrase
    return Problem(
        error.status_code, code, detail, remedy=remedies.get(error.status_code), headers=error.headers
    )


def _unexpected(error: Exception) -> Problem:
    incident = uuid.uuid4().hex[:12]
    logger.error("unexpected error, incident %s", incident, exc_info=error)
    return Problem(
        500,
        "unexpected",
        "Something went wrong inside the server; it was logged.",
        remedy=f"Look for incident {incident} in the server's log, and report it if it comes again.",
        incident=incident,
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
