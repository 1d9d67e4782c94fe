"""From a spool file to a stored batch: infer or check, stage, agree on the schema, commit.

Everything is staged first; whatever ends early leaves no rows, no schema and no files behind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import pyarrow as pa

from automl.schema import Schema, check
from automl.task import Task
from registry.errors import Conflict, DuplicateRows
from registry.records import Batch, BatchKind, Project
from registry.store import Registry
from service.admission import Admission
from service.first_upload import first_schema
from service.problems import Problem
from service.readers import Format, Source, read
from service.tally import Tally

ATTEMPTS = 5

CountOdd: TypeAlias = Callable[[pa.Table], int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A stored batch; ``replayed`` when an earlier request with the same key had stored it."""

    batch: Batch
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contract:
    """What the rows are held to. ``fresh`` when no project has it yet."""

    project: Project
    schema: Schema
    task: Task
    fresh: bool


def take_in(
    registry: Registry,
    project: Project,
    source: Source,
    *,
    digest: str,
    key: str | None,
    origin: str | None = None,
    odd: CountOdd | None = None,
    at: datetime,
) -> Receipt:
    """Stores an upload and returns its batch; ``origin`` (``given:crm``) names who gave its labels, ``odd`` counts the
    odd among the rows of a small upload.

    With an idempotency ``key`` the same file is stored once. Raises a problem or SchemaError when the upload
    as a whole is at fault, Conflict (``idempotency_mismatch``) when the key was used for another file.
    """
    for _ in range(ATTEMPTS):
        if key is not None and (earlier := registry.datasets.replay(project.id, key, digest)) is not None:
            return Receipt(batch=earlier, replayed=True)
        try:
            return Receipt(batch=_attempt(registry, project, source, digest, key, origin, odd, at))
        except DuplicateRows:
            # Another upload stored some of these rows meanwhile: they are duplicates now.
            continue
        except Conflict as error:
            latest = registry.projects.by_id(project.id)
            if error.code != "schema_changed" or latest.revision == project.revision:
                raise
            project = latest
    raise Problem(
        409,
        "busy",
        "The project kept changing while the upload was checked; nothing was stored.",
        remedy="Send it again.",
        headers={"Retry-After": "1"},
    )


def answer(batch: Batch) -> dict[str, object]:
    """What an upload is answered with; the lists are there only when they say something."""
    found = {name: batch.details.get(name) for name in ("origin", *Tally.DETAILS)}
    return {
        "batch": batch.number,
        "rows": batch.rows,
        "labelled": batch.labelled,
        "unlabelled": batch.unlabelled,
        "quarantined": batch.quarantined,
        "dataset_version": batch.dataset_version,
        **{name: value for name, value in found.items() if value},
        **({"odd": batch.details["odd"]} if "odd" in batch.details else {}),
    }


def _attempt(
    registry: Registry,
    project: Project,
    source: Source,
    digest: str,
    key: str | None,
    origin: str | None,
    odd: CountOdd | None,
    at: datetime,
) -> Batch:
    contract = _contract(project, source)
    tally = Tally()
    with registry.datasets.stage(project) as staging:
        admission = Admission(registry.datasets, staging, project.id, contract.task, at, origin=origin)
        _admit_all(source, contract, admission, tally)
        tally.refuse_if_nothing_is_left()
        _agree(registry, contract)
        return registry.datasets.commit(
            staging,
            kind=BatchKind.UPLOAD,
            details={
                "format": source.format.value,
                **_delimiter(source),
                **({} if origin is None else {"origin": origin}),
                **tally.details(),
                **_odd(tally, odd),
            },
            idempotency_key=key,
            request_digest=digest if key is not None else None,
            at=at,
        )


def _odd(tally: Tally, count: CountOdd | None) -> dict[str, int]:
    rows = tally.few
    found = None if count is None or rows is None else count(rows)
    return {} if found is None else {"odd": found}


def _contract(project: Project, source: Source) -> _Contract:
    task = Task.from_json(project.task)
    if project.schema is not None:
        return _Contract(project=project, schema=Schema.from_json(project.schema), task=task, fresh=False)
    schema, resolved = first_schema(source, task)
    return _Contract(project=project, schema=schema, task=resolved, fresh=True)


def _admit_all(source: Source, contract: _Contract, admission: Admission, tally: Tally) -> None:
    # Objects name their own columns: one that a chunk lacks may still come in a later chunk.
    patient = source.format in (Format.JSONL, Format.ROWS)
    seen: dict[str, None] = {}
    for chunk in read(source):
        tally.read(chunk)
        if chunk.table.num_rows:
            seen.update(dict.fromkeys(chunk.table.column_names))
            table = _completed(chunk.table, contract.schema) if patient else chunk.table
            checked = check(table, contract.schema, contract.task)
            tally.checked(checked)
            admission.admit(chunk, table, checked, tally)
        else:
            admission.refuse_broken(chunk, tally)
        tally.refuse_if_hopeless()
    if patient and seen:
        tally.missing = _absent(seen, contract)


def _completed(table: pa.Table, schema: Schema) -> pa.Table:
    """The table with a null column for each required one it lacks."""
    present = set(table.column_names)
    for column in schema.columns:
        if column.name not in present:
            table = table.append_column(column.name, pa.nulls(table.num_rows, column.arrow_type))
    return table


def _absent(seen: dict[str, None], contract: _Contract) -> tuple[str, ...]:
    """The optional columns that no row had. Raises SchemaError when a required one is among the absent."""
    nothing = pa.table({name: pa.array([], pa.string()) for name in seen})
    return check(nothing, contract.schema, contract.task).missing


def _agree(registry: Registry, contract: _Contract) -> None:
    """Makes the schema the project's, or makes sure it still is. Raises Conflict (``schema_changed``)."""
    project = contract.project
    if contract.fresh:
        registry.projects.update(
            project.name,
            task=contract.task.to_json(),
            schema=contract.schema.to_json(),
            expected_revision=project.revision,
        )
    elif registry.projects.by_id(project.id).schema_version != project.schema_version:
        raise Conflict("the schema was edited while rows were checked", code="schema_changed")


def _delimiter(source: Source) -> dict[str, str]:
    return {"delimiter": source.delimiter} if source.delimiter not in (None, ",") else {}
