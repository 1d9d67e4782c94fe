"""Looks, window by window of live rows, whether the champion still comes to its answers by the columns it was trained to
come by. The request path waits for none of it: rows are read from the tables and explained in a child process."""

from __future__ import annotations

import json
import logging
import secrets
import shutil
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from registry.records import Model, Project
from registry.store import Registry
from service.beside import Beside
from service.children import End, Limits, run_child
from service.clock import Clock
from service.metrics import Metrics
from service.policy import Attributions, Policy
from service.sealed import seal
from service.settings import Settings
from service.stages.names import CHAMPION_FILE

logger = logging.getLogger(__name__)

ATTRIBUTED = "attribution"
"""The kind of these reports among the reports of live quality."""
EVENT = "incumbent.attribution.moved"
DEADLINE_SECONDS = 120.0
_AFTER_FAILURE = timedelta(minutes=10)
"""A look that failed, or ran into its deadline, would most likely do so again at once."""


class AttributionWatch:
    """One look at a time in this process, and one for each window among all processes.

    A report is evidence; when a column moves that had not in the report before, an event tells it.
    """

    def __init__(self, registry: Registry, settings: Settings, *, clock: Clock, metrics: Metrics) -> None:
        self._registry = registry
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._failed: dict[int, tuple[int, datetime]] = {}
        self._beside = Beside()
        self._stopping = threading.Event()

    def look_at(self, project: Project, policy: Policy) -> None:
        """Start a look when a new window of prediction rows is full. Returns at once."""
        rule = policy.attributions
        busy = self._beside.busy
        if rule is None or project.champion is None or busy or self._stopping.is_set():
            return
        if self._failed_lately(project, rule):
            return
        latest = self._registry.quality.latest(project.id, ATTRIBUTED)
        if latest is not None and self._clock() - latest.at < rule.pause:
            return
        seen = 0 if latest is None else int(latest.report["predictions"])
        predictions = self._registry.datasets.facts(project.id).predictions
        if predictions - seen < rule.window:
            return
        lease = self._registry.leases.acquire(
            f"attribution:{project.id}", self._settings.node, seconds=DEADLINE_SECONDS * 2, at=self._clock()
        )
        if lease is None:
            return

        def work() -> None:
            try:
                if not self._report(project, rule, predictions) and not self._stopping.is_set():
                    self._note_failure(project)
            except Exception:
                self._note_failure(project)
                raise
            finally:
                self._registry.leases.release(lease)

        self._beside.begin(
            f"attribution-{project.id}", work, failed=f"the look at the attributions of {project.name} failed"
        )

    def stop(self) -> None:
        """Let go of a look that is under way: the next server looks again."""
        self._stopping.set()
        self._beside.join()

    def _failed_lately(self, project: Project, rule: Attributions) -> bool:
        version, at = self._failed.get(project.id, (None, None))
        if at is None or version != project.champion:
            return False
        return self._clock() - at < max(rule.pause, _AFTER_FAILURE)

    def _note_failure(self, project: Project) -> None:
        assert project.champion is not None
        self._failed[project.id] = (project.champion, self._clock())

    def _report(self, project: Project, rule: Attributions, predictions: int) -> bool:
        """Whether there is a report now."""
        assert project.champion is not None
        model = self._registry.models.get(project.id, project.champion)
        if "reference" not in model.attachments:
            return False
        folder = self._settings.home.resolve() / ATTRIBUTED / str(project.id)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        key = secrets.token_bytes(32)
        try:
            self._lay_out(folder, project, model, rule, key)
            ended = run_child(
                ATTRIBUTED,
                folder,
                {"key": key.hex(), "database_url": "", "home": str(folder)},
                Limits(deadline_seconds=DEADLINE_SECONDS, memory_bytes=self._settings.child_memory_bytes),
                on_event=lambda event: None,
                cancelled=self._stopping.is_set,
            )
            if ended.end is End.OK:
                self._keep(project, model, predictions, json.loads((folder / "attribution.json").read_text()))
            elif ended.end is not End.CANCELLED:
                logger.error("attributions of %s were not looked at: %s", project.name, ended.reason)
            return ended.end is End.OK
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _lay_out(self, folder: Path, project: Project, model: Model, rule: Attributions, key: bytes) -> None:
        blobs = self._registry.blobs
        (folder / "reference.parquet").write_bytes(blobs.open(model.attachments["reference"].digest))
        window = self._registry.datasets.recent(project.id, rule.window, source="prediction")
        pq.write_table(window, folder / "current.parquet")
        seal(folder / CHAMPION_FILE, blobs.open(model.blob.digest), key)
        spec = {
            "task": dict(model.details["task"]),
            "schema": dict(model.details["schema"]),
            "seed": project.epoch,
            "rule": {"threshold": rule.threshold, "alpha": rule.alpha},
        }
        (folder / "spec.json").write_text(json.dumps(spec))

    def _keep(self, project: Project, model: Model, predictions: int, report: Mapping[str, Any]) -> None:
        now, most = self._clock(), max((one["effect"] for one in report["columns"]), default=0.0)
        before = self._registry.quality.list(project.id, ATTRIBUTED, limit=1, model_version=model.version)
        self._registry.quality.add(
            project.id,
            model_version=model.version,
            kind=ATTRIBUTED,
            score=most,
            reference=report["threshold"],
            report={**report, "predictions": predictions},
            at=now,
        )
        self._metrics.attribution_drift.labels(project.name, str(model.version)).set(most)
        known = set(before[0].report["moved"]) if before else set()
        if set(report["moved"]) - known:
            data = {
                "project": project.name,
                "model_version": model.version,
                "columns": report["moved"],
                "effect": most,
                "rows": report["rows"],
            }
            self._registry.ledger.emit(EVENT, data, project_id=project.id, at=now)
