"""A champion with another to follow it, and the service's parts around them: what probations begin with."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from small_house import NOW, make_champion, make_model, make_project, raw_rows

from registry.probations import Probation
from registry.records import BatchKind, NewPromotion, Project, PromotionKind
from registry.store import Registry
from service.deployment import Deployment
from service.metrics import Metrics
from service.policy import Policy
from service.prediction import Predictor
from service.probation import ProbationWatch
from service.serving import Serving
from service.settings import Settings
from service.shadow import Shadow


class Upside:
    """A model that says the opposite of what another says."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline

    def predict_proba(self, rows: Any) -> Any:
        return self._pipeline.predict_proba(rows)[:, ::-1]


class House:
    """Versions 1 and 2 are good, and the service's parts around them run by hand. :attr:`bad` versions are turned
    upside down once they are loaded."""

    def __init__(self, registry: Registry, **policy: Any) -> None:
        self.registry = registry
        self.now = NOW
        make_project(registry, policy={"probation": {"min_rows": 50, "max_shift": None}, **policy})
        for C in (1.0, 0.5):
            make_model(registry, self.project, C=C)
        make_champion(registry, self.project, 1)
        self.metrics = Metrics()
        self.serving = Serving(registry, node="here", poll_seconds=0.1, clock=self.clock)
        self.shadow = Shadow(
            registry,
            lambda: self.serving.shadows,
            clock=self.clock,
            metrics=self.metrics,
            flush_seconds=1,
            queue_rows=100_000,
        )
        self.changes = 0
        self.watch = self.watching("here")
        self.bad: set[int] = set()
        self._rows = 0

    @property
    def project(self) -> Project:
        return self.registry.projects.get("fruit")

    @property
    def probation(self) -> Probation:
        return self.registry.probations.list(self.project.id, limit=1)[0]

    def clock(self) -> datetime:
        return self.now

    def watching(self, node: str) -> ProbationWatch:
        return ProbationWatch(
            self.registry,
            Settings(home=self.registry.home, node=node),
            shadow=self.shadow,
            clock=self.clock,
            metrics=self.metrics,
            on_change=self._changed,
        )

    def promote(self, version: int, kind: PromotionKind = PromotionKind.MANUAL) -> None:
        new = NewPromotion(expected_epoch=self.project.epoch, kind=kind, reason="a test", actor="test")
        self.registry.ledger.promote(self.project.id, version, new, at=self.now)
        self.tick()
        self.serving.refresh()

    def tick(self) -> None:
        """What the scheduler does, and the thread it starts, in one."""
        self.now += timedelta(seconds=20)
        self.look()
        self.watch = self.watching("here")

    def look(self) -> None:
        self.watch.look_at(self.project, Policy.model_validate(self.project.policy))
        thread = self.watch._thread
        if thread is not None:
            thread.join()

    def live(self, count: int, *, truth: bool = True) -> list[str]:
        """Rows are predicted, scored in shadow, and get their truth."""
        self._rows += 1
        table = raw_rows(count, seed=1_000 + self._rows)
        champion = self._deployment(self.serving.champions["fruit"])
        understudy = self.serving.shadows.get("fruit")
        if understudy is not None:
            turned = replace(understudy, deployment=self._deployment(understudy.deployment))
            self.serving._understudies._loaded = {"fruit": turned}
        predictor = Predictor(lambda: champion, lambda *_: None, self.shadow)
        [answer] = predictor([table.drop_columns(["ripe"]).to_pylist()])
        assert not isinstance(answer, Exception), answer
        while self.shadow.queued:
            self.shadow.work_off()
        self.shadow.flush()
        ids = list(answer.ids)
        if truth:
            self.now += timedelta(seconds=1)
            self.tell(ids, table["ripe"].to_pylist())
        return ids

    def tell(self, ids: list[str], labels: list[str]) -> None:
        with self.registry.datasets.stage(self.project) as staging:
            source = pa.repeat("feedback", len(ids))
            staging.write_labels(pa.table({"_row_id": ids, "label": labels, "source": source}))
            self.registry.datasets.commit(staging, kind=BatchKind.FEEDBACK, details={}, at=self.now)

    def events(self) -> list[str]:
        return [event.type for event in self.registry.ledger.events()]

    def _deployment(self, deployment: Deployment) -> Deployment:
        if deployment.version not in self.bad or isinstance(deployment.pipeline, Upside):
            return deployment
        return replace(deployment, pipeline=Upside(deployment.pipeline))

    def _changed(self) -> None:
        self.changes += 1
