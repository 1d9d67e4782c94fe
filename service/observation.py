"""The prediction log: written before an answer leaves, moved to the tables in the background.

An answer's rows go to a journal in one write (kill -9 loses nothing that was answered); a flush seals the
journal's segment and has it moved (:mod:`service.log_mover`) as a batch whose idempotency key is the segment's name,
so a crash in between neither loses a row nor stores it twice. When the tables can't keep up, the journal grows to a
limit, and calls are refused from then on (:attr:`Observation.behind`).
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from registry.errors import Conflict, Damaged, RegistryError
from registry.journal import Journal
from registry.store import Registry
from service.clock import Clock
from service.deployment import Deployment
from service.log_mover import LogMover
from service.log_records import table_record
from service.scores import Scores

logger = logging.getLogger(__name__)

MOST_BYTES = 1024 * 1024 * 1024
_SYNC_SECONDS = 0.2
UNHURRIED = 0.8
"""Of the time to the next flush that moving a segment may take where it needs less."""


class Observation:
    """The log of one process. :meth:`log` is called from any thread; a background thread flushes.

    A journal that another process left behind (it was killed) is flushed too.
    """

    def __init__(
        self,
        registry: Registry,
        home: Path,
        *,
        flush_seconds: float,
        clock: Clock,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._most_bytes = most_bytes
        self._flush_seconds = flush_seconds
        self._clock = clock
        self._journal, self._left_behind = _open_journals(home / "journal")
        self._flushing = threading.Lock()
        self._mover = LogMover(registry, clock)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="observation", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Flush what is left and let go of the journal."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)
        try:
            self.flush()
        finally:
            self._mover.close()
            self._journal.close()

    @property
    def behind(self) -> bool:
        """Whether more waits for the tables than may: the disk or the database is slow or away, and answers that
        can't be kept must not be given."""
        return self.waiting_bytes > self._most_bytes

    @property
    def waiting_bytes(self) -> int:
        """How much is logged and not in the tables yet."""
        return self._journal.unmoved

    def log(self, deployment: Deployment, table: pa.Table, ids: Sequence[str], scores: Scores) -> None:
        """Keep the rows and their answers. When it returns they survive the end of this process."""
        self.append(table_record(deployment, table, ids, scores, self._clock()))

    def append(self, record: bytes) -> None:
        """Keep a record of :mod:`service.log_records`. When it returns it survives the end of this process."""
        self._journal.append((record,))

    def flush(self, *, within: float = 0.0) -> None:
        """Move everything logged so far into the tables; less work than ``within`` seconds is spread over so many.
        Raises RegistryError when they can't be written; nothing is lost then."""
        with self._flushing:
            if self._journal.rotate() is not None or self._journal.sealed():
                self._drain(self._journal, within=within)

    def _work(self) -> None:
        since_flush = 0.0
        while not self._stop.wait(_SYNC_SECONDS):
            since_flush += _SYNC_SECONDS
            try:
                self._journal.sync()
                if since_flush >= self._flush_seconds:
                    since_flush = 0.0
                    self._adopt()
                    self.flush(within=UNHURRIED * self._flush_seconds)
            except Exception:  # the disk or the database may be away; the journal keeps everything
                logger.exception("the prediction log could not be flushed; trying again")

    def _adopt(self) -> None:
        while self._left_behind:
            journal = self._left_behind[-1]
            journal.rotate()
            with self._flushing:
                self._drain(journal)
            journal.close()
            self._left_behind.pop()

    def _drain(self, journal: Journal, *, within: float = 0.0) -> None:
        sealed = journal.sealed()
        for number, path in sealed:
            try:
                self._mover.move(path, journal.key(number), within=within if len(sealed) == 1 else 0.0)
            except Damaged as damage:
                journal.set_aside(number, ".damaged")
                logger.error("set aside, not stored: %s", damage)
            except (
                ValueError,
                Conflict,
            ) as fault:  # trying again would not help; what is in it stays readable
                journal.set_aside(number, ".unusable")
                logger.error("%s can't be stored and was set aside: %s", path, fault)
            else:
                journal.drop(number)


def _open_journals(folder: Path) -> tuple[Journal, list[Journal]]:
    """A journal of this process's own, and those that dead processes left."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for path in sorted(folder.iterdir()):
        try:
            found.append(Journal(path))
        except RegistryError:  # its process lives
            continue
    if found:
        return found[0], found[1:]
    return Journal(folder / uuid.uuid4().hex), []
