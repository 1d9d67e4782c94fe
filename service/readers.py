"""From a file somebody sent to chunks of rows: which format it is, and who reads it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import IO

from service.byte_streams import expanded_head, is_gzip
from service.chunks import CHUNK_ROWS, BrokenRow, Chunk, Limits
from service.csv_reader import empty, header, read_csv
from service.jsonl_reader import origin_of, read_json_rows, read_jsonl
from service.parquet_reader import read_parquet
from service.problems import Problem

__all__ = ["BrokenRow", "Chunk", "Format", "Limits", "Source", "open_source", "read"]


class Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    ROWS = "rows"
    """A JSON body with ``rows``."""


SUFFIXES = {
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".txt": Format.CSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".json": Format.JSONL,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
}
MEDIA_TYPES = {
    "text/csv": Format.CSV,
    "application/csv": Format.CSV,
    "text/tab-separated-values": Format.CSV,
    "application/x-ndjson": Format.JSONL,
    "application/ndjson": Format.JSONL,
    "application/jsonl": Format.JSONL,
    "application/x-jsonlines": Format.JSONL,
    "application/vnd.apache.parquet": Format.PARQUET,
    "application/parquet": Format.PARQUET,
}
FOREIGN = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"(\xb5/\xfd": "compressed with zstd",
    b"%PDF": "a PDF document",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"ARROW1": "an Arrow file",
    b"SQLite f": "an SQLite database",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A spool file and how it is to be read. ``delimiter`` is set for CSV."""

    file: IO[bytes]
    format: Format
    compressed: bool
    limits: Limits
    folder: Path
    known: frozenset[str] = frozenset()
    delimiter: str | None = None


def open_source(
    file: IO[bytes],
    *,
    filename: str | None,
    media_type: str | None,
    known: Collection[str],
    limits: Limits,
    folder: Path,
) -> Source:
    """Finds the format: by the first bytes where these are sure, then by name, media type, and content.

    ``known`` are column names that the project expects; they tell delimiters apart. Raises a problem
    when the file is empty or of a format that is not read.
    """
    head = expanded_head(file, limits, 4096)
    if not head:
        raise empty()
    for magic, what in FOREIGN.items():
        if head.startswith(magic):
            raise _unknown(f"The file is {what}.", workbook="Excel" in what)
    kind = _format(head, filename, media_type)
    wanted = frozenset(known)
    delimiter = header(file, wanted, limits)[0] if kind is Format.CSV else None
    return Source(
        file=file,
        format=kind,
        compressed=is_gzip(file),
        limits=limits,
        folder=folder,
        known=wanted,
        delimiter=delimiter,
    )


def rows_source(file: IO[bytes], *, limits: Limits, folder: Path) -> Source:
    """A source for a JSON body ``{"rows": [...]}``."""
    return Source(file=file, format=Format.ROWS, compressed=is_gzip(file), limits=limits, folder=folder)


def read(source: Source, *, chunk_rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
    """The rows from the start, in chunks of at most ``chunk_rows``."""
    if source.format is Format.CSV:
        return read_csv(source.file, source.known, source.limits, chunk_rows=chunk_rows)
    if source.format is Format.PARQUET:
        return read_parquet(source.file, source.limits, source.folder, chunk_rows=chunk_rows)
    if source.format is Format.JSONL:
        return read_jsonl(source.file, source.limits, chunk_rows=chunk_rows)
    return read_json_rows(_body(source), source.limits, chunk_rows=chunk_rows)


def named_origin(source: Source) -> object:
    """What a JSON body says beside its rows of where its labels are from; None for other formats."""
    return origin_of(_body(source)) if source.format is Format.ROWS else None


def _body(source: Source) -> bytes:
    return expanded_head(source.file, source.limits, source.limits.expanded_bytes + 1)


def _format(head: bytes, filename: str | None, media_type: str | None) -> Format:
    if head.startswith(b"PAR1"):
        return Format.PARQUET
    name = PurePosixPath((filename or "").replace("\\", "/").lower())
    if name.suffix == ".gz":
        name = name.with_suffix("")
    if name.suffix in SUFFIXES:
        return SUFFIXES[name.suffix]
    plain = (media_type or "").partition(";")[0].strip().lower()
    if plain in MEDIA_TYPES:
        return MEDIA_TYPES[plain]
    if name.suffix in (".xlsx", ".xls", ".zip", ".xml", ".feather", ".arrow", ".avro", ".orc", ".pkl"):
        raise _unknown(
            f"Files of the kind '{name.suffix}' are not read.", workbook=name.suffix in (".xlsx", ".xls")
        )
    return Format.JSONL if head.lstrip()[:1] in (b"{", b"[") else Format.CSV


def _unknown(detail: str, *, workbook: bool) -> Problem:
    remedy = "Send CSV, Parquet or JSON Lines (each may be gzipped), or JSON rows."
    if workbook:
        remedy = f"Save the sheet as 'CSV UTF-8' and send that. {remedy}"
    return Problem(415, "unknown_format", detail, field="file", remedy=remedy)
