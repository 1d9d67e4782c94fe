"""What has to be true of a project's ledgers at any moment, however its processes died.

:func:`read_story` reads them as a person would over HTTP and asserts that they tell one story.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from registry.approval_records import Approval, ApprovalStatus
from registry.probations import Probation, ProbationStatus
from registry.records import (
    BatchKind,
    Decision,
    EventRecord,
    Model,
    Project,
    Promotion,
    PromotionKind,
    Run,
    RunStatus,
)
from registry.store import Registry

MANY = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything that was written down, oldest first."""

    project: Project
    runs: tuple[Run, ...]
    promotions: tuple[Promotion, ...]
    decisions: tuple[Decision, ...]
    probations: tuple[Probation, ...]
    approvals: tuple[Approval, ...]
    models: tuple[Model, ...]
    events: tuple[EventRecord, ...]
    pseudo_batches: tuple[Any, ...]


def read_story(registry: Registry, name: str) -> Story:
    """The ledgers of a project; fails where they contradict each other."""
    project = registry.projects.get(name)
    batches = registry.datasets.batches(project.id, MANY)
    story = Story(
        project=project,
        runs=registry.runs.list(project.id, MANY)[::-1],
        promotions=registry.ledger.promotions(project.id, MANY)[::-1],
        decisions=registry.ledger.decisions(project.id, MANY)[::-1],
        probations=registry.probations.list(project.id, MANY)[::-1],
        approvals=registry.approvals.list(project.id, MANY)[::-1],
        models=registry.models.list(project.id)[::-1],
        events=registry.ledger.events(limit=MANY),
        pseudo_batches=tuple(batch for batch in batches if batch.kind is BatchKind.PSEUDO_LABELS),
    )
    _runs_end_once_with_a_reason(story)
    _champions_follow_each_other(story)
    _verdicts_and_promotions_agree(story)
    _models_are_whole(story, registry)
    _decisions_and_runs_name_each_other(story)
    _probations_belong_to_reigns(story)
    _approvals_end_with_their_deed(story)
    _facts_are_told_once(story)
    _looks_are_counted(story, registry)
    _labels_of_models_have_their_run(story)
    _times_are_one_sequence(story)
    return story


def _runs_end_once_with_a_reason(story: Story) -> None:
    assert [run.number for run in story.runs] == list(range(1, len(story.runs) + 1))
    assert sum(run.status.is_active for run in story.runs) <= 1
    for before, run in itertools.pairwise(story.runs):
        assert not before.status.is_active, f"run {run.number} began while {before.number} was active"
        if run.attempt > 1:
            assert (before.attempt, before.status) == (1, RunStatus.FAILED), run
            assert (before.error or "").startswith("interrupted"), before
    for run in story.runs:
        ended = not run.status.is_active
        assert (run.finished_at is not None) == ended, run
        assert (run.status is RunStatus.COMPLETED) == (run.verdict is not None), run
        if ended:
            assert run.error or (run.verdict or {}).get("reason"), f"run {run.number} ended without a reason"


def _champions_follow_each_other(story: Story) -> None:
    entries, project = story.promotions, story.project
    assert [entry.epoch for entry in entries] == list(range(1, len(entries) + 1))
    champions = [None, *(entry.to_version for entry in entries)]
    assert [entry.from_version for entry in entries] == champions[:-1]
    assert project.epoch == len(entries)
    assert project.champion == champions[-1]
    assert project.previous == (entries[-1].from_version if entries else None)


def _verdicts_and_promotions_agree(story: Story) -> None:
    by_run = {
        entry.run: entry
        for entry in story.promotions
        if entry.kind is PromotionKind.PROMOTION and entry.run is not None
    }
    outcomes = {run.number: (run.verdict or {}).get("outcome") for run in story.runs}
    assert {number for number, outcome in outcomes.items() if outcome == "promoted"} == set(by_run)
    made = {model.version: model for model in story.models}
    for number, entry in by_run.items():
        assert made[entry.to_version].run == number
    for model in story.models:
        assert model.run is not None
        assert model.details["outcome"] == outcomes[model.run], (
            f"version {model.version} says it was {model.details['outcome']}, its run {outcomes[model.run]}"
        )
    for run in story.runs:
        promoted = (run.verdict or {}).get("refit", {}).get("promoted")
        if promoted:
            assert made[by_run[run.number].to_version].details["refit_of"] == run.challenger


def _models_are_whole(story: Story, registry: Registry) -> None:
    assert [model.version for model in story.models] == list(range(1, len(story.models) + 1))
    runs = {run.number: run for run in story.runs}
    for model in story.models:
        assert model.run is not None
        assert runs[model.run].status is RunStatus.COMPLETED
        for ref in (model.blob, *model.attachments.values()):
            assert len(registry.blobs.open(ref.digest)) == ref.size
    named = {entry.to_version for entry in story.promotions}
    named |= {run.challenger for run in story.runs if run.challenger is not None}
    named |= {version for one in story.probations for version in (one.champion, one.other)}
    assert named <= {model.version for model in story.models}
    completed = [run for run in story.runs if run.status is RunStatus.COMPLETED]
    assert all(run.challenger is not None for run in completed)


def _decisions_and_runs_name_each_other(story: Story) -> None:
    started = [decision for decision in story.decisions if decision.outcome == "triggered"]
    assert [decision.run for decision in started] == [run.number for run in story.runs]
    for decision, run in zip(started, story.runs, strict=True):
        assert run.trigger["decision"] == decision.number
        assert run.trigger["kind"] == decision.trigger
        assert run.reason == decision.reason
    scheduled = [
        decision.evidence["schedule_due_at"] for decision in started if decision.trigger == "schedule"
    ]
    assert len(set(scheduled)) == len(scheduled), f"a due time started two runs: {scheduled}"
    assert all(decision.run is None for decision in story.decisions if decision.outcome != "triggered")


def _probations_belong_to_reigns(story: Story) -> None:
    rollbacks = {entry.epoch: entry for entry in story.promotions if entry.actor == "probation"}
    assert sum(one.status is ProbationStatus.OPEN for one in story.probations) <= 1
    for one in story.probations:
        reign = story.promotions[one.epoch - 1]
        assert (one.champion, one.other) == (reign.to_version, reign.from_version), one
        assert (one.status is ProbationStatus.OPEN) == (one.ended_at is None), one
        assert one.reason
        if one.status is ProbationStatus.ROLLED_BACK:
            entry = rollbacks.pop(one.epoch + 1)
            assert (entry.kind, entry.to_version, entry.at, entry.reason) == (
                PromotionKind.ROLLBACK,
                one.other,
                one.ended_at,
                one.reason,
            )
    assert not rollbacks


def _approvals_end_with_their_deed(story: Story) -> None:
    waited = {run.number: run for run in story.runs if _outcome(run) == "awaiting_approval"}
    assert [one.run for one in story.approvals] == list(waited), "each run that waits asks once"
    made = {model.version: model for model in story.models}
    by_time = {entry.at: entry for entry in story.promotions}
    for one in story.approvals:
        assert one.run is not None
        assert one.judged == waited[one.run].challenger, one
        assert one.version == one.judged or made[one.version].details["refit_of"] == one.judged
        assert (one.status is ApprovalStatus.OPEN) == (one.ended_at is None), one
        assert one.reason
        entry = by_time.get(one.ended_at) if one.ended_at is not None else None
        if one.status is ApprovalStatus.APPROVED:
            assert entry is not None, f"{one} changed nothing"
            assert (entry.kind, entry.epoch, entry.run) == (PromotionKind.MANUAL, one.epoch + 1, one.run)
            assert entry.to_version == one.approved_by[-1].version
            assert len({word.who for word in one.approved_by}) >= one.approvers
        else:
            assert len(one.approved_by) < one.approvers or one.status is not ApprovalStatus.OPEN
        if one.status is ApprovalStatus.REFUSED:
            assert one.said[-1].word.value == "refuse"


def _outcome(run: Run) -> str | None:
    outcome: str | None = (run.verdict or {}).get("outcome")
    return outcome


def _facts_are_told_once(story: Story) -> None:
    told = Counter((event.type, _fact(event)) for event in story.events)
    assert all(count == 1 for count in told.values()), told
    by_type: dict[str, list[EventRecord]] = {}
    for event in story.events:
        by_type.setdefault(event.type, []).append(event)
    changes = by_type.get("incumbent.champion.changed", [])
    assert [(event.data["from"], event.data["to"], event.at) for event in changes] == [
        (entry.from_version, entry.to_version, entry.at) for entry in story.promotions
    ]
    queued = [event.data["run"] for event in by_type.get("incumbent.run.queued", [])]
    assert queued == [run.number for run in story.runs]
    ended = {event.data["run"]: event for event in by_type.get("incumbent.run.ended", [])}
    assert set(ended) == {run.number for run in story.runs if not run.status.is_active}
    for run in story.runs:
        if run.number in ended:
            outcome = (run.verdict or {}).get("outcome", run.status.value)
            assert (ended[run.number].data["outcome"], ended[run.number].at) == (outcome, run.finished_at)
    created = [event.data["version"] for event in by_type.get("incumbent.model_version.created", [])]
    assert created == [model.version for model in story.models]
    began = [event.at for event in by_type.get("incumbent.probation.began", [])]
    assert began == [one.began_at for one in story.probations]
    answered = {event.data["approval"]: event for event in by_type.get("incumbent.approval.ended", [])}
    assert {number: (event.data["status"], event.at) for number, event in answered.items()} == {
        one.number: (one.status.value, one.ended_at) for one in story.approvals if one.ended_at is not None
    }
    over = {event.data["probation"]: event for event in by_type.get("incumbent.probation.ended", [])}
    assert {number: event.data["status"] for number, event in over.items()} == {
        one.number: one.status.value for one in story.probations if one.ended_at is not None
    }


def _fact(event: EventRecord) -> object:
    """What an event is about: the same twice is told twice."""
    data = event.data
    if event.type in ("incumbent.champion.changed", "incumbent.labels.wanted"):
        return event.at
    if event.type.startswith("incumbent.probation.began"):
        return (data["champion"], data["other"], event.at)
    if event.type.startswith("incumbent.approval"):
        return (data["approval"], tuple(data["by"]))
    return data.get("version", data.get("probation", data.get("run")))


def _looks_are_counted(story: Story, registry: Registry) -> None:
    """Each run that judged spent one look, at the holdout of the reign it began in."""
    looks = sum(registry.ledger.looks(story.project.id, f"epoch-{n}") for n in range(story.project.epoch + 1))
    assert looks == sum(run.status is RunStatus.COMPLETED for run in story.runs)


def _labels_of_models_have_their_run(story: Story) -> None:
    versions = {model.version for model in story.models}
    owners = []
    for batch in story.pseudo_batches:
        assert batch.details["teacher"] in versions
        owners.append(batch.details["run"])
    assert len(set(owners)) == len(owners), "a run gave its labels twice"
    assert set(owners) <= {run.number for run in story.runs}
    of_batch = {batch.number: batch for batch in story.pseudo_batches}
    for model in story.models:
        taught = model.details.get("pseudo_labels")
        if taught is not None:
            assert of_batch[taught["batch"]].details["run"] == model.run


def _times_are_one_sequence(story: Story) -> None:
    in_order("events", [event.at for event in story.events])
    in_order("decisions", [decision.at for decision in story.decisions])
    in_order("promotions", [entry.at for entry in story.promotions])
    moments: list[datetime] = []
    for run, decision in zip(
        story.runs, (one for one in story.decisions if one.outcome == "triggered"), strict=True
    ):
        assert decision.at == run.created_at
        moments += [at for at in (run.created_at, run.started_at, run.finished_at) if at is not None]
    in_order("runs", moments)
    finished = {run.number: run.finished_at for run in story.runs}
    for entry in story.promotions:
        if entry.kind is PromotionKind.PROMOTION and entry.run is not None:
            assert entry.at == finished[entry.run]
    for one in story.probations:
        reign = story.promotions[one.epoch - 1]
        in_order("a probation", [reign.at, one.began_at, *([one.ended_at] if one.ended_at else [])])
    in_order("probations", [one.began_at for one in story.probations])


def in_order(what: str, moments: Sequence[datetime]) -> None:
    assert list(moments) == sorted(moments), f"{what} go back in time: {moments}"
