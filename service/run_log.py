"""A run's line to the registry: trials in small batches, signs of life, whether it was cancelled."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from registry.errors import RegistryError, StaleFence
from registry.records import Run, TrialRecord
from registry.store import Registry
from service.clock import Clock
from service.energy.reading import new_reading

logger = logging.getLogger(__name__)

_FLUSH_SECONDS = 0.5
_LOOK_SECONDS = 0.4


class RunLog:
    """Used by the one thread that works on the run.

    :meth:`cancelled` is asked several times a second; it renews the lease in time and answers why the
    run has to end: ``cancelled``, or ``interrupted: …`` when the lease went to someone else.
    """

    def __init__(self, registry: Registry, run: Run, *, lease_seconds: float, clock: Clock) -> None:
        self._registry = registry
        self._run = run
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._pending: list[TrialRecord] = []
        self._flushed = self._looked = self._renewed = time.monotonic()
        self.trials = 0

    def now(self) -> datetime:
        return self._clock()

    def trial(self, event: Mapping[str, Any]) -> None:
        self.trials += 1
        self._pending.append(
            TrialRecord(
                number=self.trials,
                engine=event["engine"],
                estimator=event["estimator"],
                score=event["score"],
                seconds=event["seconds"],
                config=event["config"],
                error=event["error"],
                at=self._clock(),
            )
        )
        if time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the trials heard so far."""
        self._flushed = time.monotonic()
        if self._pending:
            self._registry.runs.add_trials(self._run.id, self._run.fence, self._pending)
            self._pending = []

    def energy(self, stage: str, told: Mapping[str, Any]) -> None:
        """Keep what a stage used. That it can't be kept is no fault of the run."""
        run = self._run
        try:
            self._registry.energy.add(
                run.project_id, new_reading(stage, told), run=run.number, at=self._clock()
            )
        except RegistryError:
            logger.warning("what %s of run %s used could not be kept", stage, run.number, exc_info=True)

    def describe(
        self, *, snapshot: Mapping[str, Any] | None = None, engines: Mapping[str, Any] | None = None
    ) -> None:
        self._registry.runs.describe(
            self._run.id, self._run.fence, snapshot=snapshot, engines=engines, at=self._clock()
        )

    def cancelled(self) -> str | None:
        now = time.monotonic()
        try:
            if now - self._renewed > self._lease_seconds / 4:
                self._renewed = now
                self._registry.runs.heartbeat(
                    self._run.id, self._run.fence, lease_seconds=self._lease_seconds, at=self._clock()
                )
            if now - self._flushed > _FLUSH_SECONDS:
                self.flush()
        except StaleFence:
            return "interrupted: another process has taken the run over"
        if now - self._looked > _LOOK_SECONDS:
            self._looked = now
            if self._registry.runs.by_id(self._run.id).cancel_requested:
                return "cancelled on request"
        return None
