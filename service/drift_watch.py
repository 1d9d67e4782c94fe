"""Looks for feature drift in each full window of prediction rows, in a child process."""

from __future__ import annotations

import json
import logging
import secrets
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

from registry.records import Model, Project
from registry.store import Registry
from service.beside import Beside
from service.children import End, Limits, run_child
from service.clock import Clock
from service.metrics import Metrics
from service.policy import FeatureDrift, Policy
from service.settings import Settings

logger = logging.getLogger(__name__)

DEADLINE_SECONDS = 120.0
REFERENCE_ROWS = 5_000


class DriftWatch:
    """One report at a time in this process, and one for each window among all processes.

    A report is evidence: :func:`service.triggers.due` decides what it means.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        *,
        clock: Clock,
        metrics: Metrics,
        on_report: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._on_report = on_report
        self._beside = Beside()
        self._stopping = threading.Event()

    def look_at(self, project: Project, policy: Policy) -> None:
        """Start a report when a new window of prediction rows is full. Returns at once."""
        rule = policy.triggers.drift
        busy = self._beside.busy
        if rule is None or project.champion is None or busy or self._stopping.is_set():
            return
        latest = self._registry.drift.latest(project.id)
        if latest is not None and self._clock() - latest.at < rule.pause:
            return
        seen = 0 if latest is None else int(latest.report["predictions"])
        predictions = self._registry.datasets.facts(project.id).predictions
        if predictions - seen < rule.window:
            return
        lease = self._registry.leases.acquire(
            f"drift:{project.id}", self._settings.node, seconds=DEADLINE_SECONDS * 2, at=self._clock()
        )
        if lease is None:
            return

        def work() -> None:
            try:
                self._report(project, rule, predictions)
            finally:
                self._registry.leases.release(lease)

        self._beside.begin(f"drift-{project.id}", work, failed=f"the drift report of {project.name} failed")

    def stop(self) -> None:
        self._stopping.set()
        self._beside.join()

    def _report(self, project: Project, rule: FeatureDrift, predictions: int) -> None:
        assert project.champion is not None
        model = self._registry.models.get(project.id, project.champion)
        folder = self._settings.home.resolve() / "drift" / str(project.id)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            self._lay_out(folder, project, model, rule)
            ended = run_child(
                "drift",
                folder,
                {"key": secrets.token_hex(32), "database_url": "", "home": str(folder)},
                Limits(deadline_seconds=DEADLINE_SECONDS, memory_bytes=self._settings.child_memory_bytes),
                on_event=lambda event: None,
                cancelled=self._stopping.is_set,
            )
            if ended.end is End.OK:
                self._keep(project, model, rule, predictions, json.loads((folder / "drift.json").read_text()))
            elif ended.end is not End.CANCELLED:
                logger.error("no drift report for %s: %s", project.name, ended.reason)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _lay_out(self, folder: Path, project: Project, model: Model, rule: FeatureDrift) -> None:
        reference = self._registry.blobs.open(model.attachments["reference"].digest)
        (folder / "reference.parquet").write_bytes(reference)
        window = self._registry.datasets.recent(project.id, rule.window, source="prediction")
        pq.write_table(window, folder / "current.parquet")
        spec = {
            "task": dict(project.task),
            "schema": dict(project.schema or {}),
            "seed": project.epoch,
            "rule": {
                "window": rule.window,
                "reference_rows": REFERENCE_ROWS,
                "share": rule.share,
                "numeric": rule.threshold,
                "categorical": rule.threshold,
                "missing": rule.threshold,
                "min_reference": 100,
                "q": rule.q,
            },
            "joint": None if rule.joint is None else {"auc": rule.joint.auc, "alpha": rule.joint.alpha},
        }
        (folder / "spec.json").write_text(json.dumps(spec))

    def _keep(
        self, project: Project, model: Model, rule: FeatureDrift, predictions: int, report: dict[str, object]
    ) -> None:
        now = self._clock()
        share = float(str(report["share"]))
        columns: list[dict[str, object]] = report["columns"]  # type: ignore[assignment]
        drifted = tuple(str(column["name"]) for column in columns if column["drifted"])
        self._registry.drift.add(
            project.id, model.version, share, drifted, {**report, "predictions": predictions}, at=now
        )
        self._metrics.drift_share.labels(project.name).set(share)
        joint: dict[str, object] = report.get("joint") or {}  # type: ignore[assignment]
        if share >= rule.share or joint.get("drifted"):
            data = {
                "project": project.name,
                "model_version": model.version,
                "share": share,
                "drifted": drifted,
                "joint": bool(joint.get("drifted")),
                "joint_auc": joint.get("auc"),
                "top_columns": report["top_columns"],
            }
            self._registry.ledger.emit("incumbent.drift.detected", data, project_id=project.id, at=now)
        self._on_report()
