"""Housekeeping of the tables, on the scheduler's time."""

from __future__ import annotations

import logging
from datetime import timedelta

from registry.store import Registry
from service.clock import Clock
from service.settings import Settings

logger = logging.getLogger(__name__)

RETENTION = timedelta(hours=1)
"""Files out of use for longer are removed. Old versions stay readable; pinned ones keep their very files."""
ORPHAN_AGE = timedelta(days=1)


class Maintenance:
    """Compacts small files, removes what nobody can need any more, and never what a model was trained on."""

    def __init__(self, registry: Registry, settings: Settings, *, clock: Clock) -> None:
        self._registry = registry
        self._settings = settings
        self._clock = clock

    def run(self) -> None:
        """One round over all projects; only one process does it at a time."""
        now = self._clock()
        lease = self._registry.leases.acquire("maintenance", self._settings.node, seconds=1800, at=now)
        if lease is None:
            return
        try:
            for project in self._registry.projects.list():
                pinned = {model.dataset_version for model in self._registry.models.list(project.id)}
                active = self._registry.runs.active(project.id)
                if active is not None:
                    pinned.add(active.dataset_version)
                report = self._registry.datasets.maintain(
                    project.id, pinned=pinned, at=now, retention=RETENTION
                )
                logger.info("maintained %s: %s", project.name, report)
            self._registry.blobs.sweep(before=now - ORPHAN_AGE)
        finally:
            self._registry.leases.release(lease)
