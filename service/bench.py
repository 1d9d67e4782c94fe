"""What is done on a run, step by step: children do the work, everything is told to the registry.

:mod:`service.cycle` says what is done; this says how each step is carried out and what a failed one means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from automl.search import Plan, SearchResult, concluded
from automl.task import Task
from registry.approval_records import NewApproval
from registry.records import NewModel, NewPromotion, Project, PromotionKind, Run, RunStatus
from registry.store import Registry
from service.approving import asked
from service.arms import ThirdArm, keep_labels, third_arm, verdict_of
from service.children import End
from service.conclusion import CHANGED, Challenger, Conclusion, Interruption, Judgement, ended_event
from service.demands import is_reversal, rules, trust_rules
from service.policy import Policy
from service.registration import Refit, models_of
from service.room import Room
from service.run_log import RunLog
from service.run_spec import past_starts, recipes, specification
from service.search_outcomes import engine_outcomes, search_order, told_outcomes
from service.settings import Settings
from service.similar_projects import META, similar_recipes

DEADLINE_FACTOR = 1.2
DEADLINE_MORE = 5.0
SNAPSHOT_SECONDS = 600.0
JUDGE_SECONDS = 600.0
REFIT_SECONDS = 600.0


class Bench:
    """The work on one run. Methods raise Interruption; an engine's failure is an outcome, not an exception."""

    SNAPSHOT, SEARCH, JUDGE = "snapshot", "search", "judge"
    """The stages that children carry out."""

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
        self._log = log
        self._room = Room(folder, registry=registry, settings=settings, log=log, cancelled=cancelled)
        self._policy = Policy.stored(run.plan["policy"])
        self._champion = (
            registry.models.get(project.id, project.champion) if project.champion is not None else None
        )
        self._look = registry.ledger.looks(project.id, self._holdout_epoch) + 1
        self._outcomes: dict[str, Mapping[str, Any]] = {}
        self._snapshot: Mapping[str, Any] = {}
        self._third: ThirdArm | None = None

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
        champion, open_blob = self._champion, self._registry.blobs.open
        models = self._registry.models.list(self._project.id)
        self._room.open(
            specification(
                self._run,
                self._project,
                self._policy,
                champion=champion,
                models=models,
                drift=self._registry.drift.latest(self._project.id),
                look=self._look,
                now=self._log.now(),
            )
        )
        if champion is not None:
            self._room.bring_sealed("champion.model", open_blob(champion.blob.digest))
            if "pseudo_labels" in champion.attachments:
                taught = open_blob(champion.attachments["pseudo_labels"].digest)
                self._room.bring("champion-pseudo.parquet", taught)
        self._room.stage(self.SNAPSHOT, SNAPSHOT_SECONDS)
        self._snapshot = self._room.read("snapshot.json")
        alike = similar_recipes(self._registry, self._project, self._snapshot.get(META))
        self._room.specify(starts=past_starts([*recipes(champion, models), *alike]))
        self._log.describe(snapshot=self._snapshot)
        return self._snapshot

    def search(self, *, arm: str = "") -> SearchResult[Challenger]:
        """Search with all engines of the plan at once, in one child process that never takes longer than 1.2 times the
        budget and 5 s. One that is ended early may have left its best so far."""
        plan = self.plan
        name = "+".join(engine for engine, _ in plan.allotments()) + arm
        self._room.specify(searches={name: search_order(self._policy, plan)})
        before = self._log.trials
        ended = self._room.child(
            f"{self.SEARCH}-{name}", DEADLINE_FACTOR * plan.budget_seconds + DEADLINE_MORE
        )
        found = Challenger(**self._room.read(f"{name}.json")) if self._room.has(f"{name}.json") else None
        told = self._room.read(f"{name}.parts.json") if self._room.has(f"{name}.parts.json") else None
        outcomes = engine_outcomes(plan, told, ended, trials=self._log.trials - before)
        self._outcomes |= told_outcomes(outcomes, told, found, ended, arm=arm)
        self._log.describe(engines=self._outcomes)
        return concluded(self.task, outcomes, found)

    def search_with_pseudo_labels(self) -> Challenger | None:
        """The third arm's best, with the budget and seed of the second; None where the policy asks for none, or
        nothing came of it."""
        if self._policy.pseudo_labels.mode == "off" or self._champion is None:
            return None
        self._third = third_arm(self._room, partial(self.search, arm="-pseudo"))
        return self._third.challenger

    def judge(self, true_only: Challenger, with_pseudo: Challenger | None) -> Judgement:
        """Champion and challengers on the holdout; also makes what serving needs to check the model."""
        arms = {"true_only": true_only, "with_pseudo": with_pseudo}
        files = {arm: one and one.file for arm, one in arms.items()}
        asked = {arm: self._rules(one) for arm, one in arms.items() if one is not None}
        factors = {arm: rule["required_effect_factor"] for arm, rule in asked.items()}
        trust = trust_rules(self._policy, budget_seconds=self._run.plan["budget_seconds"])
        self._room.specify(arms=files, rules=asked["true_only"], effect_factors=factors, trust=trust)
        self._room.stage(self.JUDGE, JUDGE_SECONDS)
        verdict = verdict_of(self._room.read("verdict.json"), self._third)
        if verdict["outcome"] == "promoted" and self._policy.promote_mode == "manual":
            verdict["outcome"] = "awaiting_approval"
            verdict["reason"] = "Awaiting approval: " + verdict["reason"]
        uses = with_pseudo is not None and verdict["arms"]["challenger"] == "with_pseudo"
        return Judgement(
            outcome=verdict["outcome"],
            reason=verdict["reason"],
            verdict=verdict,
            challenger=with_pseudo if uses and with_pseudo is not None else true_only,
            with_pseudo_labels=uses,
        )

    def refit(self, judgement: Judgement) -> Refit | None:
        """The model that passed trained on all rows and checked, where the policy asks for it. One that fails, or
        can't be made, leaves the judged one to be promoted."""
        if not self._policy.refit:
            return None
        self._room.specify(
            refit_with_pseudo=judgement.with_pseudo_labels,
            baseline_score=judgement.verdict["baseline_score"],
        )
        ended = self._room.child(f"refit-{judgement.challenger.file}", REFIT_SECONDS)
        if ended.end is not End.OK:
            return Refit(passed=False, report={"passed": False, "reason": f"it failed: {ended.reason}"})
        report = self._room.read("refit.json")
        return Refit(passed=report["passed"], report=report)

    def promoted(self, judgement: Judgement, refit: Refit | None) -> Conclusion:
        promotion = NewPromotion(
            expected_epoch=self._project.epoch,
            kind=PromotionKind.PROMOTION,
            reason=judgement.reason + _told(refit),
            actor="policy",
        )
        return self._judged(judgement, promotion, refit)

    def kept(self, judgement: Judgement, refit: Refit | None) -> Conclusion:
        """No promotion. What waits for approval waits with its refitted model, so that both can be chosen."""
        reason = judgement.reason + _waiting(refit)
        judgement = replace(judgement, reason=reason, verdict={**judgement.verdict, "reason": reason})
        return self._judged(judgement, None, refit, approval=self._asked(judgement))

    def failed(self, reason: str) -> Conclusion:
        return Conclusion(status=RunStatus.FAILED, error=reason, events=self._ended_event("failed", reason))

    def ended_early(self, interruption: Interruption) -> Conclusion:
        return Conclusion(
            status=interruption.status,
            error=interruption.reason,
            events=self._ended_event(interruption.status.value, interruption.reason),
        )

    def clear(self) -> None:
        self._room.clear()

    def _rules(self, challenger: Challenger) -> dict[str, Any]:
        previous = self._project.previous
        dethroned = None if previous is None else self._registry.models.get(self._project.id, previous)
        return rules(self._policy, self.task, reversal=is_reversal(challenger, self._champion, dethroned))

    def _asked(self, judgement: Judgement) -> NewApproval | None:
        """What people are asked, where it is theirs to say."""
        if not judgement.passes:
            return None
        starter, now = self._run.trigger.get("by"), self._log.now()
        return asked(self._policy.approval, self._project, reason=judgement.reason, now=now, starter=starter)

    def _judged(
        self,
        judgement: Judgement,
        promotion: NewPromotion | None,
        refit: Refit | None,
        *,
        approval: NewApproval | None = None,
    ) -> Conclusion:
        look = (self._holdout_epoch, self._look, float(judgement.verdict["alpha_spent"]))
        kept = None
        if judgement.with_pseudo_labels:
            kept = keep_labels(self._room, self._registry, self._project, self._run, self._log)
        models = tuple(self._models(judgement, kept, refit))
        verdict = dict(judgement.verdict)
        if refit is not None:
            verdict["refit"] = {**refit.report, "promoted": refit.passed and promotion is not None}
        return Conclusion(
            status=RunStatus.COMPLETED,
            verdict=verdict,
            models=models,
            promoted=len(models) - 1,
            promotion=promotion,
            approval=approval,
            judgement=look,
            events=(
                *self._ended_event(judgement.outcome, judgement.reason),
                *self._model_events(judgement, promotion, len(models)),
            ),
        )

    def _models(
        self, judgement: Judgement, pseudo_labels: Mapping[str, Any] | None, refit: Refit | None
    ) -> Sequence[NewModel]:
        """What is to be registered: the judged model, and after it the refitted one where there is one."""
        return models_of(
            self._room,
            self._registry,
            self._run,
            self._project,
            self._log,
            judgement=judgement,
            snapshot=self._snapshot,
            pseudo_labels=pseudo_labels,
            refit=refit,
        )

    def _model_events(
        self, judgement: Judgement, promotion: NewPromotion | None, made: int
    ) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        # One run of a project is active at a time, so nobody else takes the next version numbers.
        newest = max((model.version for model in self._registry.models.list(self._project.id)), default=0)
        named = {"project": self._project.name, "run": self._run.number}
        created = tuple(
            ("incumbent.model_version.created", {**named, "version": version, "outcome": judgement.outcome})
            for version in range(newest + 1, newest + 1 + made)
        )
        if promotion is None:
            return created
        change = {
            **named,
            "version": newest + made,
            "from": self._project.champion,
            "to": newest + made,
            "kind": promotion.kind.value,
            "reason": promotion.reason,
        }
        return (*created, (CHANGED, change))

    def _ended_event(self, outcome: str, reason: str) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        return (ended_event(self._project.name, self._run, outcome, reason),)


def _waiting(refit: Refit | None) -> str:
    if refit is None:
        return ""
    if refit.passed:
        choice = "Approving makes that one the champion, unless the judged version is named."
        return f" Refitted as well: {refit.report['reason']}. {choice}"
    return f" Only the judged model waits, not refitted: {refit.report['reason']}."


def _told(refit: Refit | None) -> str:
    if refit is None:
        return ""
    if refit.passed:
        return f" Promoted as refitted: {refit.report['reason']}."
    return f" Promoted as judged, not refitted: {refit.report['reason']}."
