"""Where labels are from, and taking back those of a source or a teacher that went bad."""

from __future__ import annotations

import hashlib
from typing import Any

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, Field, model_validator

from registry.records import LabelSource
from registry.revocations import Criteria
from service.api.context import Ctx, ProjectInPath, require
from service.api.data import Key
from service.api.schemas import Body
from service.label_sources import label_sources

router = APIRouter()


class Revoke(Body):
    """``POST …/labels/revoke``: labels that fit everything given. One of source, origin and teacher is needed."""

    source: LabelSource | None = None
    origin: str | None = Field(default=None, min_length=1, max_length=255, description="such as 'human:anna'")
    teacher: int | None = Field(default=None, ge=1, description="model version that gave pseudo-labels")
    since: AwareDatetime | None = Field(default=None, description="only labels of this time or later")
    reason: str = Field(min_length=1, max_length=500)

    @model_validator(mode="after")
    def _named(self) -> Revoke:
        if self.source is None and self.origin is None and self.teacher is None:
            raise ValueError("name a source, an origin or a teacher")
        return self


@router.get("/{project}/label-sources", dependencies=[Depends(require("data"))])
def sources(
    project: ProjectInPath,
    context: Ctx,
    audit: bool = Query(default=True, description="hold each source against a model of the others"),
) -> dict[str, Any]:
    """The labels by source: counts, agreement, what the policy lets them weigh, and which source went bad.

    `holding` is how many rows' label it is that counts. A source named `bad` disagrees with a model of the
    others more than these do and more than its rows are hard.
    """
    if project.schema is None:
        return {"sources": [], "audit": None, "teachers": [], "revocations": []}
    return label_sources(context.registry, project, audit=audit)


@router.post("/{project}/labels/revoke", dependencies=[Depends(require("admin"))])
def revoke(body: Revoke, project: ProjectInPath, context: Ctx, key: Key = None) -> dict[str, Any]:
    """Let the labels of a source, an origin or a teacher count no longer.

    That makes a new dataset version; every older one reads as before. A row's earlier truth counts again where
    it has one. Labels that come after this call count, whoever they are from.
    """
    digest = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
    batch = context.registry.labels.revoke(
        project.id,
        Criteria(source=body.source, origin=body.origin, teacher=body.teacher, since=body.since),
        reason=body.reason,
        actor="api",
        idempotency_key=key,
        request_digest=digest if key is not None else None,
        at=context.clock(),
    )
    if batch is None:
        return {
            "revoked": 0,
            "dataset_version": context.registry.datasets.facts(project.id).version,
            "reason": "no label that counts fits",
        }
    if context.scheduler is not None:
        context.scheduler.nudge()
    return {
        "revoked": batch.details["revoked"],
        "dataset_version": batch.dataset_version,
        "batch": batch.number,
        "reason": body.reason,
    }
