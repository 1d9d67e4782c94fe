"""Files that pass between a run's own processes: sealed with the run's key, checked before they are parsed.

The key is drawn for each run and handed to its children over a pipe, so nothing that another user or program
puts into the work folder is ever unpickled.
"""

from __future__ import annotations

import hashlib
import hmac
import pickle
from pathlib import Path
from typing import Any

_SEAL = 32


class BrokenSeal(Exception):
    """The file was not written by this run."""


def seal(path: Path, data: bytes, key: bytes) -> None:
    path.write_bytes(hmac.digest(key, data, hashlib.sha256) + data)


def unseal(path: Path, key: bytes) -> bytes:
    """The bytes that were sealed. Raises BrokenSeal when the file was changed or made by someone else."""
    content = path.read_bytes()
    mark, data = content[:_SEAL], content[_SEAL:]
    if not hmac.compare_digest(mark, hmac.digest(key, data, hashlib.sha256)):
        raise BrokenSeal(f"{path.name} does not carry the seal of this run")
    return data


def seal_object(path: Path, value: Any, key: bytes) -> bytes:
    """Pickle, seal and write; returns the pickle's bytes."""
    data = pickle.dumps(value, protocol=5)
    seal(path, data, key)
    return data


def unseal_object(path: Path, key: bytes) -> Any:
    return pickle.loads(unseal(path, key))
