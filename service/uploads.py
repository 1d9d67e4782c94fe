"""A request's body on its way to a nameless spool file: never in memory, never larger than allowed.

The file has no name in the folder, so that nothing is left of it however the process ends.
"""

from __future__ import annotations

import errno
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from anyio.to_thread import run_sync
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from service.problems import Problem
from service.upload_origin import MOST_BYTES

PIECE = 1024 * 1024
FORM_ROOM = 64 * 1024
"""Bytes that a form may need around its file."""


@dataclass(slots=True, kw_only=True)
class Upload:
    """A body on disk. ``digest`` is the SHA-256 (hex) of the file itself, without the form around it; ``origin``
    is the form's part of that name."""

    file: IO[bytes]
    filename: str | None
    media_type: str | None
    digest: str
    size: int
    origin: str | None = None

    def close(self) -> None:
        self.file.close()


async def receive(request: Request, folder: Path, limit: int) -> Upload:
    """The uploaded file: the part ``file`` of a form, or the body itself.

    Raises a problem as soon as the body is known to be larger than ``limit`` bytes (413), is no readable
    form, or ends early. The caller closes the upload.
    """
    media_type = request.headers.get("content-type", "")
    is_form = media_type.lower().startswith("multipart/form-data")
    most = limit + (FORM_ROOM if is_form else 0)
    _check_headers(request, most, limit, is_form)
    spool = _Spool(folder, limit)
    try:
        with storage_problems():
            sink = _Form(media_type, spool) if is_form else _Body(media_type, spool)
            total = 0
            async for piece in request.stream():
                total += len(piece)
                if total > most:
                    raise too_large(limit)
                sink.write(piece)
                if spool.waiting >= PIECE:
                    await run_sync(spool.flush)
            await run_sync(spool.flush)
            return sink.end()
    except ClientDisconnect:
        spool.close()
        raise _cut_off() from None
    except BaseException:
        spool.close()
        raise


async def read_body(request: Request, limit: int) -> bytes:
    """A small body, in memory. Raises a problem (413) as soon as it is known to be larger than ``limit``."""
    _check_headers(request, limit, limit, True)
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > limit:
                raise too_large(limit)
    except ClientDisconnect:
        raise _cut_off() from None
    return bytes(body)


@contextmanager
def storage_problems() -> Iterator[None]:
    """A full disk is a 507 problem, not an unexpected error."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Problem(
            507,
            "storage_full",
            "The server's disk is full; nothing was stored.",
            remedy="Free space on the server and send the upload again.",
        ) from None


def too_large(limit: int) -> Problem:
    return Problem(
        413,
        "body_too_large",
        f"The body is larger than {limit:,} bytes.",
        field="body",
        remedy="Split it into smaller ones, or compress it with gzip.",
        headers={"Connection": "close"},
        limit=limit,
    )


def _check_headers(request: Request, most: int, limit: int, is_plain: bool) -> None:
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise too_large(limit)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip") or (is_plain and "gzip" in encoding):
        raise Problem(
            415,
            "unknown_encoding",
            f"The content encoding {encoding!r} is not read here.",
            field="Content-Encoding",
            remedy="Send it without; a file in a form may be gzipped itself, a file that is the body too.",
        )


def _cut_off() -> Problem:
    return Problem(
        400, "cut_off", "The body ended before it was complete.", field="body", remedy="Send it again."
    )


class _Spool:
    """Counts, hashes and keeps bytes; they reach the disk with :meth:`flush`."""

    def __init__(self, folder: Path, limit: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed with the upload)
        self.size = 0
        self._limit = limit
        self._hash = hashlib.sha256()
        self._buffer = bytearray()

    @property
    def waiting(self) -> int:
        return len(self._buffer)

    def add(self, piece: bytes | memoryview) -> None:
        self.size += len(piece)
        if self.size > self._limit:
            raise too_large(self._limit)
        self._buffer += piece

    def flush(self) -> None:
        self._hash.update(self._buffer)
        self.file.write(self._buffer)
        self._buffer.clear()

    def upload(self, filename: str | None, media_type: str | None) -> Upload:
        self.file.flush()
        self.file.seek(0)
        return Upload(
            file=self.file,
            filename=filename,
            media_type=media_type,
            digest=self._hash.hexdigest(),
            size=self.size,
        )

    def close(self) -> None:
        self.file.close()


class _Body:
    """The whole body is the file."""

    def __init__(self, media_type: str, spool: _Spool) -> None:
        self._media_type = media_type
        self._spool = spool

    def write(self, piece: bytes) -> None:
        self._spool.add(piece)

    def end(self) -> Upload:
        return self._spool.upload(None, self._media_type or None)


class _Form:
    """A multipart form; its part ``file`` is the file, ``origin`` a name, all other parts are passed over."""

    def __init__(self, media_type: str, spool: _Spool) -> None:
        boundary = parse_options_header(media_type)[1].get(b"boundary")
        if not boundary:
            raise _bad_form("The form's Content-Type names no boundary.")
        self._spool = spool
        self._name = bytearray()
        self._value = bytearray()
        self._headers: dict[str, str] = {}
        self._in_file = False
        self._origin: bytearray | None = None
        self._in_origin = False
        self._found: tuple[str | None, str | None] | None = None
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._part_data,
                "on_end": self._end,
            },
        )

    def write(self, piece: bytes) -> None:
        try:
            self._parser.write(piece)
        except FormParserError:
            raise _bad_form("The body is not a multipart form with the boundary it names.") from None

    def end(self) -> Upload:
        if not self._ended:
            raise _cut_off()
        if self._found is None:
            raise _bad_form("The form has no part named 'file'.")
        upload = self._spool.upload(*self._found)
        if self._origin is not None:
            upload.origin = self._origin.decode("utf-8", errors="replace")
        return upload

    def _part_begin(self) -> None:
        self._headers = {}
        self._in_file = self._in_origin = False

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value.decode("utf-8", errors="replace")
        self._name.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        options = parse_options_header(self._headers.get("content-disposition", ""))[1]
        if options.get(b"name") == b"origin":
            self._origin, self._in_origin = bytearray(), True
        if options.get(b"name") != b"file":
            return
        if self._found is not None:
            raise _bad_form("The form has more than one part named 'file'.")
        filename = options.get(b"filename", b"").decode("utf-8", errors="replace") or None
        self._found = (filename, self._headers.get("content-type"))
        self._in_file = True

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._spool.add(memoryview(data)[start:end])
        elif self._in_origin and self._origin is not None and len(self._origin) <= MOST_BYTES:
            self._origin += data[start : min(end, start + MOST_BYTES + 1)]  # longer ones are refused for that

    def _end(self) -> None:
        self._ended = True


def _bad_form(detail: str) -> Problem:
    return Problem(
        422,
        "bad_form",
        detail,
        field="file",
        remedy="Send one file in the part 'file': curl -F file=@data.csv",
    )
