"""Who gave the labels of an upload, where several do."""

from __future__ import annotations

import hashlib

from registry.records import LabelSource
from service.answers import LONGEST_NAME, is_name
from service.problems import Problem

MOST_BYTES = 4 * LONGEST_NAME
"""Bytes that a name may have in a form."""

_PREFIX = f"{LabelSource.GIVEN.value}:"


def upload_origin(given: object) -> str | None:
    """``crm`` and ``given:crm`` as ``given:crm``; None where none is named. Raises a problem for no name."""
    if given is None:
        return None
    name = given.removeprefix(_PREFIX) if isinstance(given, str) else ""
    if not is_name(name):
        raise Problem(
            422,
            "invalid_request",
            f"'origin' is no name of at most {LONGEST_NAME} characters. Nothing was stored.",
            field="origin",
            remedy="Name who gave the labels, such as 'crm', or leave it out.",
        )
    return _PREFIX + name


def digest_of(file: str, origin: str | None) -> str:
    """What an idempotency key holds an upload to: the file's digest, and the origin where there is one."""
    if origin is None:
        return file
    return hashlib.sha256(f"{file}\0{origin}".encode()).hexdigest()
