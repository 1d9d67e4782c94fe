"""Where a run is worked on: one folder, child processes one after another, everything told to the registry.

:mod:`service.cycle` says what is done; this says how each step is carried out and what a failed one means.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from automl.search import EngineOutcome, Plan
from automl.task import Task
from registry.records import Model, NewModel, NewPromotion, Project, PromotionKind, Run, RunStatus
from registry.store import Registry
from service.children import End, Event, Limits, run_child
from service.conclusion import Challenger, Conclusion, Interruption, Judgement
from service.demands import embargo_seconds, holdout_rule, is_reversal, rules
from service.policy import Policy
from service.run_log import RunLog
from service.sealed import seal, unseal
from service.settings import Settings

STARTUP_SECONDS = 120.0
DEADLINE_FACTOR = 1.5
SNAPSHOT_SECONDS = 600.0
JUDGE_SECONDS = 600.0


class Bench:
    """The work on one run. Methods raise Interruption; an engine's failure is an outcome, not an exception."""

    def __init__(
        self,
        *,
        run: Run,
        project: Project,
        registry: Registry,
        settings: Settings,
        log: RunLog,
        cancelled: Callable[[], str | None],
        folder: Path,
    ) -> None:
        self._run = run
        self._project = project
        self._registry = registry
        self._settings = settings
        self._log = log
        self._cancelled = cancelled
        self._folder = folder
        self._key = secrets.token_bytes(32)
        self._policy = Policy.model_validate(run.plan["policy"])
        self._champion = (
            registry.models.get(project.id, project.champion) if project.champion is not None else None
        )
        self._look = registry.ledger.looks(project.id, self._holdout_epoch) + 1
        self._outcomes: dict[str, Mapping[str, Any]] = {}
        self._snapshot: Mapping[str, Any] = {}

    @property
    def task(self) -> Task:
        return Task.from_json(self._project.task)

    @property
    def plan(self) -> Plan:
        return Plan(budget_seconds=self._run.plan["budget_seconds"], shares=self._run.plan["engines"])

    @property
    def _holdout_epoch(self) -> str:
        """Looks are counted from one change of champion to the next."""
        return f"epoch-{self._project.epoch}"

    def take_snapshot(self) -> Mapping[str, Any]:
        """Freeze the rows of the run's dataset version into a training and a holdout file."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        if self._champion is not None:
            data = self._registry.blobs.open(self._champion.blob.digest)
            seal(self._folder / "champion.model", data, self._key)
        (self._folder / "spec.json").write_text(json.dumps(self._spec()))
        self._stage("snapshot", SNAPSHOT_SECONDS)
        self._snapshot = json.loads((self._folder / "snapshot.json").read_text())
        self._log.describe(snapshot=self._snapshot)
        return self._snapshot

    def run_engine(self, engine: str, seconds: float) -> EngineOutcome[Challenger]:
        """Search with one engine for ``seconds``, and not longer than 1.5 times that."""
        self._amend(budgets={engine: seconds})
        before = self._log.trials
        ended = self._child(f"search-{engine}", DEADLINE_FACTOR * seconds)
        trials = self._log.trials - before
        result = self._folder / f"{engine}.json"
        # One that was ended early may have left its best so far.
        challenger = Challenger(**json.loads(result.read_text())) if result.exists() else None
        error = ended.reason or None
        self._outcomes[engine] = {
            "seconds": round(ended.seconds, 2),
            "trials": trials,
            "peak_mib": ended.peak_bytes // 1024**2,
            "score": challenger.score if challenger else None,
            "estimator": challenger.estimator if challenger else None,
            "partial": challenger.partial if challenger else None,
            "error": error,
        }
        self._log.describe(engines=self._outcomes)
        return EngineOutcome(
            engine=engine, candidate=challenger, error=error, seconds=ended.seconds, trials=trials
        )

    def judge(self, challenger: Challenger) -> Judgement:
        """Champion and challenger on the holdout; also makes what serving needs to check the model."""
        self._amend(rules=rules(self._policy, self.task, reversal=self._is_reversal(challenger)))
        self._stage(f"judge-{challenger.file}", JUDGE_SECONDS)
        verdict = json.loads((self._folder / "verdict.json").read_text())
        if verdict["outcome"] == "promoted" and self._policy.promote_mode == "manual":
            verdict["outcome"] = "awaiting_approval"
            verdict["reason"] = "Awaiting approval: " + verdict["reason"]
        return Judgement(outcome=verdict["outcome"], reason=verdict["reason"], verdict=verdict)

    def promoted(self, challenger: Challenger, judgement: Judgement) -> Conclusion:
        promotion = NewPromotion(
            expected_epoch=self._project.epoch,
            kind=PromotionKind.PROMOTION,
            reason=judgement.reason,
            actor="policy",
        )
        return self._judged(challenger, judgement, promotion)

    def kept(self, challenger: Challenger, judgement: Judgement) -> Conclusion:
        return self._judged(challenger, judgement, None)

    def failed(self, reason: str) -> Conclusion:
        return Conclusion(status=RunStatus.FAILED, error=reason, events=self._ended_event("failed", reason))

    def ended_early(self, interruption: Interruption) -> Conclusion:
        return Conclusion(
            status=interruption.status,
            error=interruption.reason,
            events=self._ended_event(interruption.status.value, interruption.reason),
        )

    def clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _judged(
        self, challenger: Challenger, judgement: Judgement, promotion: NewPromotion | None
    ) -> Conclusion:
        look = (self._holdout_epoch, self._look, float(judgement.verdict["alpha_spent"]))
        events = self._ended_event(judgement.outcome, judgement.reason)
        return Conclusion(
            status=RunStatus.COMPLETED,
            verdict=judgement.verdict,
            model=self._model(challenger, judgement),
            promotion=promotion,
            judgement=look,
            events=(*events, *self._model_events(judgement, promotion)),
        )

    def _model_events(
        self, judgement: Judgement, promotion: NewPromotion | None
    ) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        # One run of a project is active at a time, so nobody else takes the next version number.
        version = (
            max((model.version for model in self._registry.models.list(self._project.id)), default=0) + 1
        )
        named = {"project": self._project.name, "run": self._run.number, "version": version}
        created = ("incumbent.model_version.created", {**named, "outcome": judgement.outcome})
        if promotion is None:
            return (created,)
        change = {"from": self._project.champion, "to": version, "kind": promotion.kind.value}
        return (created, ("incumbent.champion.changed", {**named, **change, "reason": promotion.reason}))

    def _model(self, challenger: Challenger, judgement: Judgement) -> NewModel:
        now = self._log.now()
        put = self._registry.blobs.put
        model = put(unseal(self._folder / challenger.file, self._key), at=now)
        golden = put((self._folder / "golden.json").read_bytes(), at=now)
        reference = put((self._folder / "reference.parquet").read_bytes(), at=now)
        attachments = {"golden": golden, "reference": reference}
        rivalry = self._folder / "rivalry.json"
        if rivalry.exists():
            attachments["rivalry"] = put(rivalry.read_bytes(), at=now)
        return NewModel(
            blob=model,
            engine=challenger.engine,
            estimator=challenger.estimator,
            config=challenger.config,
            dataset_version=self._run.dataset_version,
            details={
                "task": self._project.task,
                "schema": self._project.schema,
                "metric": judgement.verdict["metric"],
                "score": judgement.verdict["challenger_score"],
                "cv_score": challenger.score,
                "requirements": challenger.requirements,
                "size_bytes": challenger.size_bytes,
                "partial": challenger.partial,
                "outcome": judgement.outcome,
                "judged_against": self._project.champion,
                **{
                    name: self._snapshot[name]
                    for name in ("cut", "trained_until", "hash", "train_rows", "holdout_rows")
                },
            },
            attachments=attachments,
        )

    def _ended_event(self, outcome: str, reason: str) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        data = {"project": self._project.name, "run": self._run.number, "outcome": outcome, "reason": reason}
        return (("incumbent.run.ended", data),)

    def _is_reversal(self, challenger: Challenger) -> bool:
        previous = self._project.previous
        dethroned = None if previous is None else self._registry.models.get(self._project.id, previous)
        return is_reversal(challenger, self._champion, dethroned)

    def _spec(self) -> dict[str, Any]:
        champion = self._champion
        lookback = self._policy.lookback_window
        return {
            "project_id": self._project.id,
            "task": dict(self._project.task),
            "schema": dict(self._project.schema or {}),
            "dataset_version": self._run.dataset_version,
            "seed": self._run.seed,
            "holdout": holdout_rule(self._policy),
            "embargo": embargo_seconds(self._policy),
            "lookback_seconds": lookback.total_seconds() if lookback else None,
            "rules": rules(self._policy, self.task),
            "slices": None if self._policy.gates.slices is None else self._policy.gates.slices.max,
            "label_sources": {name: rule.model_dump() for name, rule in self._policy.label_sources.items()},
            "look": self._look,
            "budgets": {},
            "champion": None if champion is None else _reigning(champion),
            "start": None if champion is None else _start(champion),
        }

    def _amend(self, **parts: Any) -> None:
        """Change parts of the specification; what is an object gets its new entries beside the old."""
        path = self._folder / "spec.json"
        spec = json.loads(path.read_text())
        for name, part in parts.items():
            spec[name] = {**spec[name], **part}
        path.write_text(json.dumps(spec))

    def _stage(self, stage: str, seconds: float) -> None:
        ended = self._child(stage, seconds)
        if ended.end is not End.OK:
            raise Interruption(RunStatus.FAILED, f"{stage.partition('-')[0]}: {ended.reason}")

    def _child(self, stage: str, seconds: float) -> Any:
        why: list[str] = []

        def cancelled() -> bool:
            reason = self._cancelled()
            if reason is not None:
                why.append(reason)
            return reason is not None

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
            on_event=self._hear,
            cancelled=cancelled,
        )
        self._log.flush()
        if ended.end is End.CANCELLED:
            stopped = why[0].startswith("interrupted")
            raise Interruption(RunStatus.FAILED if stopped else RunStatus.CANCELLED, why[0])
        return ended

    def _hear(self, event: Event) -> None:
        if event["event"] == "trial":
            self._log.trial(event)


def _reigning(champion: Model) -> dict[str, Any]:
    details = champion.details
    return {
        "version": champion.version,
        "trained_until": details["trained_until"],
        "classes": details["task"]["classes"],
    }


def _start(champion: Model) -> dict[str, Any]:
    return {"engine": champion.engine, "estimator": champion.estimator, "config": dict(champion.config)}
