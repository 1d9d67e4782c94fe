"""API keys over HTTP: who may do what, a new one told once, and the end of one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from registry.errors import NotFound
from registry.records import ApiKey
from service.api.context import Ctx, require
from service.problems import Problem

router = APIRouter(dependencies=[Depends(require("admin"))])

Scope = Literal["predict", "data", "approve", "admin"]


class NewKey(BaseModel):
    """What a key may do, and for whom or what it is."""

    model_config = ConfigDict(extra="forbid")

    scopes: list[Scope] = Field(min_length=1, max_length=4)
    label: str = Field(default="", max_length=100)


@router.get("")
def list_keys(context: Ctx) -> dict[str, Any]:
    """All keys, revoked ones too, the newest first; never a secret."""
    return {"keys": [shown(key) for key in reversed(context.registry.keys.list())]}


@router.post("", status_code=201)
def create(body: NewKey, context: Ctx, response: Response) -> dict[str, Any]:
    """A new key. ``secret`` is in this answer alone: only its hash is kept."""
    key, secret = context.registry.keys.create(body.scopes, label=body.label, at=context.clock())
    response.headers["Location"] = f"/v1/keys/{key.prefix}"
    response.headers["Cache-Control"] = "no-store"
    return {**shown(key), "secret": secret}


@router.get("/{key}")
def get(key: Annotated[str, Path(max_length=64)], context: Ctx) -> dict[str, Any]:
    found = next((one for one in context.registry.keys.list() if one.prefix == key), None)
    if found is None:
        raise _unknown(key)
    return shown(found)


@router.delete("/{key}")
def revoke(key: Annotated[str, Path(max_length=64)], context: Ctx) -> dict[str, Any]:
    """End a key for good, at once; ending it again changes nothing."""
    try:
        return shown(context.registry.keys.revoke(key, context.clock()))
    except NotFound:
        raise _unknown(key) from None


def shown(key: ApiKey) -> dict[str, Any]:
    return {
        "key": key.prefix,
        "label": key.label,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }


def _unknown(key: str) -> Problem:
    return Problem(
        404,
        "key_not_found",
        f"There is no key {key!r}.",
        field="key",
        remedy="GET /v1/keys lists them: a key is named by its public part, the middle of inc_…_….",
    )
