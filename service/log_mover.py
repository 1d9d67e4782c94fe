"""Segments of the prediction log become batches: read and written by a process of their own, committed here."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import msgspec

from registry.errors import Damaged, DuplicateRows, NotFound, RegistryError
from registry.records import BatchKind
from registry.staging import Staging
from registry.store import Registry
from service.clock import Clock
from service.companion import Companion
from service.log_messages import (
    Fault,
    Folder,
    FromChild,
    FromServer,
    Ids,
    Known,
    Moved,
    Place,
    Segment,
    Written,
)
from service.rests import BESIDE, Pauses

logger = logging.getLogger(__name__)

WITHIN_SECONDS = 120.0
"""So long the process may say nothing: it reads, writes and asks for thousands of rows in a second."""
MOST_DEATHS = 5
"""A segment at which the process died so often is not tried again."""
MOST_PAUSE = 3.0
"""Lengths of a piece of work that are rested after it, at most."""
_COLLISIONS = 3
_LITTLE = 256 * 1024
"""Bytes of a segment below which its size says nothing about the work."""
_FIRST_GUESS = 1e-7
"""Seconds of work a byte."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(FromChild).decode


class LogMover:
    """One thread that waits and commits, one process that works (started when first needed). Thread-safe."""

    def __init__(self, registry: Registry, clock: Clock, *, module: str = "service.log_child") -> None:
        self._registry = registry
        self._clock = clock
        self._module = module
        self._executor = ThreadPoolExecutor(
            1, thread_name_prefix="log-mover"
        )  # the process dies with its thread
        self._companion: Companion | None = None
        self._deaths: Counter[Path] = Counter()
        self._pace = _FIRST_GUESS

    def move(self, segment: Path, key: str, *, within: float = 0.0) -> None:
        """Store what a segment holds, each project's share as one batch with ``key`` in its idempotency key: however
        often this is called, and wherever it was killed, once. Returns when it is committed. Work that takes less
        than ``within`` seconds is spread over so many, in pieces: 0 is for who waits for it.

        Raises Damaged, Conflict or ValueError when trying again would not help, and RegistryError or OSError otherwise.
        """
        self._executor.submit(self._move, segment, key, within).result()

    def close(self) -> None:
        """Wait for what is under way, and end the process."""
        self._executor.shutdown(wait=True)
        if self._companion is not None:
            self._companion.end()

    def _move(self, segment: Path, key: str, within: float) -> None:
        size = segment.stat().st_size
        factor = self._pauses(size, within)
        for _ in range(_COLLISIONS):
            with ExitStack() as held:
                desk = _Desk(self._registry, key, held)
                try:
                    moved = self._converse(segment, desk, factor)
                    worked = moved.worked + self._commit(desk, moved.written, factor)
                except DuplicateRows:  # stored by an upload in this very moment: look again
                    continue
            self._deaths.pop(segment, None)
            self._pace += 0.3 * (worked / max(size, _LITTLE) - self._pace)
            return
        raise RegistryError("rows of the prediction log kept colliding with uploads")

    def _pauses(self, size: int, within: float) -> float:
        """How long to rest after each piece of work, in lengths of the piece."""
        worked = max(size, _LITTLE) * self._pace
        return min(max(within / worked - 1.0, 0.0), MOST_PAUSE)

    def _commit(self, desk: _Desk, written: list[Written], factor: float) -> float:
        """Seconds that it took, without the pauses."""
        BESIDE.begin(waits=False)
        pauses = Pauses(factor)

        def pause() -> None:
            BESIDE.rest()
            pauses()

        for share in written:
            staging = desk.stagings[share.project]
            staging.filled(rows=share.rows, predictions=share.predictions, content=share.content)
            key = desk.key(share.project)
            self._registry.datasets.commit(
                staging,
                kind=BatchKind.PREDICTIONS,
                details={"source": "prediction calls", "batches": share.records},
                idempotency_key=key,
                request_digest=key,
                at=self._clock(),
                pause=pause,
            )
        pause()
        return pauses.worked

    def _converse(self, segment: Path, desk: _Desk, factor: float) -> Moved:
        try:
            message = self._hear(self._asked(Segment(str(segment), factor)))
            while isinstance(message, Place | Ids):
                message = self._hear(self._asked(desk.answer(message)))
        except (TimeoutError, OSError) as error:
            self._end()
            self._deaths[segment] += 1
            if self._deaths[segment] >= MOST_DEATHS:
                raise ValueError(
                    f"the process that moves the log ended {MOST_DEATHS} times over it"
                ) from error
            raise RegistryError("the process that moves the prediction log ended, or said nothing") from error
        except BaseException:  # the database is away: the process waits for an answer that nobody gives
            self._end()
            raise
        if isinstance(message, Moved):
            return message
        raise _raised(message)

    def _asked(self, message: FromServer) -> Companion:
        companion = self._companion
        if companion is None or not companion.lives:
            companion = self._companion = Companion(self._module)
        companion.tell(_encode(message))
        return companion

    def _hear(self, companion: Companion) -> FromChild:
        message: FromChild = _decode(companion.hear(WITHIN_SECONDS))
        return message

    def _end(self) -> None:
        if self._companion is not None:
            self._companion.end()
            self._companion = None


class _Desk:
    """Answers what the process asks about one segment. The stagings are let go of with ``held``."""

    def __init__(self, registry: Registry, key: str, held: ExitStack) -> None:
        self._registry = registry
        self._key = key
        self._held = held
        self._stagings: dict[int, Staging] = {}

    @property
    def stagings(self) -> Mapping[int, Staging]:
        """By project."""
        return self._stagings

    def key(self, project: int) -> str:
        return f"{self._key}-{project}"

    def answer(self, question: Place | Ids) -> Folder | Known:
        if isinstance(question, Ids):
            return Known(list(self._registry.datasets.known(question.project, question.ids)))
        folder = self._folder(question.project)
        if folder is None:
            return Folder(None)
        return Folder(str(folder), self._registry.datasets.next_number(question.project))

    def _folder(self, project_id: int) -> Path | None:
        datasets, key = self._registry.datasets, self.key(project_id)
        try:
            project = self._registry.projects.by_id(project_id)
        except NotFound:  # deleted since
            return None
        if datasets.replay(project_id, key, key) is not None:
            return None
        staging = self._held.enter_context(datasets.stage(project))
        self._stagings[project_id] = staging
        return staging.folder


def _raised(fault: Fault) -> Exception:
    kinds = {"damaged": Damaged, "unusable": ValueError}
    return kinds.get(fault.kind, RegistryError)(fault.reason)
