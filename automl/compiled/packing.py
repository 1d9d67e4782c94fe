"""A compiled form as bytes, made where its model is judged, so that a server that takes it up has only to read it."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO, Any

from automl.compiled.bit_trees import BitTrees
from automl.compiled.form import Compiled

MOST_BYTES = 64 * 1024 * 1024
"""A form that takes more is made from the pipeline anew, wherever it is served."""


def pack(compiled: Compiled) -> bytes | None:
    """The form as bytes for :func:`unpack`; None when it holds what can't be written, or is too large.

    The bytes are a pickle behind a line that says what wrote it: only bytes whose signature was checked may be unpacked.
    """
    data = io.BytesIO()
    try:
        _Packer(data, protocol=5).dump(compiled)
    except Exception:  # a part that can't be pickled may say so in any way; the pipeline is kept all the same
        return None
    return _head() + data.getvalue() if data.tell() <= MOST_BYTES else None


def unpack(data: bytes, rest: Callable[[], None] = lambda: None) -> Compiled | None:
    """The form that was packed; None when another release packed it.

    ``rest`` is called now and then, by a thread that should not keep others from their work. Raises whatever broken
    bytes raise.
    """
    head = _head()
    if not data.startswith(head):
        return None
    file = io.BytesIO(data)
    file.seek(len(head))
    found = _Unpacker(file, rest).load()
    return found if isinstance(found, Compiled) else None


class _Packer(pickle.Pickler):
    def persistent_id(self, part: Any) -> Any:
        """Of bit trees only what they are made from: their tables are ten times as large, and made in a moment."""
        return part.told if isinstance(part, BitTrees) else None


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: IO[bytes], rest: Callable[[], None]) -> None:
        super().__init__(file)
        self._rest = rest

    def persistent_load(self, told: Any) -> Any:
        splits, values, outputs, objective, ends = told
        return BitTrees(splits, values, outputs, objective, ends, self._rest)


@cache
def _head() -> bytes:
    """What this very code writes: the forms of another release may have other parts under the same names."""
    code = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        code.update(file.read_bytes())
    return f"incumbent-compiled {code.hexdigest()}\n".encode()
