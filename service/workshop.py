"""Who works on queued runs: a few threads, each watching over one run's child processes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from registry.errors import NotFound, StaleEpoch, StaleFence
from registry.records import Run, RunStatus
from registry.store import Registry
from service.bench import Bench
from service.clock import Clock
from service.conclusion import Conclusion, ended_event
from service.cycle import turn
from service.forecasts.bench import ForecastBench
from service.forecasts.kind import is_forecasting
from service.imported_bench import ENGINE, ImportedBench
from service.metrics import Metrics
from service.run_log import RunLog
from service.settings import Settings

logger = logging.getLogger(__name__)


class Workshop:
    """Claims queued runs, up to ``settings.max_runs`` at once, and carries each to its conclusion."""

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        *,
        clock: Clock,
        metrics: Metrics,
        on_promotion: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._on_promotion = on_promotion
        self._on_end = on_end
        self._threads: set[threading.Thread] = set()
        self._stopping = threading.Event()

    def take_on(self) -> None:
        """Claim as many queued runs as there is room for. Called from one thread."""
        self._threads = {thread for thread in self._threads if thread.is_alive()}
        while len(self._threads) < self._settings.max_runs and not self._stopping.is_set():
            run = self._registry.runs.claim(
                self._settings.node, lease_seconds=self._settings.lease_seconds, at=self._clock()
            )
            if run is None:
                return
            thread = threading.Thread(target=self.work, args=(run,), name=f"run-{run.id}", daemon=True)
            self._threads.add(thread)
            thread.start()

    def stop(self) -> None:
        """End the runs of this process: their children are killed and they count as interrupted."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=15)

    def work(self, run: Run) -> None:
        """Carry a claimed run to its conclusion, in the caller's thread."""
        try:
            conclusion, project = self._carry_out(run)
            self._conclude(run, conclusion, project)
        except StaleFence as lost:
            logger.warning("run %s belongs to another process now: %s", run.number, lost)
        except Exception:
            logger.exception("run %s could not be concluded; its lease will run out", run.number)
        self._on_end()

    def _carry_out(self, run: Run) -> tuple[Conclusion, str]:
        log = RunLog(self._registry, run, lease_seconds=self._settings.lease_seconds, clock=self._clock)

        def cancelled() -> str | None:
            if self._stopping.is_set():
                return "interrupted: the server was stopped"
            return log.cancelled()

        try:
            project = self._registry.projects.by_id(run.project_id)
        except NotFound:
            return Conclusion(status=RunStatus.CANCELLED, error="the project was deleted"), "?"
        folder = self._folder(run)
        try:
            kind = (
                ForecastBench if is_forecasting(project) else ImportedBench if ENGINE in run.plan else Bench
            )
            bench = kind(
                run=run,
                project=project,
                registry=self._registry,
                settings=self._settings,
                log=log,
                cancelled=cancelled,
                folder=folder,
            )
            try:
                return turn(bench), project.name
            finally:
                bench.clear()
        except StaleFence:
            raise
        except Exception as error:
            logger.exception("run %s of %s failed", run.number, project.name)
            reason = f"{type(error).__name__}: {error}"
            told = ended_event(project.name, run, RunStatus.FAILED.value, reason)
            return Conclusion(status=RunStatus.FAILED, error=reason, events=(told,)), project.name

    def _folder(self, run: Run) -> Path:
        return self._settings.home.resolve() / "runs" / f"{run.id}-{run.fence}"

    def _conclude(self, run: Run, conclusion: Conclusion, project: str) -> None:
        try:
            self._write(run, conclusion)
        except StaleEpoch as stale:
            conclusion = conclusion.overtaken(str(stale))
            self._write(run, conclusion)
        for model in conclusion.models[:1]:
            given = model.details.get("pseudo_labels") or {}
            if "batch" in given:
                self._metrics.labels.labels(project, "pseudo").inc(given["rows"])
        outcome = str((conclusion.verdict or {}).get("outcome", conclusion.status.value))
        self._metrics.runs.labels(project, outcome).inc()
        if conclusion.promotion is not None:
            self._metrics.promotions.labels(project).inc()
            self._on_promotion()

    def _write(self, run: Run, conclusion: Conclusion) -> None:
        self._registry.runs.conclude(
            run.id,
            run.fence,
            status=conclusion.status,
            verdict=conclusion.verdict,
            error=conclusion.error,
            models=conclusion.models,
            promoted=conclusion.promoted,
            promotion=conclusion.promotion,
            approval=conclusion.approval,
            judgement=conclusion.judgement,
            events=conclusion.events,
            at=self._clock(),
        )
