"""Rows unlike those that were trained on, and which of their columns make them so."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from registry.outliers import Look, OddRow
from service.api.context import Ctx, ProjectInPath, require
from service.outliers import newest_share
from service.policy import Policy

router = APIRouter(dependencies=[Depends(require("data"))])

LOOKS = 50


@router.get("/{project}/outliers")
def outliers(
    project: ProjectInPath,
    context: Ctx,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    source: Annotated[
        Literal["upload", "prediction"] | None, Query(description="only rows that came so")
    ] = None,
    batch: Annotated[int | None, Query(ge=1, description="only rows of this batch")] = None,
) -> dict[str, Any]:
    """The oddest rows first, with their `score` (the share of the training rows that lie closer to the others) and
    the `columns` that make them odd.

    `measured_by` says what usual is: the rows a model was trained on, or, before there is one, a dataset version.
    `share` is the odd part of the newest 1,000 rows; by chance it is `expected`. Without any look, `reason` says why.
    """
    registry = context.registry
    looks = registry.outliers.looks(project.id, limit=LOOKS)
    rule = Policy.stored(project.policy).outliers
    share = newest_share(looks)
    rows = registry.outliers.list(project.id, limit=limit, source=source, batch=batch)
    return {
        "measured_by": _measured_by(looks[0]) if looks else None,
        "threshold": None if rule is None else rule.threshold,
        "share": None if share is None else share[0] / share[1],
        "expected": None if rule is None else round(1.0 - rule.threshold, 6),
        "rows": [_row(row) for row in rows],
        "looks": [_look(look) for look in looks],
        "reason": None if looks else _why_none(rule is None, project.schema is None),
    }


def _why_none(off: bool, empty: bool) -> str:
    if off:
        return "the policy has outliers turned off"
    if empty:
        return "the project has no rows yet"
    return "no row was looked at yet; it takes 20 rows to tell what is usual, and some seconds"


def _measured_by(look: Look) -> dict[str, Any]:
    return {"model_version": look.model_version, "dataset_version": look.dataset_version}


def _row(row: OddRow) -> dict[str, Any]:
    return {
        "id": row.row_id,
        "score": row.score,
        "times": row.times,
        "columns": list(row.reasons),
        "source": row.source,
        "batch": row.batch,
        "arrived_at": row.arrived_at,
    }


def _look(look: Look) -> dict[str, Any]:
    return {
        "at": look.at,
        **_measured_by(look),
        "rows": look.rows,
        "odd": look.odd,
        "passed_over": look.passed_over,
        "threshold": look.threshold,
        "columns": dict(look.columns),
    }
