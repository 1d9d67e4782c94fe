"""Carries the start and the end of each run to a receiver outside: at least once, in order, never in a run's way.

It reads the ledger's outbox, as alerts do. How far it came is kept in a file beside the home's other files; of several
processes on one home the one that holds the lease goes on. A receiver that is away, or answers what nobody foresaw,
is tried again, later and later.
"""

from __future__ import annotations

import json
import logging
import random
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from registry.errors import NotFound, StaleFence
from registry.records import EventRecord, Lease, Project, Run, RunStatus
from registry.store import Registry
from service.alerts.pauses import pause
from service.clock import Clock
from service.conclusion import ENDED
from service.settings import Settings

logger = logging.getLogger(__name__)

_LEASE_SECONDS = 60.0
_PAGE = 500
_STARTED_KEPT = 1_000


class Unsent(Exception):
    """The receiver did not take it. ``final``: it never will, so the next is told instead. ``unforeseen``: what caused it
    is logged in full."""

    def __init__(self, reason: str, *, final: bool = False, unforeseen: bool = False) -> None:
        super().__init__(reason)
        self.final = final
        self.unforeseen = unforeseen


Tell = Callable[[Project, Run, bool], None]
"""Tells of a run, that it started (False) or ended (True). Raises Unsent."""


@dataclass(slots=True, kw_only=True)
class Place:
    """The last event of the outbox that was dealt with, and the runs whose start was told (by their ids)."""

    event: int
    started: list[int] = field(default_factory=list)


class Follower:
    """One thread for one receiver. ``name`` names its file and its lease."""

    def __init__(
        self, name: str, registry: Registry, settings: Settings, tell: Tell, *, clock: Clock
    ) -> None:
        self._name = name
        self._registry = registry
        self._settings = settings
        self._tell = tell
        self._clock = clock
        self._file = settings.home.resolve() / "followers" / f"{name}.json"
        self._failures = 0
        self._not_before: datetime | None = None
        self._draw = random.Random()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._settings.scheduler:
            self._thread = threading.Thread(target=self._watch, name=self._name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """What was not told is told after the next start."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=15)

    def look(self) -> None:
        """Tell what is new, unless a failure asks to wait or another process is at it; until it is stopped, or another
        process has taken over since."""
        now = self._clock()
        if self._not_before is not None and now < self._not_before:
            return
        leases = self._registry.leases
        lease = leases.acquire(f"follower: {self._name}", self._settings.node, seconds=_LEASE_SECONDS, at=now)
        if lease is None:
            return
        try:
            self._go_on(self._place(), lease)
            self._failures, self._not_before = 0, None
        except StaleFence:
            logger.warning("%s: another process goes on with it", self._name)
        except Unsent as error:
            self._wait(error)
        finally:
            leases.release(lease)

    def _wait(self, error: Unsent) -> None:
        self._failures += 1
        first = timedelta(seconds=self._settings.alert_retry_seconds)
        self._not_before = self._clock() + pause(self._failures, first=first, draw=self._draw)
        logger.warning(
            "%s: not told: %s; trying again at %s",
            self._name,
            error,
            self._not_before,
            exc_info=error.__cause__ if error.unforeseen else None,
        )

    def _go_on(self, place: Place, lease: Lease) -> None:
        for project in self._registry.projects.list():
            if self._stopping.is_set():
                return
            active = self._registry.runs.active(project.id)
            if active is not None and active.status is RunStatus.RUNNING:
                self._told_start(place, project, active, lease)
        while not self._stopping.is_set():
            events = self._registry.ledger.events(after=place.event, limit=_PAGE)
            for event in events:
                if self._stopping.is_set():
                    return
                if event.type == ENDED:
                    self._told_end(place, event, lease)
                place.event = event.number
                self._keep(place, only_if=event.type == ENDED)
            if len(events) < _PAGE:
                self._keep(place, only_if=bool(events))
                return

    def _told_start(self, place: Place, project: Project, run: Run, lease: Lease) -> None:
        if run.id in place.started or run.started_at is None:
            return
        self._say(project, run, False, lease)
        place.started = [*place.started, run.id][-_STARTED_KEPT:]
        self._keep(place)

    def _told_end(self, place: Place, event: EventRecord, lease: Lease) -> None:
        try:
            project = self._registry.projects.get(str(event.data["project"]))
            run = self._registry.runs.get(project.id, int(event.data["run"]))
        except NotFound:
            return  # deleted since
        if run.status.is_active:
            return
        self._told_start(place, project, run, lease)
        self._say(project, run, True, lease)

    def _say(self, project: Project, run: Run, ended: bool, lease: Lease) -> None:
        """Raises StaleFence where another process has taken over; Unsent, whatever telling it raised."""
        # A slow receiver and much to tell take longer than a lease lasts.
        self._registry.leases.renew(lease, _LEASE_SECONDS, self._clock())
        try:
            self._tell(project, run, ended)
        except Unsent as error:
            if not error.final:
                raise
            logger.warning("%s: run %d of %s is left out: %s", self._name, run.number, project.name, error)
        except (
            Exception
        ) as error:  # an answer of a shape that nobody foresaw; each tick again would be too often
            raise Unsent(f"{type(error).__name__}: {error}", unforeseen=True) from error

    def _place(self) -> Place:
        """Where the last look ended; at first, and where its file is broken, the end of the outbox: what was before is not
        told."""
        try:
            return Place(**json.loads(self._file.read_text()))
        except FileNotFoundError:
            pass
        except (ValueError, TypeError) as error:  # half written as the machine went down
            logger.warning("%s: %s is broken (%s): goes on with what is new", self._name, self._file, error)
        place = Place(event=self._newest())
        self._keep(place)
        return place

    def _newest(self) -> int:
        newest = 0
        while events := self._registry.ledger.events(after=newest, limit=_PAGE):
            newest = events[-1].number
        return newest

    def _keep(self, place: Place, *, only_if: bool = True) -> None:
        if not only_if:
            return
        self._file.parent.mkdir(exist_ok=True)
        draft = self._file.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(place)))
        draft.replace(self._file)

    def _watch(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look()
            except Exception:  # the registry or the disk may be away for a moment
                logger.exception("%s: could not look; trying again", self._name)
            self._stopping.wait(self._settings.tick_seconds)
