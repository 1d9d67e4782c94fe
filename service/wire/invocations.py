"""The bodies of MLflow's scoring protocol: ``dataframe_split``, ``dataframe_records``, ``inputs``, ``instances``, CSV."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from service.chunks import Limits
from service.csv_reader import read_csv
from service.problems import Problem

FIELDS = ("dataframe_split", "dataframe_records", "inputs", "instances")
_decode = msgspec.json.Decoder().decode


def read_invocation(body: bytes) -> list[dict[str, Any]]:
    """The rows of a JSON body with exactly one of FIELDS. Raises a problem that says what is wrong with it."""
    try:
        told = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _bad(f"The body is not JSON: {error}.") from None
    found = [name for name in FIELDS if isinstance(told, dict) and name in told]
    if len(found) != 1:
        raise _bad(f"The body must be a JSON object with exactly one of {', '.join(FIELDS)}.")
    name, data = found[0], told[found[0]]
    rows = _split(data) if name == "dataframe_split" else _table(name, data)
    if not rows:
        raise _bad("There is no row to predict.", name)
    return rows


def read_invocation_csv(body: bytes, known: Sequence[str], limits: Limits) -> list[dict[str, Any]]:
    """The rows of a CSV body with a header."""
    rows: list[dict[str, Any]] = []
    for chunk in read_csv(io.BytesIO(body), known, limits, chunk_rows=limits.rows):
        if chunk.broken:
            broken = chunk.broken[0]
            raise _bad(f"Row {broken.line}: {broken.message}.", "file")
        rows += chunk.table.to_pylist()
    if not rows:
        raise _bad("There is no row to predict.", "file")
    return rows


def _split(data: Any) -> list[dict[str, Any]]:
    name = "dataframe_split"
    if not isinstance(data, dict) or not isinstance(data.get("data"), list):
        raise _bad("'dataframe_split' must be an object with 'columns' and 'data'.", name)
    columns = data.get("columns")
    if not isinstance(columns, list) or not all(isinstance(column, str) for column in columns):
        raise _bad("'columns' must be a list of names.", f"{name}.columns")
    if len(set(columns)) < len(columns):
        raise _bad("'columns' names a column twice.", f"{name}.columns")
    for place, row in enumerate(data["data"]):
        if not isinstance(row, list) or len(row) != len(columns):
            raise _bad(f"Row {place} is no list of {len(columns)} values.", f"{name}.data[{place}]")
    return [dict(zip(columns, row, strict=True)) for row in data["data"]]


def _table(name: str, data: Any) -> list[dict[str, Any]]:
    """A list of records, or an object of columns."""
    if isinstance(data, list) and all(isinstance(row, dict) for row in data):
        return data
    if isinstance(data, dict) and data and name != "dataframe_records":
        return _columns(name, data)
    shapes = (
        "a list of objects" if name == "dataframe_records" else "an object of columns or a list of objects"
    )
    raise _bad(f"'{name}' must be {shapes}: the model's columns have names.", name)


def _columns(name: str, data: Mapping[str, Any]) -> list[dict[str, Any]]:
    lengths = {len(values) if isinstance(values, list) else -1 for values in data.values()}
    if lengths != {max(lengths)} or -1 in lengths:
        raise _bad(f"The columns of '{name}' must be lists of one length.", name)
    return [dict(zip(data, values, strict=True)) for values in zip(*data.values(), strict=True)]


def _bad(detail: str, field: str = "body") -> Problem:
    return Problem(
        400,
        "invalid_invocation",
        detail,
        field=field,
        remedy='Send for instance {"dataframe_records": [{"column": value, …}, …]}.',
        error_code="BAD_REQUEST",
        message=detail,
    )
