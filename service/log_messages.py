"""What the server and the process that moves its log say to each other, as MessagePack.

The server names a segment (:class:`Segment`). The process reads it once. It asks for a folder for each project that it
meets (:class:`Place`), and which of the callers' own ids are stored already (:class:`Ids`); the server answers with
:class:`Folder` and :class:`Known`. In the end there is :class:`Moved` or a :class:`Fault`.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Segment(msgspec.Struct, tag=True):
    """``pause``: how long to rest after each piece of work, in lengths of the piece."""

    path: str
    pause: float


class Place(msgspec.Struct, tag=True):
    project: int


class Folder(msgspec.Struct, tag=True):
    """Where the project's rows go; None when they are stored already, or the project is no more. ``batch`` is their
    number unless an upload comes first."""

    path: str | None
    batch: int = 0


class Ids(msgspec.Struct, tag=True):
    project: int
    ids: list[str]


class Known(msgspec.Struct, tag=True):
    ids: list[str]


class Written(msgspec.Struct):
    """One project's share of a segment, written and sealed in its folder. ``records`` counts answers to batches of calls,
    ``content`` is the batch's content hash."""

    project: int
    rows: int
    predictions: int
    records: int
    content: str


class Moved(msgspec.Struct, tag=True):
    """``worked``: seconds, without the pauses."""

    written: list[Written]
    worked: float


class Fault(msgspec.Struct, tag=True):
    """Why a segment can't be moved: it is ``damaged``, there is something in it that no table takes (``unusable``), or
    it went wrong this time (``failed``)."""

    kind: str
    reason: str


FromChild: TypeAlias = Place | Ids | Moved | Fault
FromServer: TypeAlias = Segment | Folder | Known
