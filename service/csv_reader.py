"""CSV as it is sent: the usual delimiters, every value a string, rows of the wrong length set aside."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from service.byte_streams import TextStream, expanded
from service.chunks import CHUNK_BYTES, BrokenRow, Chunk, Limits, check_names, excerpt, rows_at_once, slices
from service.problems import Problem

DELIMITERS = (",", ";", "\t", "|")
BLOCK = 4 * 1024 * 1024
LONGEST_HEADER = 1024 * 1024
MOST_BROKEN = 100_000
MOST_BROKEN_CHARACTERS = 32 * 1024 * 1024


def header(file: IO[bytes], known: Collection[str], limits: Limits) -> tuple[str, list[str]]:
    """The delimiter and the column names.

    The delimiter is the one that splits the first line into the most names that are ``known``, then into the
    most names; the comma wins ties. Raises a problem when the file is empty, not text, or has no such line.
    """
    stream = TextStream(expanded(file, limits))
    head = b""
    while len(head) < LONGEST_HEADER and (piece := stream.read(LONGEST_HEADER)):
        head += piece
    text = head.decode("utf-8-sig", errors="ignore").lstrip("\r\n")
    if not text.strip():
        raise empty()
    if len(head) >= LONGEST_HEADER and "\n" not in text and "\r" not in text:
        raise Problem(
            422,
            "header_too_long",
            "The first megabyte of the file has no line end, so no header can be read from it.",
            field="file",
            remedy="Send CSV whose first line names the columns.",
        )
    wanted = set(known)
    best: tuple[tuple[int, int], str, list[str]] | None = None
    for delimiter in DELIMITERS:
        names = _first_record(text, delimiter)
        score = (len(wanted.intersection(names)), len(names))
        if best is None or score > best[0]:
            best = (score, delimiter, names)
    assert best is not None
    return best[1], best[2]


def read_csv(
    file: IO[bytes],
    known: Collection[str],
    limits: Limits,
    *,
    chunk_rows: int,
) -> Iterator[Chunk]:
    """The rows in chunks, all values strings; nothing is yielded when there are none.

    Rows with too few or too many values are ``broken`` (code ``ragged_row``). Raises a problem for what makes
    the whole file unreadable.
    """
    delimiter, names = header(file, known, limits)
    check_names(names, limits)
    ragged = _Ragged()
    seen = _Seen(limits, rows_at_once(chunk_rows, len(names)))
    for batch in _batches(file, limits, delimiter, names, ragged):
        yield from seen.add(batch, ragged)
    yield from seen.end(ragged)


def empty() -> Problem:
    return Problem(
        422,
        "empty",
        "The upload holds no rows.",
        field="file",
        remedy="Send a header line and at least one row below it.",
    )


def _first_record(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error:
        return []


def _batches(
    file: IO[bytes],
    limits: Limits,
    delimiter: str,
    names: list[str],
    ragged: _Ragged,
) -> Iterator[pa.RecordBatch]:
    convert = pacsv.ConvertOptions(
        column_types={name: pa.string() for name in names},
        strings_can_be_null=False,
    )
    try:
        reader = pacsv.open_csv(
            pa.PythonFile(TextStream(expanded(file, limits)), mode="r"),
            # One thread: only so are the numbers of rows known that are set aside.
            read_options=pacsv.ReadOptions(use_threads=False, block_size=BLOCK),
            parse_options=pacsv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=ragged.handle
            ),
            convert_options=convert,
        )
        yield from reader
    except pa.ArrowInvalid as error:
        # Arrow's word for a header with nothing below it.
        if "Empty CSV file" not in str(error):
            raise _unreadable(str(error), ragged) from None


class _Ragged:
    """Keeps the rows that Arrow could not split into as many values as there are names."""

    def __init__(self) -> None:
        self.rows: list[BrokenRow] = []
        self.flooded = False
        self._characters = 0

    def handle(self, row: Any) -> str:
        text = excerpt(str(row.text))
        self._characters += len(text)
        if len(self.rows) >= MOST_BROKEN or self._characters > MOST_BROKEN_CHARACTERS:
            self.flooded = True
            return "error"
        message = f"the row has {row.actual_columns} values, the header has {row.expected_columns} names"
        # Arrow counts the header as row 1, and no blank lines.
        self.rows.append(BrokenRow(line=row.number - 1, code="ragged_row", message=message, row=text))
        return "skip"

    def take(self, before: int | None) -> tuple[BrokenRow, ...]:
        """Removes and returns the rows in front of a line; all of them when it is None."""
        taken = [row for row in self.rows if before is None or row.line < before]
        self.rows = self.rows[len(taken) :]
        self._characters = sum(len(row.row) for row in self.rows)
        return tuple(taken)


class _Seen:
    """Gathers batches into chunks and knows the line of every row."""

    def __init__(self, limits: Limits, rows: int) -> None:
        self._limits = limits
        self._rows = rows
        self._next_line = 1
        self._waiting: list[pa.RecordBatch] = []

    def add(self, batch: pa.RecordBatch, ragged: _Ragged) -> Iterator[Chunk]:
        self._waiting.append(batch)
        rows = sum(one.num_rows for one in self._waiting)
        self._limits.check_rows(self._next_line - 1 + rows)
        if rows >= self._rows or sum(one.nbytes for one in self._waiting) >= CHUNK_BYTES:
            yield from self._flush(ragged)

    def end(self, ragged: _Ragged) -> Iterator[Chunk]:
        yield from self._flush(ragged)
        if ragged.rows:
            self._limits.check_rows(ragged.rows[-1].line)
            rest = ragged.take(None)
            yield Chunk(table=pa.table({}), lines=np.empty(0, dtype=np.int64), broken=rest)

    def _flush(self, ragged: _Ragged) -> Iterator[Chunk]:
        if not self._waiting:
            return
        table = pa.Table.from_batches(self._waiting)
        self._waiting = []
        for piece in slices(table, self._rows):
            lines = self._number(piece.num_rows, ragged)
            broken = ragged.take(self._next_line)
            if piece.num_rows or broken:
                yield Chunk(table=piece, lines=lines, broken=broken)

    def _number(self, rows: int, ragged: _Ragged) -> npt.NDArray[np.int64]:
        """The lines of the next good rows: those that no broken row has."""
        taken = np.array([row.line for row in ragged.rows], dtype=np.int64)
        lines = np.arange(self._next_line, self._next_line + rows + len(taken), dtype=np.int64)
        lines = lines[~np.isin(lines, taken)][:rows] if len(taken) else lines
        if rows:
            self._next_line = int(lines[-1]) + 1
        return lines


def _unreadable(message: str, ragged: _Ragged) -> Problem:
    if ragged.flooded:
        first = ragged.rows[0]
        return Problem(
            422,
            "ragged_row",
            f"Too many rows don't fit the header; in row {first.line:,} {first.message}.",
            field="file",
            remedy="Check the delimiter and the quotes: each row needs one value a column.",
        )
    if "straddling object" in message:
        return Problem(
            422,
            "row_too_long",
            f"A row is longer than {BLOCK:,} bytes.",
            field="file",
            remedy="Look for a quote that is never closed, or shorten the row.",
        )
    return Problem(
        422,
        "unreadable_csv",
        "The file can't be read as CSV: " + message.split("\n")[0][:200],
        field="file",
        remedy='Send CSV with one header line, values quoted with " where they hold the delimiter.',
    )
