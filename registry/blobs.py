"""Content-addressed, signed bytes: models, reports and what goes with them.

A blob lies at ``ab/cdef…`` (its SHA-256 in hex), mode 0600. It is written as a temporary file in the same
folder, synced, renamed, the folder synced, and only then does its database row appear: a row always has its
bytes. The signature is an HMAC-SHA256 over the bytes by a key that lives outside the folder, so whoever can
write to the folder can still not make this program parse (unpickle) bytes of theirs.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from registry.database import Database, insert_into
from registry.durable import fsync
from registry.errors import Damaged, NotFound, Tampered
from registry.records import BlobRef
from registry.tables import blobs

_DIGEST = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = ".writing-"


def sign(data: bytes, key: bytes) -> str:
    """HMAC-SHA256 of ``data`` by ``key``, in hex."""
    return hmac.new(key, data, hashlib.sha256).hexdigest()


class BlobStore:
    """The blobs under one folder, signed by one key. Thread-safe; several processes may share the folder."""

    def __init__(self, folder: Path, key: bytes, db: Database) -> None:
        if len(key) < 32:
            raise ValueError("the signing key must have at least 32 bytes")
        self._folder = folder
        self._key = key
        self._db = db
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, data: bytes, *, at: datetime) -> BlobRef:
        """Store ``data`` durably and return its reference. The same content is stored once."""
        digest = hashlib.sha256(data).hexdigest()
        ref = BlobRef(digest=digest, size=len(data), signature=sign(data, self._key))
        path = self._path(digest)
        if self._row(digest) == ref and _has_size(path, ref.size):
            return ref
        self._write(path, data)
        with self._db.write() as connection:
            insert = insert_into(connection, blobs).values(
                digest=digest, size=ref.size, signature=ref.signature, created_at=at
            )
            # an older row may carry the signature of a former key
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=[blobs.c.digest], set_={"size": ref.size, "signature": ref.signature}
                )
            )
        if not path.exists():  # a sweep took the file for an orphan in the moment before the row stood
            self._write(path, data)
        return ref

    def open(self, digest: str) -> bytes:
        """The bytes of a blob, after its size, digest and signature were all checked.

        Raises NotFound without a row, Damaged without a file, Tampered when anything doesn't match.
        """
        ref = self._row(digest)
        if ref is None:
            raise NotFound(f"there is no blob {digest}")
        path = self._path(digest)
        if not path.exists():
            raise Damaged(f"the file of blob {digest} is missing: {path}")
        if not _has_size(path, ref.size):
            raise Tampered(f"blob {digest} has not the size it was stored with: {path}")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise Tampered(f"the bytes of blob {digest} are not those that were stored: {path}")
        if not hmac.compare_digest(sign(data, self._key), ref.signature):
            raise Tampered(f"blob {digest} was not signed by this installation's key: {path}")
        return data

    def sweep(self, *, before: datetime) -> int:
        """Remove files older than ``before`` that no row speaks of, as crashes leave them. How many went."""
        gone = 0
        for path in list(self._folder.glob("??/*")):
            digest = path.parent.name + path.name
            if not _older(path, before):
                continue
            if path.name.startswith(_TEMPORARY):
                path.unlink(missing_ok=True)
                gone += 1
            elif _DIGEST.fullmatch(digest):
                # inside a write transaction, so that a put can't add the row between the look and the removal
                with self._db.write() as connection:
                    known = select(blobs.c.digest).where(blobs.c.digest == digest)
                    if connection.execute(known).first() is None and _older(path, before):
                        path.unlink(missing_ok=True)
                        gone += 1
        return gone

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise NotFound(f"{digest!r} is not the digest of a blob")
        return self._folder / digest[:2] / digest[2:]

    def _row(self, digest: str) -> BlobRef | None:
        with self._db.read() as connection:
            row = connection.execute(select(blobs).where(blobs.c.digest == digest)).one_or_none()
        return None if row is None else BlobRef(digest=row.digest, size=row.size, signature=row.signature)

    def _write(self, path: Path, data: bytes) -> None:
        if not path.parent.is_dir():
            path.parent.mkdir(exist_ok=True, mode=0o700)
            fsync(self._folder)
        temporary = path.with_name(_TEMPORARY + secrets.token_hex(8))
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync(path.parent)


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _older(path: Path, before: datetime) -> bool:
    try:
        return path.stat().st_mtime < before.timestamp()
    except FileNotFoundError:
        return False
