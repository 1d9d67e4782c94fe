"""The run queue: one active run a project, fences, leases, conclusions that happen whole or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from registry_builders import NOW, after, at_once, enqueue, start, stored_blob

from registry.database import Database
from registry.errors import Conflict, NotFound, StaleEpoch, StaleFence
from registry.ledger import Ledger
from registry.models import Models
from registry.projects import Projects
from registry.records import (
    BlobRef,
    NewModel,
    NewPromotion,
    Project,
    PromotionKind,
    Run,
    RunStatus,
    TrialRecord,
)
from registry.runs import Runs


def _trial(number: int) -> TrialRecord:
    return TrialRecord(
        number=number,
        engine="flaml",
        estimator="lgbm",
        score=0.5 if number % 2 else None,
        seconds=0.25,
        config={"n": number},
        error=None if number % 2 else "timed out",
        at=after(number),
    )


def _promotion(epoch: int = 0) -> NewPromotion:
    return NewPromotion(expected_epoch=epoch, kind=PromotionKind.PROMOTION, reason="better", actor="judge")


def test_a_run_is_queued_claimed_kept_alive_and_concluded(runs: Runs, project: Project) -> None:
    queued = enqueue(runs, project.id)
    assert (queued.number, queued.status, queued.fence) == (1, RunStatus.QUEUED, 0)
    assert (queued.trigger, queued.plan, queued.seed) == ({"kind": "manual"}, {"budget_seconds": 10}, 7)
    running = runs.claim("worker", lease_seconds=30, at=after(1))
    assert running is not None
    assert (running.id, running.status, running.owner) == (queued.id, RunStatus.RUNNING, "worker")
    assert (running.fence, running.started_at, running.heartbeat_at) == (1, after(1), after(1))
    alive = runs.heartbeat(running.id, running.fence, lease_seconds=30, at=after(20))
    assert (alive.heartbeat_at, alive.cancel_requested) == (after(20), False)
    assert runs.expire(at=after(45)) == ()
    ended = runs.conclude(
        running.id, running.fence, status=RunStatus.COMPLETED, verdict={"outcome": "rejected"}, at=after(46)
    )
    assert (ended.status, ended.verdict, ended.finished_at) == (
        RunStatus.COMPLETED,
        {"outcome": "rejected"},
        after(46),
    )
    assert runs.by_id(ended.id) == runs.get(project.id, 1) == runs.last_completed(project.id) == ended
    assert runs.active(project.id) is None


def test_nothing_is_claimed_from_an_empty_queue(runs: Runs) -> None:
    assert runs.claim("worker", lease_seconds=30, at=NOW) is None


def test_a_second_run_is_refused_while_one_is_active(runs: Runs, project: Project) -> None:
    first = enqueue(runs, project.id)
    with pytest.raises(Conflict) as refused:
        enqueue(runs, project.id)
    assert refused.value.code == "run_active"
    assert runs.active(project.id) == first
    runs.request_cancel(first.id, at=NOW)
    assert enqueue(runs, project.id).number == 2


def test_of_many_who_enqueue_at_once_one_succeeds(runs: Runs, project: Project) -> None:
    results = at_once(lambda _: enqueue(runs, project.id))
    assert sum(isinstance(result, Run) for result in results) == 1
    assert all(result.code == "run_active" for result in results if isinstance(result, Conflict))
    assert len(runs.list(project.id)) == 1


def test_each_queued_run_is_claimed_once_and_the_oldest_first(runs: Runs, db: Database) -> None:
    for name in "abcd":
        enqueue(runs, Projects(db).create(name, task={}, policy={}, at=NOW).id)
    first = runs.claim("early", lease_seconds=30, at=NOW)
    assert first is not None
    results = at_once(lambda n: runs.claim(f"worker {n}", lease_seconds=30, at=NOW))
    claimed = [result.id for result in results if isinstance(result, Run)]
    assert len(claimed) == len(set(claimed)) == 3
    assert first.id < min(claimed)


def test_a_stale_fence_is_refused_by_every_write(runs: Runs, project: Project, new_model: NewModel) -> None:
    run = start(runs, project.id)
    stale = run.fence - 1
    for write in (
        lambda: runs.heartbeat(run.id, stale, lease_seconds=30, at=NOW),
        lambda: runs.describe(run.id, stale, snapshot={}, at=NOW),
        lambda: runs.add_trials(run.id, stale, [_trial(1)]),
        lambda: runs.conclude(run.id, stale, status=RunStatus.COMPLETED, model=new_model, at=NOW),
    ):
        with pytest.raises(StaleFence):
            write()
    assert runs.by_id(run.id) == run
    assert runs.trials(run.id) == ()


def test_a_run_that_is_not_running_takes_no_writes(runs: Runs, project: Project) -> None:
    queued = enqueue(runs, project.id)
    with pytest.raises(StaleFence, match="queued"):
        runs.heartbeat(queued.id, queued.fence, lease_seconds=30, at=NOW)
    run = runs.claim("worker", lease_seconds=30, at=NOW)
    assert run is not None
    runs.conclude(run.id, run.fence, status=RunStatus.FAILED, error="no pipeline", at=NOW)
    with pytest.raises(StaleFence, match="failed"):
        runs.conclude(run.id, run.fence, status=RunStatus.COMPLETED, at=NOW)
    with pytest.raises(NotFound):
        runs.heartbeat(99, 1, lease_seconds=30, at=NOW)


def test_a_lost_run_is_failed_once_and_its_worker_shut_out(runs: Runs, project: Project) -> None:
    run = start(runs, project.id, lease_seconds=30)
    assert runs.expire(at=after(29)) == ()
    results = at_once(lambda _: runs.expire(at=after(30)))
    lost = [one for result in results if isinstance(result, tuple) for one in result]
    assert [one.id for one in lost] == [run.id]
    assert lost[0].status is RunStatus.FAILED
    assert str(lost[0].error).startswith("interrupted: ")
    assert lost[0].finished_at == after(30)
    assert runs.expire(at=after(3600)) == ()
    with pytest.raises(StaleFence):
        runs.heartbeat(run.id, run.fence, lease_seconds=30, at=after(31))
    assert enqueue(runs, project.id).number == 2


def test_a_queued_run_is_cancelled_at_once_and_a_running_one_is_told(runs: Runs, project: Project) -> None:
    queued = enqueue(runs, project.id)
    cancelled = runs.request_cancel(queued.id, at=after(1))
    assert (cancelled.status, cancelled.finished_at) == (RunStatus.CANCELLED, after(1))
    running = start(runs, project.id)
    told = runs.request_cancel(running.id, at=after(2))
    assert (told.status, told.cancel_requested) == (RunStatus.RUNNING, True)
    assert runs.heartbeat(running.id, running.fence, lease_seconds=30, at=after(3)).cancel_requested
    ended = runs.conclude(running.id, running.fence, status=RunStatus.CANCELLED, at=after(4))
    assert runs.request_cancel(running.id, at=after(5)) == ended
    with pytest.raises(NotFound):
        runs.request_cancel(99, at=NOW)


def test_what_becomes_known_is_kept_as_it_comes(runs: Runs, project: Project) -> None:
    run = start(runs, project.id)
    runs.describe(run.id, run.fence, snapshot={"rows": 10}, at=after(1))
    described = runs.describe(run.id, run.fence, engines={"flaml": "done"}, at=after(2))
    assert (described.snapshot, described.engines) == ({"rows": 10}, {"flaml": "done"})
    assert described.heartbeat_at == after(2)


def test_trials_are_kept_once_and_read_from_where_the_reader_was(runs: Runs, project: Project) -> None:
    run = start(runs, project.id)
    trials = [_trial(number) for number in range(1, 5)]
    runs.add_trials(run.id, run.fence, trials[:2])
    runs.add_trials(run.id, run.fence, trials)
    runs.add_trials(run.id, run.fence, [])
    assert runs.trials(run.id) == tuple(trials)
    assert runs.trials(run.id, after=3) == (trials[3],)


def test_a_conclusion_is_one_transaction(
    runs: Runs, project: Project, ledger: Ledger, models: Models, db: Database, new_model: NewModel
) -> None:
    run = start(runs, project.id)
    ended = runs.conclude(
        run.id,
        run.fence,
        status=RunStatus.COMPLETED,
        verdict={"outcome": "promoted"},
        model=new_model,
        promotion=_promotion(),
        judgement=("holdout", 1, 0.03),
        events=[("incumbent.champion.changed", {"version": 1})],
        at=after(5),
    )
    model = models.get(project.id, 1)
    (entry,) = ledger.promotions(project.id)
    (event,) = ledger.events()
    changed = Projects(db).by_id(project.id)
    assert (ended.challenger, model.run, model.blob) == (1, run.number, new_model.blob)
    assert (entry.run, entry.to_version, entry.from_version, entry.epoch) == (run.number, 1, None, 1)
    assert (changed.champion, changed.previous, changed.epoch) == (1, None, 1)
    assert ledger.looks(project.id, "holdout") == 1
    assert (event.type, event.data, event.project_id) == (
        "incumbent.champion.changed",
        {"version": 1},
        project.id,
    )


def test_a_stale_epoch_rolls_the_whole_conclusion_back(
    runs: Runs, project: Project, ledger: Ledger, models: Models, new_model: NewModel
) -> None:
    run = start(runs, project.id)
    rival = models.register(project.id, new_model, at=NOW)
    ledger.promote(project.id, rival.version, _promotion(), at=NOW)

    def conclude(epoch: int) -> Run:
        return runs.conclude(
            run.id,
            run.fence,
            status=RunStatus.COMPLETED,
            verdict={"outcome": "promoted"},
            model=new_model,
            promotion=_promotion(epoch),
            judgement=("holdout", 1, 0.03),
            events=[("incumbent.champion.changed", {})],
            at=after(5),
        )

    with pytest.raises(StaleEpoch):
        conclude(0)
    assert runs.by_id(run.id) == run
    assert [model.version for model in models.list(project.id)] == [rival.version]
    assert ledger.looks(project.id, "holdout") == 0
    assert ledger.events() == ()
    assert conclude(1).challenger == 2


def test_several_models_are_one_transaction_and_the_promotion_names_one(
    runs: Runs, project: Project, ledger: Ledger, models: Models, new_model: NewModel
) -> None:
    run = start(runs, project.id)
    again = replace(new_model, details={"kind": "refit"}, links={"refit_of": 0})
    ended = runs.conclude(
        run.id,
        run.fence,
        status=RunStatus.COMPLETED,
        models=(new_model, again),
        promotion=_promotion(),
        promoted=1,
        at=NOW,
    )
    assert [model.version for model in models.list(project.id)] == [2, 1]
    assert models.get(project.id, 2).details == {"kind": "refit", "refit_of": 1}
    assert (ended.challenger, ledger.promotions(project.id)[0].to_version) == (1, 2)


def test_a_stale_epoch_leaves_none_of_several_models(
    runs: Runs, project: Project, models: Models, new_model: NewModel
) -> None:
    run = start(runs, project.id)
    with pytest.raises(StaleEpoch):
        runs.conclude(
            run.id,
            run.fence,
            status=RunStatus.COMPLETED,
            models=(new_model, new_model),
            promotion=_promotion(7),
            promoted=1,
            at=NOW,
        )
    assert models.list(project.id) == ()


def test_a_look_whose_alpha_is_spent_is_refused(runs: Runs, project: Project, ledger: Ledger) -> None:
    for look in (1, 2):
        run = start(runs, project.id)
        runs.conclude(
            run.id, run.fence, status=RunStatus.COMPLETED, judgement=("holdout", look, 0.01), at=NOW
        )
    run = start(runs, project.id)
    for look in (2, 4):
        with pytest.raises(Conflict) as refused:
            runs.conclude(
                run.id, run.fence, status=RunStatus.COMPLETED, judgement=("holdout", look, 0.01), at=NOW
            )
        assert refused.value.code == "look_taken"
    assert ledger.looks(project.id, "holdout") == 2
    assert ledger.looks(project.id, "another") == 0


def test_a_conclusion_that_makes_no_sense_is_refused(
    runs: Runs, project: Project, new_model: NewModel
) -> None:
    run = start(runs, project.id)
    with pytest.raises(ValueError, match="running"):
        runs.conclude(run.id, run.fence, status=RunStatus.RUNNING, at=NOW)
    with pytest.raises(ValueError, match="no model"):
        runs.conclude(run.id, run.fence, status=RunStatus.COMPLETED, promotion=_promotion(), at=NOW)
    with pytest.raises(ValueError, match="no model"):
        runs.conclude(
            run.id,
            run.fence,
            status=RunStatus.COMPLETED,
            model=new_model,
            promotion=_promotion(),
            promoted=1,
            at=NOW,
        )
    with pytest.raises(ValueError, match="not both"):
        runs.conclude(
            run.id, run.fence, status=RunStatus.COMPLETED, model=new_model, models=(new_model,), at=NOW
        )
    assert runs.by_id(run.id) == run


def test_a_model_without_its_bytes_is_not_registered(
    models: Models, project: Project, new_model: NewModel, db: Database
) -> None:
    missing = BlobRef(digest="f" * 64, size=1, signature="b" * 64)
    other = stored_blob(db, "c")
    for blob, golden in ((missing, new_model.blob), (new_model.blob, missing)):
        new = NewModel(
            blob=blob,
            engine="tpot",
            estimator="x",
            config={},
            dataset_version=1,
            details={},
            attachments={"golden": golden, "reference": other},
        )
        with pytest.raises(NotFound, match="blob"):
            models.register(project.id, new, at=NOW)
    assert models.list(project.id) == ()


def test_model_versions_have_no_gaps_under_concurrency(
    models: Models, project: Project, new_model: NewModel
) -> None:
    at_once(lambda n: models.register(project.id, new_model, run=n, at=NOW))
    assert [model.version for model in models.list(project.id)] == list(range(8, 0, -1))
    model = models.get(project.id, 3)
    assert (model.blob, dict(model.attachments)) == (new_model.blob, new_model.attachments)
    assert (model.config, model.details) == (new_model.config, new_model.details)
    with pytest.raises(NotFound):
        models.get(project.id, 9)


def test_runs_are_listed_newest_first_in_pages(runs: Runs, project: Project) -> None:
    for _ in range(5):
        runs.request_cancel(enqueue(runs, project.id).id, at=NOW)
    assert [run.number for run in runs.list(project.id, limit=2)] == [5, 4]
    assert [run.number for run in runs.list(project.id, limit=2, before=4)] == [3, 2]
    assert runs.list(project.id + 1) == ()
    assert runs.last_completed(project.id) is None
    with pytest.raises(NotFound):
        runs.get(project.id, 6)


def test_spent_seconds_count_what_ran_after_a_moment(runs: Runs, project: Project) -> None:
    assert runs.spent_seconds(project.id, NOW) == 0
    first = start(runs, project.id)
    runs.conclude(first.id, first.fence, status=RunStatus.COMPLETED, at=after(100))
    enqueue(runs, project.id)
    assert runs.spent_seconds(project.id, NOW) == 100
    assert runs.spent_seconds(project.id, after(60)) == 40
    assert runs.spent_seconds(project.id, after(100)) == 0
    second = runs.claim("worker", lease_seconds=30, at=after(200))
    assert second is not None
    runs.heartbeat(second.id, second.fence, lease_seconds=30, at=after(215))
    assert runs.spent_seconds(project.id, after(60)) == 55
