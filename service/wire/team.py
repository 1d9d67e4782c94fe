"""Several processors for one large piece of work: the trees of most models let go of the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from service.processors import processors


class Parted(Protocol):
    """What has parts: a slice of it is of its kind."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Any: ...


Rows = TypeVar("Rows", bound=Parted)
Floats = npt.NDArray[np.float64]

WORTH_ROWS = 256
"""Rows that a helper is given at least: for fewer, waking it costs more than it gains."""
_MOST = 4
"""Processors that a large call may use: it is not to have the whole of a large machine."""


class Team:
    """The thread that asks, and helpers for parts of what it asks."""

    def __init__(self, size: int | None = None) -> None:
        self._size = min(_MOST, processors()) if size is None else size
        self._helpers = ThreadPoolExecutor(max(1, self._size - 1), thread_name_prefix="helper")

    def scores(self, model: Callable[[Rows], Floats | None], rows: Rows) -> Floats | None:
        """What ``model`` gives for all rows; None where it gives None for a part."""
        parts = min(self._size, len(rows) // WORTH_ROWS)
        if parts < 2:
            return model(rows)
        length = -(-len(rows) // parts)
        others = [
            self._helpers.submit(model, rows[start : start + length])
            for start in range(length, len(rows), length)
        ]
        found = [model(rows[:length]), *(other.result() for other in others)]
        answers = [part for part in found if part is not None]
        return np.concatenate(answers) if len(answers) == len(found) else None

    def close(self) -> None:
        self._helpers.shutdown(wait=True)
