"""The folder of one run and the child processes that work in it, one after another."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from registry.records import RunStatus
from registry.store import Registry
from service.children import End, Ended, Event, Limits, run_child
from service.conclusion import Interruption
from service.energy.meter import EVENT as ENERGY
from service.energy.reading import Ears
from service.energy.rule import energy_rule
from service.run_log import RunLog
from service.sealed import seal, unseal
from service.settings import Settings

STARTUP_SECONDS = 120.0


class Room:
    """Files of one run, sealed with a key of its own, and the stages that read and write them."""

    def __init__(
        self,
        folder: Path,
        *,
        registry: Registry,
        settings: Settings,
        log: RunLog,
        cancelled: Callable[[], str | None],
    ) -> None:
        self._folder = folder
        self._registry = registry
        self._settings = settings
        self._log = log
        self._cancelled = cancelled
        self._key = secrets.token_bytes(32)

    def open(self, spec: Mapping[str, Any]) -> None:
        """An empty folder with the specification that every stage reads."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        told = {**spec, "energy": energy_rule(self._settings)}
        (self._folder / "spec.json").write_text(json.dumps(told))

    def clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def specify(self, **further: Any) -> None:
        """Add to the specification; mappings are joined."""
        path = self._folder / "spec.json"
        spec = json.loads(path.read_text())
        for name, value in further.items():
            known = spec.get(name)
            joined = isinstance(value, Mapping) and isinstance(known, dict)
            spec[name] = {**known, **value} if joined else value
        path.write_text(json.dumps(spec))

    def bring(self, file: str, data: bytes) -> None:
        (self._folder / file).write_bytes(data)

    def bring_sealed(self, file: str, data: bytes) -> None:
        """A file that a stage will unpickle."""
        seal(self._folder / file, data, self._key)

    def has(self, file: str) -> bool:
        return (self._folder / file).exists()

    def read(self, file: str) -> Any:
        return json.loads((self._folder / file).read_text())

    def raw(self, file: str) -> bytes:
        return (self._folder / file).read_bytes()

    def unsealed(self, file: str) -> bytes:
        return unseal(self._folder / file, self._key)

    def stage(self, stage: str, seconds: float) -> None:
        """Carry out a stage that nothing can replace. Raises Interruption where it fails."""
        ended = self.child(stage, seconds)
        if ended.end is not End.OK:
            raise Interruption(RunStatus.FAILED, f"{stage.partition('-')[0]}: {ended.reason}")

    def child(self, stage: str, seconds: float) -> Ended:
        """Carry out a stage; how it ended. Raises Interruption where the run was cancelled or its server stops."""
        why: list[str] = []

        def cancelled() -> bool:
            reason = self._cancelled()
            if reason is not None:
                why.append(reason)
            return reason is not None

        ears = Ears()
        limits = Limits(
            deadline_seconds=seconds,
            startup_seconds=STARTUP_SECONDS,
            memory_bytes=self._settings.child_memory_bytes,
        )
        ended = run_child(
            stage,
            self._folder,
            {
                "key": self._key.hex(),
                "database_url": self._registry.database_url,
                "home": str(self._settings.home.resolve()),
            },
            limits,
            on_event=partial(self._hear, ears),
            cancelled=cancelled,
        )
        self._log.flush()
        if ears.told is not None:
            self._log.energy(stage, ears.told)
        if ended.end is End.CANCELLED:
            stopped = why[0].startswith("interrupted")
            raise Interruption(RunStatus.FAILED if stopped else RunStatus.CANCELLED, why[0])
        return ended

    def _hear(self, ears: Ears, event: Event) -> None:
        if event["event"] == "trial":
            self._log.trial(event)
        elif event["event"] == ENERGY:
            ears.hear(event)
