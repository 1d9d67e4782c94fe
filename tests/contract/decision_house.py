"""The service's own parts around a real registry, run by hand, for the life of a decision.

Only what children leave in a run's folder is made up (:class:`Play`): a search takes seconds, and what it finds is
no matter here. Everything that writes to the registry is the service's own code.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from automl.schema import check, infer
from automl.task import Task, TaskKind
from registry.records import BatchKind, Project, Run
from registry.store import Registry
from service.actors import NOBODY
from service.api import label_sources, models, runs
from service.api.schemas import Reason
from service.approving import Approving
from service.children import End, Ended
from service.metrics import Metrics
from service.policy import Policy
from service.probation import ProbationWatch
from service.scheduler import Scheduler
from service.sealed import seal
from service.settings import Settings
from service.shadow import Shadow
from service.workshop import Workshop

BEGAN = datetime(2026, 1, 5, 12, tzinfo=UTC)
NAME = "fruit"
LEASE = timedelta(hours=20)
WATCH = timedelta(days=30)
LABELLED, UNLABELLED = 40, 24
POLICY: dict[str, Any] = {
    "triggers": {"schedule": "0 3 * * *", "new_labels": None, "drift": None, "decay": None, "contract": None},
    "min_fresh_labels": 2,
    "min_fresh_share": 0,
    "cooldown": "PT0S",
    "daily_budget_seconds": 1e9,
    "refit": False,
    "search": {"budget_seconds": 5, "engines": {"flaml": 1.0}},
    "probation": {"watch": "P30D", "min_rows": 50, "max_shift": None},
}


class Ticking:
    """A clock that is a second later each time it is looked at."""

    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What the children of the next run leave, and what somebody else does ``meanwhile``, while it is judged."""

    outcome: str = "promoted"
    """Of the judge; ``broken`` is one that nobody foresaw."""
    refit: str = "passes"
    search: bool = True
    pseudo: bool = False
    meanwhile: Callable[[], None] | None = None

    def child(
        self,
        stage: str,
        folder: Path,
        secrets: Mapping[str, str],
        limits: object,
        *,
        on_event: Callable[[Mapping[str, Any]], None],
        cancelled: Callable[[], bool],
    ) -> Ended:
        """In the place of :func:`service.children.run_child`."""
        name = stage.partition("-")[0]
        ended = Ended(end=End.OK, reason="", seconds=1.0, peak_bytes=2**20)
        if name == "judge" and self.meanwhile is not None:
            self.meanwhile()
        if cancelled():
            return Ended(end=End.CANCELLED, reason="cancelled", seconds=1.0, peak_bytes=0)
        if (name == "search" and not self.search) or (name == "refit" and self.refit == "dies"):
            return Ended(end=End.FAILED, reason="it broke", seconds=1.0, peak_bytes=0)
        getattr(self, f"_{name}")(folder, bytes.fromhex(secrets["key"]), stage, on_event)
        return ended

    def _snapshot(self, folder: Path, key: bytes, *_: Any) -> None:
        mark = {"at": 0, "row_id": ""}
        report = {"cut": mark, "trained_until": mark, "hash": "0", "train_rows": 30, "holdout_rows": 10}
        (folder / "snapshot.json").write_text(json.dumps(report))

    def _search(self, folder: Path, key: bytes, stage: str, on_event: Callable[..., None]) -> None:
        engine = stage.partition("-")[2]
        on_event(
            {
                "event": "trial",
                "engine": engine,
                "estimator": "lgbm",
                "score": 0.5,
                "seconds": 1.0,
                "config": {},
                "error": None,
            }
        )
        seal(folder / f"{engine}.model", f"{folder.name} {engine}".encode(), key)
        found = {
            "engine": "flaml",
            "estimator": "lgbm",
            "score": 0.5,
            "config": {},
            "requirements": {},
            "size_bytes": 10,
            "partial": False,
            "file": f"{engine}.model",
        }
        (folder / f"{engine}.json").write_text(json.dumps(found))

    def _pseudo(self, folder: Path, *_: Any) -> None:
        spec = json.loads((folder / "spec.json").read_text())
        teacher = spec["pseudo"]["teacher"]["version"]
        ids = [f"row-{LABELLED + place}" for place in range(4)]
        rows = {"_row_id": ids, "_label": ["yes"] * 4, "_confidence": [0.99] * 4, "_weight": [0.5] * 4}
        table = pa.table({**rows, "_teacher": pa.array([teacher] * 4, pa.int32())})
        pq.write_table(table, folder / "pseudo.parquet")
        (folder / "pseudo.json").write_text(json.dumps({"rows": 4, "teacher": teacher, "source": "champion"}))

    def _judge(self, folder: Path, *_: Any) -> None:
        for file in ("golden.json", "expectation.json"):
            (folder / file).write_text(json.dumps({"lacking": None, "of": folder.name}))
        (folder / "reference.parquet").write_bytes(folder.name.encode())
        verdict = {
            "outcome": self.outcome,
            "reason": f"{self.outcome}, as the play has it",
            "gates": [],
            "metric": "accuracy",
            "challenger_score": 0.5,
            "baseline_score": 0.4,
            "alpha_spent": 0.01,
        }
        if self.outcome == "broken":
            del verdict["alpha_spent"]
        if (folder / "pseudo.json").exists():
            verdict["arms"] = {"challenger": "with_pseudo", "reason": "better"}
        (folder / "verdict.json").write_text(json.dumps(verdict))

    def _refit(self, folder: Path, key: bytes, *_: Any) -> None:
        seal(folder / "refit.model", f"{folder.name} refitted".encode(), key)
        (folder / "refit-golden.json").write_text("{}")
        (folder / "refit-reference.parquet").write_bytes(b"refit")
        report = {
            "passed": self.refit == "passes",
            "gates": [],
            "reason": "as the play has it",
            "file": "refit.model",
            "size_bytes": 9,
            "train_rows": 40,
            "trained_until": {"at": 1, "row_id": ""},
        }
        (folder / "refit.json").write_text(json.dumps(report))


class Idle:
    """Stands where watches do that this life has nothing to do with."""

    def look_at(self, project: Project, policy: object) -> None: ...
    def stop(self) -> None: ...


class House:
    """One process: opened on a home, as the service is when it starts."""

    def __init__(self, home: Path, clock: Ticking) -> None:
        self.clock = clock
        self.registry = Registry.open(home)
        self.registry.datasets.recover(clock())
        self.settings = Settings(
            home=home, node="here", max_runs=0, lease_seconds=LEASE.total_seconds(), scheduler=False
        )
        self.concluding: Callable[[], None] = lambda: None
        """Called when a run is about to be concluded."""
        self.metrics = Metrics()
        self.shadow = Shadow(
            self.registry,
            dict,
            clock=clock,
            metrics=self.metrics,
            flush_seconds=1,
            queue_rows=10,
        )
        self.watch = ProbationWatch(
            self.registry,
            self.settings,
            shadow=self.shadow,
            clock=clock,
            metrics=self.metrics,
            on_change=lambda: None,
        )
        # in this thread: a crash in another would be no crash of ours
        self.watch._ask_for = self.watch.evaluate  # type: ignore[method-assign]
        self.workshop = Workshop(
            self.registry,
            self.settings,
            clock=clock,
            metrics=self.metrics,
            on_promotion=lambda: None,
            on_end=lambda: None,
        )
        self.approving = Approving(self.registry, clock=clock, metrics=self.metrics, on_change=lambda: None)
        self.scheduler = Scheduler(
            self.registry,
            self.settings,
            clock=clock,
            metrics=self.metrics,
            workshop=self.workshop,
            drift_watch=cast(Any, Idle()),
            quality_watch=cast(Any, Idle()),
            probation_watch=self.watch,
            estimate_watch=cast(Any, Idle()),
            forecast_watch=cast(Any, Idle()),
            outlier_watch=cast(Any, Idle()),
            attribution_watch=cast(Any, Idle()),
            fairness_watch=cast(Any, Idle()),
            approving=self.approving,
            maintain=lambda: None,
        )
        self.context = cast(
            Any,
            SimpleNamespace(
                registry=self.registry,
                clock=clock,
                metrics=self.metrics,
                scheduler=self.scheduler,
                approving=self.approving,
                serving=SimpleNamespace(nudge=lambda: None),
            ),
        )

    @property
    def project(self) -> Project:
        return self.registry.projects.get(NAME)

    def claim(self) -> Run | None:
        return self.registry.runs.claim("here", lease_seconds=LEASE.total_seconds(), at=self.clock())

    def work(self, play: Play) -> None:
        """Claim the queued run and carry it to its end, as the workshop's thread does."""
        run = self.claim()
        assert run is not None
        conclude = self.workshop._conclude

        def concluding(*arguments: Any) -> None:
            self.concluding()
            conclude(*arguments)

        with (
            patch("service.room.run_child", play.child),
            patch("service.run_log._LOOK_SECONDS", -1.0),
            patch.object(self.workshop, "_conclude", concluding),
        ):
            self.workshop.work(run)

    def ask_for_run(self) -> None:
        self.scheduler.request_run(self.project, reason="asked for", budget_seconds=None, engines=None)

    def cancel(self) -> None:
        active = self.registry.runs.active(self.project.id)
        assert active is not None
        runs.cancel(self.project, active.number, self.context)

    def promote(self, version: int) -> None:
        models.promote(self.project, version, self.context, Reason(reason="by hand"))

    def approve(self, number: int, version: int) -> None:
        self.approving.approve(self.project, number, NOBODY, "by hand", version=version)

    def refuse(self, number: int) -> None:
        self.approving.refuse(self.project, number, NOBODY, "not this one")

    def approval_of(self, version: int) -> int | None:
        """The number of the open approval that is about this version."""
        waiting = self.approving.waiting(self.project, version)
        return None if waiting is None else waiting.number

    def roll_back(self) -> None:
        models.rollback(self.project, self.context, Reason(reason="by hand"))

    def revoke(self, **criteria: Any) -> None:
        body = label_sources.Revoke.model_validate({**criteria, "reason": "it went bad"})
        label_sources.revoke(body, self.project, self.context)

    def fail_calls(self) -> None:
        """The champion fails most of its calls from now on."""
        probation = self.registry.probations.current(self.project.id)
        assert probation is not None
        self.watch._conduct(probation, probation.champion)
        deployment = cast(Any, SimpleNamespace(project_id=probation.project_id, version=probation.champion))
        self.shadow.outcome(deployment, 100, 60)

    def set_policy(self, **changed: Any) -> None:
        policy = Policy.model_validate({**POLICY, **changed})
        self.registry.projects.update(NAME, policy=policy.model_dump(mode="json"))

    def tell_labels(self, places: list[int]) -> None:
        """People say what rows without a label are."""
        ids = [f"row-{place}" for place in places]
        with self.registry.datasets.stage(self.project) as staging:
            staging.write_labels(
                pa.table(
                    {
                        "_row_id": ids,
                        "label": ["no"] * len(ids),
                        "source": ["feedback"] * len(ids),
                        "at": pa.repeat(pa.scalar(self.clock(), pa.timestamp("us", tz="UTC")), len(ids)),
                    }
                )
            )
            self.registry.datasets.commit(staging, kind=BatchKind.FEEDBACK, details={}, at=self.clock())

    def close(self) -> None:
        self.registry.close()


def scratch() -> Path:
    """A new folder, in memory where there is such a place: here processes die, not machines."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="story", dir=memory if memory.is_dir() else None))


def furnish(home: Path) -> None:
    """Make a home with a project, its schema, and labelled and unlabelled rows."""
    clock = Ticking()
    house = House(home, clock)
    registry = house.registry
    table = _rows()
    task = Task(kind=TaskKind.CLASSIFICATION, target="ripe", metric="accuracy")
    schema, task = infer(table, task)
    policy = Policy.model_validate(POLICY).model_dump(mode="json")
    registry.projects.create(NAME, task=task.to_json(), policy=policy, at=clock())
    project = registry.projects.update(NAME, task=task.to_json(), schema=schema.to_json())
    checked = check(table, schema, task)
    ids = [f"row-{number}" for number in range(len(table))]
    with registry.datasets.stage(project) as staging:
        staging.write_rows(checked.table.append_column("_row_id", pa.array(ids)))
        told = {"_row_id": ids[:LABELLED], "label": checked.labels.slice(0, LABELLED)}
        staging.write_labels(pa.table({**told, "source": ["given"] * LABELLED}))
        registry.datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=clock())
    house.close()


def _rows() -> pa.Table:
    size = np.random.default_rng(0).normal(size=LABELLED + UNLABELLED).round(3)
    ripe = ["yes" if value > 0 else "no" for value in size[:LABELLED]] + [None] * UNLABELLED
    return pa.table({"size": size, "ripe": pa.array(ripe, pa.string())})
