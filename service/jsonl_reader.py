"""JSON Lines, and the rows of a JSON body: one object a row, mixed as they may be."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from typing import IO, Any

import msgspec
import numpy as np
import pyarrow as pa

from automl.errors import SchemaError
from automl.schema import table_from_rows
from service.byte_streams import TextStream, expanded
from service.chunks import CHUNK_BYTES, CHUNK_CELLS, BrokenRow, Chunk, Limits, check_names, excerpt
from service.problems import Problem

LONGEST_LINE = 4 * 1024 * 1024
MOST_JSON_ROWS = 1_000_000
ROWS_REMEDY = 'Send {"rows": [{"column": value, …}, …]}, or one object a line as JSON Lines.'

Row = dict[str, Any]


class _Body(msgspec.Struct):
    rows: list[msgspec.Raw]


class _Named(msgspec.Struct):
    origin: Any = None


def read_jsonl(file: IO[bytes], limits: Limits, *, chunk_rows: int) -> Iterator[Chunk]:
    """One object a line; blank lines are skipped, and lines that hold anything else are ``broken``."""
    lines = io.BufferedReader(TextStream(expanded(file, limits)), buffer_size=1024 * 1024)
    gather = _Gather(limits, chunk_rows)
    number = 0
    start = True
    while line := lines.readline(LONGEST_LINE + 1):
        if start:
            line, start = line.removeprefix(b"\xef\xbb\xbf"), False
        if len(line) > LONGEST_LINE:
            raise _line_too_long(number + 1)
        text = line.strip()
        if not text:
            continue
        number += 1
        limits.check_rows(number)
        if number == 1 and text.startswith(b"["):
            raise not_rows("The file is a JSON list, not JSON Lines.")
        yield from gather.add(number, text)
    yield from gather.end()


def read_json_rows(body: bytes, limits: Limits, *, chunk_rows: int) -> Iterator[Chunk]:
    """The rows of ``{"rows": [...]}``. Raises a problem when the body is not that."""
    if body.count(b"{") > min(MOST_JSON_ROWS, limits.rows) + 1:
        raise Problem(
            413,
            "too_many_rows",
            f"A JSON body takes at most {min(MOST_JSON_ROWS, limits.rows):,} rows.",
            field="rows",
            remedy="Send large sets as a file: CSV, Parquet or JSON Lines.",
        )
    gather = _Gather(limits, chunk_rows)
    for number, row in enumerate(_rows_of(body), start=1):
        yield from gather.add(number, row)
    yield from gather.end()


def origin_of(body: bytes) -> object:
    """The ``origin`` beside ``rows``, whatever it is; None without one, or where the body can't be read."""
    try:
        return msgspec.json.decode(body, type=_Named).origin
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        data = _lenient(body)
        return data.get("origin") if isinstance(data, dict) else None


def not_rows(detail: str, *, field: str = "rows") -> Problem:
    return Problem(422, "not_rows", detail, field=field, remedy=ROWS_REMEDY)


def _rows_of(body: bytes) -> Sequence[bytes | Row | Any]:
    try:
        return [bytes(raw) for raw in msgspec.json.decode(body, type=_Body).rows]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        data = _lenient(body)
    if data is None and body.strip() != b"null":
        raise Problem(400, "not_json", "The body is not valid JSON.", field="body", remedy=ROWS_REMEDY)
    if not isinstance(data, dict):
        raise not_rows(f"The body is a JSON {_kind(data)}, not an object with 'rows'.", field="body")
    if "rows" not in data:
        raise not_rows("The body has no 'rows'.")
    rows = data["rows"]
    if not isinstance(rows, list):
        raise not_rows(f"'rows' is a JSON {_kind(rows)}, not a list of objects.")
    return rows


class _Gather:
    """Collects rows until they make a chunk."""

    def __init__(self, limits: Limits, chunk_rows: int) -> None:
        self._limits = limits
        self._chunk_rows = chunk_rows
        self._decoder = msgspec.json.Decoder()
        self._clear()

    def _clear(self) -> None:
        self._rows: list[Row] = []
        self._lines: list[int] = []
        self._broken: list[BrokenRow] = []
        self._names: dict[str, None] = {}
        self._bytes = 0

    def add(self, line: int, source: bytes | Any) -> Iterator[Chunk]:
        row = self._decode(source) if isinstance(source, bytes) else source
        if isinstance(row, dict) and _has_nul(row, source):
            message = "the row holds a NUL character"
            self._broken.append(
                BrokenRow(line=line, code="nul_character", message=message, row=repr(row)[:200])
            )
        elif isinstance(row, dict):
            self._rows.append(row)
            self._lines.append(line)
            if not row.keys() <= self._names.keys():
                self._names.update(dict.fromkeys(row))
                check_names(list(self._names), self._limits)
        else:
            self._broken.append(self._broken_row(line, source, row))
        self._bytes += len(source) if isinstance(source, bytes) else 64 * len(row or ())
        if self._full():
            yield from self.end()

    def end(self) -> Iterator[Chunk]:
        if not self._rows and not self._broken:
            return
        table, rows = self._table()
        lines = np.array(rows, dtype=np.int64)
        broken = tuple(sorted(self._broken, key=lambda one: one.line))
        self._clear()
        yield Chunk(table=table, lines=lines, broken=broken)

    def _full(self) -> bool:
        # Python's objects are some ten times their text: chunks of JSON end at a quarter of the bytes.
        count = len(self._rows)
        return (
            count + len(self._broken) >= self._chunk_rows
            or count * len(self._names) >= CHUNK_CELLS
            or self._bytes >= CHUNK_BYTES // 4
        )

    def _decode(self, text: bytes) -> Any:
        try:
            return self._decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _lenient(text)

    def _broken_row(self, line: int, source: bytes | Any, row: Any) -> BrokenRow:
        text = source.decode("utf-8", errors="replace") if isinstance(source, bytes) else repr(source)
        if row is None and text.strip() != "null":
            return BrokenRow(
                line=line, code="not_json", message="the row is not valid JSON", row=excerpt(text)
            )
        message = f"the row is a JSON {_kind(row)}, not an object"
        return BrokenRow(line=line, code="not_an_object", message=message, row=excerpt(text))

    def _table(self) -> tuple[pa.Table, list[int]]:
        if self._rows and not any(self._rows):  # a table without columns has no rows
            self._broken += [
                BrokenRow(line=line, code="no_columns", message="the row has no columns", row="{}")
                for line in self._lines
            ]
            return table_from_rows([]), []
        try:
            return table_from_rows(self._rows), self._lines
        except SchemaError:
            good = [at for at, row in enumerate(self._rows) if not _nested(row)]
            if len(good) == len(self._rows):
                raise
        for at, row in enumerate(self._rows):
            column = _nested(row)
            if column:
                message = f"{column}: the value is a list or an object"
                text = excerpt(json.dumps(row, default=str))
                self._broken.append(
                    BrokenRow(line=self._lines[at], code="nested_value", message=message, row=text)
                )
        return table_from_rows([self._rows[at] for at in good]), [self._lines[at] for at in good]


def _lenient(text: bytes) -> Any:
    """What msgspec refuses may still be Python's JSON, which has NaN and Infinity; None when it is not."""
    try:
        data = json.loads(text)
        json.dumps(data, ensure_ascii=False).encode()  # half of a surrogate pair can't be stored
    except (ValueError, RecursionError):
        return None
    return data


def _has_nul(row: Row, source: bytes | Any) -> bool:
    if isinstance(source, bytes) and b"\\u0000" not in source:
        return False
    return any("\0" in text for text in (*row.keys(), *row.values()) if isinstance(text, str))


def _nested(row: Row) -> str | None:
    return next((name for name, value in row.items() if isinstance(value, dict | list)), None)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "list" if isinstance(value, list) else "object"


def _line_too_long(line: int) -> Problem:
    return Problem(
        422,
        "row_too_long",
        f"Row {line:,} is longer than {LONGEST_LINE:,} bytes.",
        field="file",
        remedy="JSON Lines needs a line end after each object; shorten the row if it is one.",
    )
