"""What the server and the process that looks for odd rows say to each other, as MessagePack."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Rows(msgspec.Struct):
    """Rows of the tables in ``folder`` (see :class:`registry.reading.Arrivals`) to be measured by ``measure``, an oddness
    as it is stored. Those at or above ``threshold`` are odd; the ``most`` oddest of them are wanted."""

    measure: bytes
    folder: str
    upto: int
    held: list[tuple[int, int]]
    rows: int
    newest: int
    threshold: float
    most: int


class Found(msgspec.Struct):
    """An odd row. ``reasons``: the columns that make it odd, most first, each with its value and what is usual."""

    row_id: str
    batch: int
    source: str
    score: float
    times: float
    reasons: list[dict[str, Any]]
    arrived_at: datetime


class Looked(msgspec.Struct):
    """``rows`` were measured; ``odd`` counts all odd ones, ``found`` holds the oddest; or ``error`` says why there is no
    answer."""

    rows: int = 0
    odd: int = 0
    found: list[Found] = []
    error: str | None = None
