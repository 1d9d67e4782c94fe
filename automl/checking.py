"""The check of a table against a project's schema: good rows typed, bad rows named with their reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from automl.coercion import Coerced, Positions, coerce, explain, plain
from automl.columns import Column, ColumnKind, Schema, TargetSpec
from automl.errors import SchemaError
from automl.task import Task

_FULL_LISTING = 20_000
"""So many faults are all listed; beyond, one for each further bad row, so that memory stays in bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why one row was refused. ``row`` counts from 0 in the table given; ``column`` None is the whole row."""

    row: int
    column: str | None
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a table came to.

    ``table`` holds the good rows, typed, all schema columns in order; ``positions`` where they stood in the
    input; ``labels`` their canonical label text, null where unlabelled. Every bad row has at least one
    fault. ``unseen`` counts accepted values that the first upload did not have, ``ignored`` names extra
    columns, ``missing`` the optional ones that were absent and taken as empty.
    """

    table: pa.Table
    positions: npt.NDArray[np.intp]
    labels: pa.Array
    faults: tuple[Fault, ...] = ()
    unseen: Mapping[str, int] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class _Faults:
    """The faults of one table as they are found, and which rows they leave good."""

    def __init__(self, rows: int) -> None:
        self.found: list[Fault] = []
        self.good = np.ones(rows, dtype=np.bool_)

    def add(self, column: str, raw: pa.Array | pa.ChunkedArray, code: str, positions: Positions) -> None:
        listed = positions
        if len(self.found) + positions.size > _FULL_LISTING:
            listed = positions[self.good[positions]]
        self.good[positions] = False
        values = raw.take(pa.array(listed)).to_pylist()
        self.found.extend(
            Fault(row=int(row), column=column, code=code, message=explain(code, value))
            for row, value in zip(listed, values, strict=True)
        )

    def coerced(self, column: str, raw: pa.Array | pa.ChunkedArray, coerced: Coerced) -> None:
        for code, positions in coerced.problems:
            if positions.size:
                self.add(column, raw, code, positions)

    def in_order(self) -> tuple[Fault, ...]:
        return tuple(sorted(self.found, key=lambda fault: fault.row))


def check(table: pa.Table, schema: Schema, task: Task) -> Checked:
    """Reads a raw table by the schema.

    Raises SchemaError only for the table as a whole: ``duplicate_columns``, ``missing_column``.
    Everything about single rows is in the result, in the order of the input.
    """
    refuse_duplicates(table.column_names)
    present = frozenset(table.column_names)
    missing = _missing(schema.columns, present)
    faults = _Faults(table.num_rows)
    arrays = [_read(table, column, present, faults) for column in schema.columns]
    labels = _labels(table, schema.target, task.target, faults)
    typed = pa.Table.from_arrays(arrays, schema=schema.arrow_schema())
    _check_ids(typed, task.id_column, faults)
    positions = np.flatnonzero(faults.good)
    if positions.size < table.num_rows:
        typed, labels = typed.take(pa.array(positions)), labels.take(pa.array(positions))
    known = {*schema.names, task.target}
    return Checked(
        table=typed,
        positions=positions,
        labels=labels,
        faults=faults.in_order(),
        unseen=_unseen(typed, schema),
        ignored=tuple(name for name in table.column_names if name not in known),
        missing=missing,
    )


def refuse_duplicates(names: Sequence[str]) -> None:
    """Raises SchemaError ``duplicate_columns`` for names that are equal or differ only in case."""
    seen: dict[str, str] = {}
    for name in names:
        earlier = seen.get(name.casefold())
        if earlier is not None:
            same = "twice" if earlier == name else f"beside {earlier!r}, which differs only in case"
            raise SchemaError(
                f"column {name!r} stands {same}",
                code="duplicate_columns",
                column=name,
                remedy="give each column a name of its own, in more than case",
            )
        seen[name.casefold()] = name


def _missing(columns: Sequence[Column], present: frozenset[str]) -> tuple[str, ...]:
    absent = [column for column in columns if column.name not in present]
    required = [column.name for column in absent if not column.optional]
    if required:
        others = f" (and {len(required) - 1} more)" if len(required) > 1 else ""
        near = [name for name in present if name.casefold() == required[0].casefold()]
        hint = f"the table has {near[0]!r}: names are compared with their case; " if near else ""
        raise SchemaError(
            f"column {required[0]!r} is missing{others}",
            code="missing_column",
            column=required[0],
            remedy=f"{hint}send it (empty values are fine), or make it optional with PUT …/schema",
        )
    return tuple(column.name for column in absent)


def _read(table: pa.Table, column: Column, present: frozenset[str], faults: _Faults) -> pa.Array:
    if column.name not in present:
        return pa.nulls(table.num_rows, column.arrow_type)
    raw = table.column(column.name)
    coerced = coerce(raw, column)
    faults.coerced(column.name, raw, coerced)
    return coerced.values


def _labels(table: pa.Table, target: TargetSpec, name: str, faults: _Faults) -> pa.Array:
    if name not in table.column_names:
        return pa.nulls(table.num_rows, pa.string())
    raw = table.column(name)
    labels, bad = canonical_labels(raw, target)
    if bad.size:
        faults.add(name, raw, "unknown_label" if target.classes else "unparsable_label", bad)
    return labels


def canonical_labels(raw: pa.Array | pa.ChunkedArray, target: TargetSpec) -> tuple[pa.Array, Positions]:
    """Each label's canonical text (null where missing), and the positions of those that can't be read."""
    values = plain(raw)
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), pa.string()), np.empty(0, dtype=np.intp)
    coded = pc.dictionary_encode(values)
    texts = [_canonical(value, target) for value in coded.dictionary.to_pylist()]
    readable = pa.array([text is not None for text in texts], pa.bool_()).take(coded.indices)
    bad = np.flatnonzero(pc.equal(readable, False).fill_null(False).to_numpy(zero_copy_only=False))
    labels = pa.array([text or None for text in texts], pa.string()).take(coded.indices)
    return labels, bad


def _canonical(value: object, target: TargetSpec) -> str | None:
    """The label's text; None for what can't be read, the empty text for a missing one."""
    if value is None or value != value:
        return ""
    try:
        return target.text(target.parse(value))
    except ValueError:
        return None


def _check_ids(typed: pa.Table, id_column: str | None, faults: _Faults) -> None:
    """A row needs an id of its own. The first good row with an id keeps it."""
    if id_column is None or id_column not in typed.column_names:
        return
    ids = typed.column(id_column).combine_chunks()
    raw_missing = np.flatnonzero(faults.good & pc.is_null(ids).to_numpy(zero_copy_only=False))
    if raw_missing.size:
        faults.add(id_column, ids, "missing_id", raw_missing)
    candidates = np.flatnonzero(faults.good)
    codes = pc.dictionary_encode(ids.take(pa.array(candidates))).indices.to_numpy(zero_copy_only=False)
    first = np.unique(codes, return_index=True)[1]
    repeated = np.delete(candidates, first)
    if repeated.size:
        faults.add(id_column, ids, "duplicate_id", repeated)


def _unseen(typed: pa.Table, schema: Schema) -> dict[str, int]:
    counts: dict[str, int] = {}
    for column in schema.columns:
        if column.kind is not ColumnKind.CATEGORICAL or not (
            column.categories and column.categories_complete
        ):
            continue
        values = typed.column(column.name)
        seen = pc.is_in(values, value_set=pa.array(column.categories, pa.string()))
        count = typed.num_rows - values.null_count - (pc.sum(seen).as_py() or 0)
        if count:
            counts[column.name] = count
    return counts
