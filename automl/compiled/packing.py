"""A compiled form as bytes, made where its model is judged, so that a server that takes it up has only to read it."""

from __future__ import annotations

import hashlib
import pickle
from functools import cache
from pathlib import Path

from automl.compiled.form import Compiled

MOST_BYTES = 64 * 1024 * 1024
"""A form that takes more is made from the pipeline anew, wherever it is served."""


def pack(compiled: Compiled) -> bytes | None:
    """The form as bytes for :func:`unpack`; None when it holds what can't be written, or is too large.

    The bytes are a pickle behind a line that says what wrote it: only bytes whose signature was checked may be unpacked.
    """
    try:
        data = pickle.dumps(compiled, protocol=5)
    except Exception:  # a part that can't be pickled may say so in any way; the pipeline is kept all the same
        return None
    return _head() + data if len(data) <= MOST_BYTES else None


def unpack(data: bytes) -> Compiled | None:
    """The form that was packed; None when another release packed it.

    Raises whatever broken bytes raise.
    """
    head = _head()
    if not data.startswith(head):
        return None
    found = pickle.loads(memoryview(data)[len(head) :])
    return found if isinstance(found, Compiled) else None


@cache
def _head() -> bytes:
    """What this very code writes: the forms of another release may have other parts under the same names."""
    code = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        code.update(file.read_bytes())
    return f"incumbent-compiled {code.hexdigest()}\n".encode()
