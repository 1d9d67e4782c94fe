"""Who carries on with queued replays: one thread a process, beside the runs and out of their way."""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from registry.errors import NotFound, RegistryError, StaleFence
from registry.records import ReplayRecord, RunStatus
from registry.replays import MOST_ATTEMPTS
from registry.store import Registry
from service.children import End, Ended, Event, Limits, run_child
from service.clock import Clock
from service.energy.meter import EVENT as ENERGY
from service.energy.reading import Ears, new_reading, summed
from service.energy.rule import energy_rule
from service.replay.local import STARTUP_SECONDS, replay_key
from service.settings import Settings

logger = logging.getLogger(__name__)

_NEWS_SECONDS = 1.0
_LOOK_SECONDS = 0.4


class ReplayRoom:
    """Takes queued replays one after another, each in a child process, and tells the registry how far it is.

    A replay that is interrupted (the server stops, or is killed) is queued again and goes on where its work
    folder stands; cancelled or ended ones leave nothing on disk.
    """

    def __init__(self, registry: Registry, settings: Settings, *, clock: Clock) -> None:
        self._registry = registry
        self._settings = settings
        self._clock = clock
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._settings.scheduler and self._settings.max_replays:
            self._thread = threading.Thread(target=self._watch, name="replays", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End what plays here; it goes on with the next process."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=15)

    def nudge(self) -> None:
        """Look for queued replays now."""
        self._wake.set()

    def folder(self, name: str) -> Path:
        """The work folder of that name."""
        return self._settings.home.resolve() / "replays" / name

    def sweep(self) -> None:
        """Remove the work folders of replays that have ended: a killed server may have left some."""
        place = self._settings.home.resolve() / "replays"
        names = [path.name for path in place.iterdir()] if place.exists() else []
        for name in self._registry.replays.ended(names):
            self.forget(name)

    def forget(self, name: str) -> None:
        """Remove a work folder that nobody plays in."""
        shutil.rmtree(self.folder(name), ignore_errors=True)

    def take_one(self) -> bool:
        """Carry one queued replay as far as it goes; False when none is queued."""
        self._registry.replays.expire(at=self._clock())
        replay = self._registry.replays.claim(
            self._settings.node, lease_seconds=self._settings.lease_seconds, at=self._clock()
        )
        if replay is None:
            return False
        try:
            self._carry_on(replay)
        except StaleFence as lost:
            logger.warning("replay %s belongs to another process now: %s", replay.number, lost)
        return True

    def _watch(self) -> None:
        try:
            self.sweep()
        except Exception:
            logger.exception("could not sweep the work folders of ended replays")
        while not self._stopping.is_set():
            try:
                if self.take_one():
                    continue
            except Exception:
                logger.exception("could not carry on with a replay; its lease will run out")
            self._wake.wait(self._settings.tick_seconds)
            self._wake.clear()

    def _carry_on(self, replay: ReplayRecord) -> None:
        folder = self.folder(replay.folder)
        try:
            self._lay_out(replay, folder)
        except NotFound:
            self._conclude(replay, RunStatus.CANCELLED, error="the project was deleted")
            shutil.rmtree(folder, ignore_errors=True)
            return
        pulse = _Pulse(self._registry, replay, self._settings.lease_seconds, self._clock, self._stopping)
        ended = run_child(
            "replay",
            folder,
            {
                "key": replay_key(self._registry.signing_key, replay.folder),
                "database_url": self._registry.database_url,
                "home": str(self._settings.home.resolve()),
            },
            Limits(
                deadline_seconds=float(replay.plan["deadline_seconds"]),
                startup_seconds=STARTUP_SECONDS,
                memory_bytes=self._settings.child_memory_bytes,
            ),
            on_event=pulse.hear,
            cancelled=pulse.over,
        )
        self._keep_energy(replay, pulse.ears)
        self._end(replay, folder, ended, pulse)

    def _keep_energy(self, replay: ReplayRecord, ears: Ears) -> None:
        """One reading for each attempt. That it can't be kept is no fault of the replay."""
        if ears.told is None:
            return
        try:
            self._registry.energy.add(
                replay.project_id, new_reading("replay", ears.told), replay=replay.number, at=self._clock()
            )
        except RegistryError:
            logger.warning("what replay %s used could not be kept", replay.number, exc_info=True)

    def _lay_out(self, replay: ReplayRecord, folder: Path) -> None:
        project = self._registry.projects.by_id(replay.project_id)
        folder.mkdir(parents=True, exist_ok=True)
        spec = {
            "plan": dict(replay.plan),
            "task": dict(replay.source["task"]),
            "schema": replay.source["schema"],
            "policy": dict(replay.source["policy"]),
            "source": self._source(replay, project.id, folder),
            "energy": energy_rule(self._settings),
        }
        (folder / "spec.json").write_text(json.dumps(spec))

    def _source(self, replay: ReplayRecord, project_id: int, folder: Path) -> dict[str, Any]:
        given = replay.source
        if given["kind"] == "stored":
            return {
                "kind": "stored",
                "project_id": project_id,
                "dataset_version": given["dataset_version"],
            }
        return {
            "kind": "file",
            "path": str(folder / "upload"),
            "name": given["name"],
            "limits": dict(given["limits"]),
        }

    def _end(self, replay: ReplayRecord, folder: Path, ended: Ended, pulse: _Pulse) -> None:
        if pulse.why == "stopping":
            self._registry.replays.release(replay.id, replay.fence)
            return
        if pulse.why == "lost":
            return
        if pulse.why == "cancelled":
            self._conclude(replay, RunStatus.CANCELLED, error="cancelled on request")
        elif _was_killed(ended) and replay.fence < MOST_ATTEMPTS:
            self._registry.replays.release(replay.id, replay.fence)
            return
        elif ended.end is End.OK:
            result = json.loads((folder / "replay.json").read_text())
            result["energy"] = summed(self._registry.energy.of_replay(replay.project_id, replay.number))
            self._conclude(replay, RunStatus.COMPLETED, result=result)
        else:
            self._conclude(replay, RunStatus.FAILED, error=ended.reason)
        shutil.rmtree(folder, ignore_errors=True)

    def _conclude(self, replay: ReplayRecord, status: RunStatus, **ending: Any) -> None:
        self._registry.replays.conclude(replay.id, replay.fence, status=status, at=self._clock(), **ending)


def _was_killed(ended: Ended) -> bool:
    """Somebody else's signal ended the child (kill -9, memory running out), not its own fault or a limit."""
    return ended.end is End.FAILED and ended.reason.startswith("the process ended with code -")


class _Pulse:
    """The signs of life of one replay, and why it has to end early: ``stopping``, ``cancelled`` or ``lost``."""

    def __init__(
        self,
        registry: Registry,
        replay: ReplayRecord,
        lease_seconds: float,
        clock: Clock,
        stopping: threading.Event,
    ) -> None:
        self._registry = registry
        self._replay = replay
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._stopping = stopping
        self._progress: dict[str, Any] = dict(replay.progress)
        self._told = self._looked = time.monotonic()
        self._news = False
        self.ears = Ears()
        self.why: str | None = None

    def hear(self, event: Event) -> None:
        if event["event"] == "progress":
            self._progress = {name: value for name, value in event.items() if name != "event"}
            self._news = True
        elif event["event"] == ENERGY:
            self.ears.hear(event)

    def over(self) -> bool:
        """Asked several times a second by the one thread that watches the child."""
        if self._stopping.is_set():
            self.why = "stopping"
            return True
        now = time.monotonic()
        try:
            if now - self._told > (_NEWS_SECONDS if self._news else self._lease_seconds / 4):
                self._told, self._news = now, False
                self._registry.replays.heartbeat(
                    self._replay.id,
                    self._replay.fence,
                    progress=self._progress,
                    lease_seconds=self._lease_seconds,
                    at=self._clock(),
                )
        except StaleFence:
            self.why = "lost"
            return True
        if now - self._looked > _LOOK_SECONDS:
            self._looked = now
            if self._registry.replays.by_id(self._replay.id).cancel_requested:
                self.why = "cancelled"
        return self.why is not None
