"""Bytes on their way from a spool file to a parser: decompressed, counted, and proven to be text."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import tempfile
import zlib
from pathlib import Path
from typing import IO, Any

from service.chunks import Limits
from service.problems import Problem

GZIP = b"\x1f\x8b"
PIECE = 1024 * 1024


def is_gzip(file: IO[bytes]) -> bool:
    file.seek(0)
    return file.read(2) == GZIP


def expanded(file: IO[bytes], limits: Limits) -> io.RawIOBase:
    """The file's bytes from its start, decompressed when they are gzip, never more than the limit."""
    packed = is_gzip(file)
    if packed and _promised_size(file) > limits.expanded_bytes:
        # A bomb, or a file that was cut off: found out without parsing a byte of it.
        through = _counted(file, True, limits)
        while through.read(PIECE):
            pass
    return _counted(file, packed, limits)


def _counted(file: IO[bytes], packed: bool, limits: Limits) -> io.RawIOBase:
    file.seek(0)
    return _Counted(gzip.GzipFile(fileobj=file, mode="rb") if packed else file, limits)


def expanded_head(file: IO[bytes], limits: Limits, size: int) -> bytes:
    """The first bytes after decompression."""
    stream = expanded(file, limits)
    parts: list[bytes] = []
    while size > 0 and (piece := stream.read(size)):
        parts.append(piece)
        size -= len(piece)
    return b"".join(parts)


def expanded_copy(file: IO[bytes], limits: Limits, folder: Path) -> IO[bytes]:
    """The decompressed bytes as a nameless file in ``folder``, for formats that are read from their end."""
    copy: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (the caller closes it)
    try:
        stream = expanded(file, limits)
        while piece := stream.read(PIECE):
            copy.write(piece)
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return copy


def _promised_size(file: IO[bytes]) -> int:
    """What gzip's trailer says of the last member's size (modulo 2³²); anything, when it was cut off."""
    end = file.seek(0, os.SEEK_END)
    if end < 18:
        return 0
    file.seek(-4, os.SEEK_END)
    return int.from_bytes(file.read(4), "little")


class _Stream(io.RawIOBase):
    """A raw stream that is told by :meth:`read` alone."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def read(self, size: int = -1) -> bytes:
        raise NotImplementedError


class _Counted(_Stream):
    """Reads through, and stops with a problem at the size limit or where the gzip stream is broken."""

    def __init__(self, source: IO[bytes] | gzip.GzipFile, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._size = 0

    def read(self, size: int = -1) -> bytes:
        try:
            piece = self._source.read(PIECE if size is None or size < 0 else size)
        except (OSError, EOFError, zlib.error) as error:
            if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
                raise
            raise Problem(
                422,
                "broken_gzip",
                "The gzip stream ends early or is damaged.",
                field="file",
                remedy="Compress the file again ('gzip -t FILE' checks one) and send it once more.",
            ) from None
        self._size += len(piece)
        self._limits.check_expanded(self._size)
        return piece


class TextStream(_Stream):
    """Bytes that are UTF-8 text as far as they were read; otherwise a problem that names the line."""

    def __init__(self, source: io.RawIOBase) -> None:
        self._source = source
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._lines = 0

    def read(self, size: int = -1) -> bytes:
        piece = self._source.read(size) or b""
        try:
            self._decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            # Up to three bytes of the piece before may stand in front of this one in the decoder's view.
            line = self._lines + piece.count(b"\n", 0, max(0, error.start)) + 1
            raise Problem(
                422,
                "not_utf8",
                f"Line {line:,} of the file is not UTF-8 text.",
                field="file",
                remedy="Save the file as UTF-8 (for instance 'iconv -f latin1 -t utf-8') and send it again.",
                line=line,
            ) from None
        nul = piece.find(b"\0")
        if nul >= 0:
            line = self._lines + piece.count(b"\n", 0, nul) + 1
            raise Problem(
                422,
                "not_text",
                f"Line {line:,} of the file holds a NUL byte, so it is not text.",
                field="file",
                remedy="Send CSV or JSON Lines as UTF-8 text, or Parquet.",
                line=line,
            )
        self._lines += piece.count(b"\n")
        return piece
