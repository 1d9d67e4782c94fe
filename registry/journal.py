"""An append-only log of small records that survives kill -9: what is answered is written here first.

A folder of numbered segments. A segment is ``INCJRNL1`` and then records, little-endian:
``length (u32) · crc32 of length and payload (u32) · crc32 of those eight bytes (u32) · payload``.
All records of one append go to the kernel in one write, so a killed process leaves at most a torn tail, which
readers stop at. Anything else that doesn't add up is Damaged: the header has its own checksum so that a
broken length is not taken for a torn tail.

Numbers never come back, because the segment in use always exists and has the largest. With ``id``, drawn when
the folder was made, ``key(number)`` names a segment's content forever: what moves a segment into the tables
uses it as idempotency key, and a crash between moving and dropping moves nothing twice.
"""

from __future__ import annotations

import os
import re
import struct
import threading
import uuid
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from registry.durable import fsync, try_lock
from registry.errors import Damaged, RegistryError

MAGIC = b"INCJRNL1"
MAX_RECORD_BYTES = 256 * 1024 * 1024
_NAME = re.compile(r"(\d{12})\.log")
_HEAD = struct.Struct("<II")
_CHECK = struct.Struct("<I")
_HEADER = struct.Struct("<III")
_HEADER_BYTES = _HEADER.size
_BLOCK_BYTES = 1 << 20


def encode(payload: bytes) -> bytes:
    """One record. Raises ValueError when it is larger than MAX_RECORD_BYTES."""
    if len(payload) > MAX_RECORD_BYTES:
        raise ValueError(f"a record of {len(payload)} bytes; the most is {MAX_RECORD_BYTES}")
    length = _CHECK.pack(len(payload))
    head = _HEAD.pack(len(payload), zlib.crc32(payload, zlib.crc32(length)))
    return head + _CHECK.pack(zlib.crc32(head)) + payload


def read(path: Path) -> Iterator[bytes]:
    """The payloads of a segment in order, ending at a torn tail. Raises Damaged when a checksum is wrong."""
    with path.open("rb") as file:
        magic = file.read(len(MAGIC))
        if len(magic) < len(MAGIC) and MAGIC.startswith(magic):
            return
        if magic != MAGIC:
            raise Damaged(f"{path} is not a journal segment")
        yield from _payloads(file, path)


def _payloads(file: BinaryIO, path: Path) -> Iterator[bytes]:
    block, start, before = b"", 0, file.tell()  # the block's place in the file is `before`
    while True:
        if len(block) - start < _HEADER_BYTES:
            before += start
            block, start = block[start:] + file.read(_BLOCK_BYTES), 0
            if len(block) < _HEADER_BYTES:
                return
        length, checksum, own = _HEADER.unpack_from(block, start)
        if zlib.crc32(block[start : start + _HEAD.size]) != own or length > MAX_RECORD_BYTES:
            if _only_zeros(
                block[start:], file
            ):  # a file can be longer than what reached the disk before a power cut
                return
            raise Damaged(f"{path}: the record at byte {before + start} has a damaged header")
        end = start + _HEADER_BYTES + length
        if end > len(block):
            before += start
            block = block[start:] + file.read(max(end - len(block), _BLOCK_BYTES))
            start, end = 0, end - start
            if end > len(block):
                return
        payload = block[start + _HEADER_BYTES : end]
        if zlib.crc32(payload, zlib.crc32(block[start : start + _CHECK.size])) != checksum:
            raise Damaged(f"{path}: the record at byte {before + start} has a wrong checksum")
        yield payload
        start = end


def _only_zeros(beginning: bytes, file: BinaryIO) -> bool:
    if beginning.strip(b"\0"):
        return False
    return not any(chunk.strip(b"\0") for chunk in iter(lambda: file.read(1 << 16), b""))


class Journal:
    """One process's journal in ``folder``. Thread-safe. ``segment_bytes`` bounds a segment (one append may
    exceed it once). Raises RegistryError when another process has the folder open."""

    def __init__(self, folder: Path, *, segment_bytes: int = 32 * 1024 * 1024) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        owned = try_lock(folder / "lock")
        if owned is None:
            raise RegistryError(f"another process writes the journal in {folder}")
        self._owned = owned
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._syncing = threading.Lock()
        self._closed = False
        self._finished: list[int] = []
        self.id = _identity(folder)
        earlier = self._numbers()
        self._open_segment(max(earlier, default=0) + 1)
        self._sealed_bytes: dict[int, int] = {}
        for number in earlier:
            size = self._path(number).stat().st_size
            if size <= len(MAGIC):
                self._path(number).unlink()
            else:
                self._sealed_bytes[number] = size
        self._sealed = sum(self._sealed_bytes.values())
        fsync(folder)

    @property
    def unmoved(self) -> int:
        """Bytes in segments that were not dropped: what still has to be moved elsewhere."""
        return self._size + self._sealed

    def append(self, frames: Sequence[bytes]) -> None:
        """Write all frames, in order, by one write: when this returns they survive the process's death
        (for the machine's, call ``sync`` too). On OSError none of them is in the journal."""
        data = b"".join(map(encode, frames))
        if not data:
            return
        with self._lock:
            if self._closed:
                raise RegistryError(f"the journal in {self._folder} is closed")
            if self._size > len(MAGIC) and self._size + len(data) > self._segment_bytes:
                self._rotate()
            try:
                _write_all(self._descriptor, data)
            except OSError:  # no room: take back what was written of it, or later records would be unreadable
                os.ftruncate(self._descriptor, self._size)
                raise
            self._size += len(data)

    def rotate(self) -> int | None:
        """Seal the segment in use and begin the next. The sealed number; None when it was empty."""
        with self._lock:
            if self._closed or self._size <= len(MAGIC):
                return None
            sealed = self._number
            self._rotate()
        self.sync()
        return sealed

    def sealed(self) -> list[tuple[int, Path]]:
        """The segments that nobody writes to any more, oldest first."""
        with self._lock:
            current = self._number
        return [(number, self._path(number)) for number in self._numbers() if number < current]

    def key(self, number: int) -> str:
        """A name for a segment's content that no other segment of any journal ever has."""
        return f"journal-{self.id}-{number}"

    def drop(self, number: int) -> None:
        """Remove a sealed segment; gone already is fine. Raises ValueError for the one in use."""
        with self._lock:
            if number >= self._number and not self._closed:
                raise ValueError(f"segment {number} is not sealed")
            self._sealed -= self._sealed_bytes.pop(number, 0)
        self._path(number).unlink(missing_ok=True)

    def set_aside(self, number: int, suffix: str) -> Path:
        """Give a sealed segment another name, so that nobody takes it for one to be moved; its new path."""
        with self._lock:
            self._sealed -= self._sealed_bytes.pop(number, 0)
        return self._path(number).rename(self._path(number).with_suffix(suffix))

    def sync(self) -> None:
        """Wait until everything appended before is on the disk. Appending goes on meanwhile."""
        with self._syncing:
            with self._lock:
                if self._closed:
                    return
                finished, self._finished = self._finished, []
                current = os.dup(self._descriptor)
            _sync_all([*finished, current])
            if finished:
                fsync(self._folder)

    def close(self) -> None:
        """Sync and let go of the folder; safe to call twice."""
        with self._syncing, self._lock:
            if not self._closed:
                self._closed = True
                _sync_all([*self._finished, self._descriptor])
                fsync(self._folder)
                os.close(self._owned)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _rotate(self) -> None:
        """Begin the next segment. The disk is not waited for here: an append may be an answer's last step."""
        finished, number, size = self._descriptor, self._number, self._size
        self._open_segment(number + 1)
        self._finished.append(finished)
        self._sealed_bytes[number] = size
        self._sealed += size

    def _open_segment(self, number: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self._path(number), flags, 0o600)
        _write_all(descriptor, MAGIC)
        self._descriptor, self._number, self._size = descriptor, number, len(MAGIC)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:012d}.log"

    def _numbers(self) -> list[int]:
        found = (_NAME.fullmatch(name) for name in os.listdir(self._folder))
        return sorted(int(match[1]) for match in found if match)


def _identity(folder: Path) -> str:
    path = folder / "id"
    if not path.exists():
        temporary = folder / "id.new"
        temporary.write_text(uuid.uuid4().hex)
        fsync(temporary)
        temporary.rename(path)
        fsync(folder)
    return path.read_text()


def _sync_all(descriptors: Sequence[int]) -> None:
    """Force files to the disk and close them, all of them whatever happens."""
    try:
        for descriptor in descriptors:
            os.fdatasync(descriptor)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
