"""API keys. A secret is shown once; kept is its SHA-256 (256 random bits need no salt, no stretching)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime
from hmac import compare_digest

from sqlalchemy import RowMapping, select

from registry import tables as t
from registry.database import Database
from registry.errors import NotFound
from registry.records import ApiKey

_NO_HASH = bytes(32)


class Keys:
    """Keys of the whole registry, known by their public prefix."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def create(self, scopes: Iterable[str], *, label: str, at: datetime) -> tuple[ApiKey, str]:
        """A new key and its secret ``inc_<prefix>_<random>``, which can't be had again."""
        prefix = secrets.token_hex(4)
        secret = f"inc_{prefix}_{secrets.token_urlsafe(32)}"
        row = t.api_keys.insert().values(
            prefix=prefix,
            hash=_hash(secret),
            label=label,
            scopes=sorted(set(scopes)),
            created_at=at,
        )
        with self._db.write() as connection:
            made = connection.execute(row.returning(t.api_keys)).mappings().one()
            return _record(made), secret

    def verify(self, secret: str) -> ApiKey | None:
        """The key of this secret; None when it is malformed, unknown or revoked. The comparison takes the
        same time whatever the secret."""
        parts = secret.split("_", 2)
        if len(parts) != 3 or parts[0] != "inc" or not parts[1].isalnum():
            return None
        with self._db.read() as connection:
            query = select(t.api_keys).where(t.api_keys.c.prefix == parts[1])
            row = connection.execute(query).mappings().one_or_none()
        matches = compare_digest(_hash(secret), bytes(row["hash"]) if row is not None else _NO_HASH)
        if row is None or not matches or row["revoked_at"] is not None:
            return None
        return _record(row)

    def find(self, prefix: str) -> ApiKey | None:
        """The key of this prefix; None when it is unknown or revoked."""
        query = select(t.api_keys).where(t.api_keys.c.prefix == prefix, t.api_keys.c.revoked_at.is_(None))
        with self._db.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else _record(row)

    def list(self) -> tuple[ApiKey, ...]:
        """All keys, revoked ones too, oldest first."""
        with self._db.read() as connection:
            rows = connection.execute(select(t.api_keys).order_by(t.api_keys.c.id)).mappings()
            return tuple(_record(row) for row in rows)

    def revoke(self, prefix: str, at: datetime) -> ApiKey:
        """End a key for good; ending it again changes nothing. Raises NotFound."""
        table = t.api_keys
        with self._db.write() as connection:
            connection.execute(
                table.update()
                .where(table.c.prefix == prefix, table.c.revoked_at.is_(None))
                .values(revoked_at=at)
            )
            query = select(table).where(table.c.prefix == prefix)
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound(f"there is no key with the prefix {prefix!r}")
        return _record(row)

    def any(self) -> bool:
        """Whether there is a key that isn't revoked."""
        with self._db.read() as connection:
            query = select(t.api_keys.c.id).where(t.api_keys.c.revoked_at.is_(None)).limit(1)
            return connection.execute(query).first() is not None


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _record(row: RowMapping) -> ApiKey:
    return ApiKey(
        id=row["id"],
        prefix=row["prefix"],
        label=row["label"],
        scopes=frozenset(row["scopes"]),
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )
