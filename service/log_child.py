"""The process that moves the prediction log: ``python -m service.log_child PARENT``.

It turns a segment of the log into the files of a batch, which costs a multiple of answering: the interpreter that
answers is not to be shared with that. It sees neither the database nor the tables; the server asks for one segment
after the other, and commits what this process has written. It ends with its parent, or when nothing was asked for
a while.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

import msgspec
import pyarrow as pa

from registry.errors import Damaged
from registry.journal import read
from registry.lineage import Digests, batch_hash, row_digests
from registry.parts import Parts
from service.frames import read_frame, write_frame
from service.lineup import fall_in
from service.log_messages import Fault, Folder, FromServer, Ids, Known, Moved, Place, Segment, Written
from service.log_reading import Logged, read_records
from service.memory import keep_little
from service.rests import Pauses

IDLE_SECONDS = 600
NICENESS = 5
"""Below the server, which answers, and above a search."""
Reply = TypeVar("Reply")


@dataclass(slots=True)
class _Share:
    """One project's share of a segment, under way; without parts it goes nowhere."""

    parts: Parts | None
    records: int = 0
    taken: set[str] = field(default_factory=set)
    digests: list[Digests] = field(default_factory=list)
    """Of the rows that were written."""


class Mover:
    """Moves one segment; what it has to know of the registry it asks. ``pause`` is called between pieces of the work."""

    def __init__(
        self,
        parts: Callable[[int], Parts | None],
        known: Callable[[int, list[str]], set[str]],
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self._parts = parts
        self._known = known
        self._pause = pause
        self._shares: dict[int, _Share] = {}

    def move(self, segment: Path) -> list[Written]:
        """Raises Damaged, or ValueError when no table takes what is in it."""
        try:
            for part in read_records(read(segment)):
                self._take(part)
            return [self._sealed(project, share) for project, share in self._shares.items() if share.parts]
        finally:
            for share in self._shares.values():
                if share.parts is not None:
                    share.parts.close()

    def _take(self, part: Logged) -> None:
        share = self._shares.get(part.project)
        if share is None:
            share = self._shares[part.project] = _Share(self._parts(part.project))
        if share.parts is None:
            return
        share.records += part.records
        rows = part.rows if part.fresh else self._unknown(part, share.taken)
        source = pa.repeat(pa.scalar("prediction", pa.string()), rows.num_rows)
        self._pause()
        stored = share.parts.write_rows(rows.append_column("_source", source))
        self._pause()
        share.digests.extend(map(row_digests, stored.to_batches()))
        self._pause()
        share.parts.write_predictions(part.predictions)
        self._pause()

    def _unknown(self, part: Logged, taken: set[str]) -> pa.Table:
        """The rows that are not stored yet: a caller's own id may come again."""
        ids: list[str] = part.rows["_row_id"].to_pylist()
        known = self._known(part.project, ids)
        fresh = []
        for row_id in ids:
            fresh.append(row_id not in known and row_id not in taken)
            taken.add(row_id)
        return part.rows.filter(pa.array(fresh, pa.bool_()))

    def _sealed(self, project: int, share: _Share) -> Written:
        assert share.parts is not None
        share.parts.seal()
        return Written(
            project=project,
            rows=share.parts.rows,
            predictions=share.parts.predictions,
            records=share.records,
            content=batch_hash(share.digests, ()),
        )


class _Server:
    """The other end of the pipes."""

    def __init__(self, heard: IO[bytes], told: IO[bytes]) -> None:
        self._heard = heard
        self._told = told
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(FromServer).decode

    def next(self) -> Segment | None:
        """The next segment; None when there will be none."""
        if not select.select([self._heard], [], [], IDLE_SECONDS)[0]:
            return None
        message = read_frame(self._heard)
        if message is None:
            return None
        segment = self._decode(message)
        assert isinstance(segment, Segment)
        return segment

    def tell(self, message: Moved | Fault) -> None:
        write_frame(self._told, self._encode(message))

    def parts(self, project: int) -> Parts | None:
        folder = self._ask(Place(project), Folder)
        return None if folder.path is None else Parts(Path(folder.path), folder.batch)

    def known(self, project: int, ids: list[str]) -> set[str]:
        return set(self._ask(Ids(project, ids), Known).ids)

    def _ask(self, question: Place | Ids, kind: type[Reply]) -> Reply:
        write_frame(self._told, self._encode(question))
        message = read_frame(self._heard)
        if message is None:  # the server has gone in the middle
            sys.exit(0)
        reply = self._decode(message)
        assert isinstance(reply, kind)
        return reply


def answer(segment: Segment, server: _Server) -> Moved | Fault:
    pause = Pauses(segment.pause)
    try:
        written = Mover(server.parts, server.known, pause).move(Path(segment.path))
        pause()
        return Moved(written, pause.worked)
    except Damaged as damage:
        return Fault("damaged", str(damage))
    except (ValueError, TypeError, msgspec.MsgspecError, pa.ArrowException) as fault:
        return Fault("unusable", f"{type(fault).__name__}: {fault}")
    except Exception as error:  # the disk may be full, or away
        return Fault("failed", f"{type(error).__name__}: {error}")


def main(arguments: list[str]) -> int:
    # What a library prints must not get among the messages.
    told = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    fall_in(int(arguments[0]), niceness=NICENESS)
    keep_little()
    server = _Server(sys.stdin.buffer, told)
    while (segment := server.next()) is not None:
        server.tell(answer(segment, server))
        pa.default_memory_pool().release_unused()  # or the largest segment is held for good
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
