"""The one error root of the registry."""

from __future__ import annotations


class RegistryError(Exception):
    """Something the registry was asked for can't be done; the message says what and why."""


class NotFound(RegistryError):
    """No such project, version, run, batch or key."""


class Conflict(RegistryError):
    """The name is taken, a run is active already, a key was used for something else.

    ``code`` is a stable word: ``project_exists``, ``run_active``, ``idempotency_mismatch``,
    ``schema_changed``, ``already_champion``, ``look_taken``, ``channel_exists``, ``approval_ended``,
    ``approval_stale``, ``approval_expired``, ``other_version``, ``key_needed``.
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class DuplicateRows(RegistryError):
    """Row ids of a batch were stored by someone else since they were checked; nothing was written."""

    def __init__(self, row_ids: tuple[str, ...]) -> None:
        super().__init__(f"{len(row_ids)} row id(s) exist already, the first is {row_ids[0]!r}")
        self.row_ids = row_ids


class StaleEpoch(RegistryError):
    """The champion changed since the epoch that this promotion was decided on; nothing was written."""


class StaleFence(RegistryError):
    """Another worker holds the lease now; this one's writes are refused."""


class Tampered(RegistryError):
    """A blob's bytes don't match its digest or signature; nothing of it was parsed."""


class Damaged(RegistryError):
    """The store on disk is not what the database says; the message names the file."""


class Unavailable(RegistryError):
    """The database can't be reached or stays locked by others; trying again later may help."""
