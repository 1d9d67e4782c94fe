"""What the server and the process that looks for odd rows say to each other, as MessagePack."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Rows(msgspec.Struct):
    """Rows (in the file ``rows``, an Arrow stream, typed and stamped) to be measured by ``measure``, an oddness as it is
    stored. Those at or above ``threshold`` are odd; the ``most`` oddest of them are wanted."""

    measure: bytes
    rows: str
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
    """``odd`` counts all odd rows, ``found`` holds the oddest; or ``error`` says why there is no answer."""

    odd: int = 0
    found: list[Found] = []
    error: str | None = None
