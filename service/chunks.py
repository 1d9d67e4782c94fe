"""A piece of an upload as it was read, before anybody has judged its values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from service.problems import Problem
from service.settings import Settings

CHUNK_ROWS = 20_000
CHUNK_CELLS = 2_000_000
CHUNK_BYTES = 16 * 1024 * 1024
"""A chunk ends at whichever comes first, so that wide rows and long texts stay small in memory too."""

LONGEST_EXCERPT = 4_000
"""Characters of a broken row that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRow:
    """A row that could not be read at all. ``line`` counts data rows from 1; ``row`` is its text."""

    line: int
    code: str
    message: str
    row: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """``table`` holds the rows that could be read, raw; ``lines`` their numbers in the upload, from 1."""

    table: pa.Table
    lines: npt.NDArray[np.int64]
    broken: tuple[BrokenRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one upload may hold, however small it was packed."""

    expanded_bytes: int
    rows: int
    columns: int

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        return cls(
            expanded_bytes=settings.max_expanded_bytes,
            rows=settings.max_rows,
            columns=settings.max_columns,
        )

    def check_expanded(self, size: int) -> None:
        if size > self.expanded_bytes:
            raise Problem(
                413,
                "expanded_too_large",
                f"The file is larger than {self.expanded_bytes:,} bytes once decompressed.",
                field="file",
                remedy="Split it into smaller uploads, or raise INCUMBENT_MAX_EXPANDED_BYTES on the server.",
                limit=self.expanded_bytes,
            )

    def check_rows(self, rows: int) -> None:
        if rows > self.rows:
            raise Problem(
                413,
                "too_many_rows",
                f"The upload has more than {self.rows:,} rows.",
                field="file",
                remedy="Split it into smaller uploads, or raise INCUMBENT_MAX_ROWS on the server.",
                limit=self.rows,
            )

    def check_columns(self, columns: int) -> None:
        if columns > self.columns:
            raise Problem(
                413,
                "too_many_columns",
                f"The upload has {columns:,} columns; at most {self.columns:,} are taken.",
                field="file",
                remedy="Leave out columns, or raise INCUMBENT_MAX_COLUMNS on the server.",
                limit=self.columns,
            )


def rows_at_once(chunk_rows: int, columns: int) -> int:
    """How many rows of so many columns make one chunk."""
    return max(1, min(chunk_rows, CHUNK_CELLS // max(1, columns)))


def slices(table: pa.Table, rows: int) -> Iterator[pa.Table]:
    """The table in pieces of at most so many rows (zero-copy); an empty table is one piece."""
    for start in range(0, max(1, table.num_rows), rows):
        yield table.slice(start, rows)


def first_repeated(names: list[str]) -> tuple[str, str] | None:
    """The first two names that differ by nothing but case, if any."""
    seen: dict[str, str] = {}
    for name in names:
        folded = name.casefold()
        if folded in seen:
            return seen[folded], name
        seen[folded] = name
    return None


def check_names(names: list[str], limits: Limits) -> None:
    """Refuses more columns than allowed and two of one name, before any row is read."""
    limits.check_columns(len(names))
    repeated = first_repeated(names)
    if repeated is not None:
        first, second = repeated
        how = "twice" if first == second else f"as {first!r} and {second!r}"
        raise Problem(
            422,
            "duplicate_columns",
            f"The column {first!r} is there {how}; names must differ by more than case.",
            field=first,
            remedy="Rename or remove one of the two columns.",
        )


def excerpt(text: str) -> str:
    """At most LONGEST_EXCERPT characters of a row, for the quarantine."""
    return text if len(text) <= LONGEST_EXCERPT else text[:LONGEST_EXCERPT] + "…"
