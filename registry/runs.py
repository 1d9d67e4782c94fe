"""Runs: the queue of turns from trigger to verdict, and what is known of each.

A run is open → conclude: two short transactions with none held in between. Whoever claims a run gets a
fence; every later write names it and is refused once the run has ended or belongs to someone else.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select

from registry import tables as t
from registry.approval_records import NewApproval
from registry.approvals import ask_locked
from registry.database import Database, insert_into, lock_project
from registry.decisions import NewDecision
from registry.errors import Conflict
from registry.leases import DueMove, move_due
from registry.ledger import append_decision, append_events, append_judgement, promote_locked
from registry.models import insert_models
from registry.records import Json, NewModel, NewPromotion, Run, RunStatus, TrialRecord
from registry.run_rows import NEVER_BEGAN, Told, change_run, one_run, require_held, run_record, silent

_ACTIVE = (RunStatus.QUEUED, RunStatus.RUNNING)
_ENDED = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED)
_OF_TRIAL = ("number", "engine", "estimator", "score", "seconds", "config", "error", "at")


class Runs:
    """Runs by id, and by number within their project. At most one run of a project is active."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def enqueue(
        self,
        project_id: int,
        *,
        trigger: Json,
        reason: str,
        plan: Json,
        dataset_version: int,
        seed: int,
        attempt: int = 1,
        decision: NewDecision | None = None,
        due: DueMove | None = None,
        tell: Told = silent,
        at: datetime,
    ) -> Run:
        """Queue the project's next run, with the ``decision`` to start it, which its trigger then names, the due time
        that it uses up, and the events that ``tell`` has for it; all of it or nothing.

        Raises Conflict (``run_active``; ``due_moved``: another run used it up), NotFound.
        """
        with self._db.write() as connection:
            lock_project(connection, project_id)
            mine = t.runs.c.project_id == project_id
            active = select(t.runs.c.number).where(mine, t.runs.c.status.in_(_ACTIVE))
            number = connection.execute(active).scalar()
            if number is not None:
                raise Conflict(f"run {number} is still active; one at a time a project", code="run_active")
            if due is not None and not move_due(connection, project_id, due):
                raise Conflict(f"the due time of {due.trigger} was used up meanwhile", code="due_moved")
            newest = connection.execute(select(func.max(t.runs.c.number)).where(mine)).scalar()
            number = (newest or 0) + 1
            if decision is not None:
                kept = append_decision(connection, project_id, decision, run=number, at=at)
                trigger = {**trigger, "decision": kept.number}
            row = t.runs.insert().values(
                project_id=project_id,
                number=number,
                status=RunStatus.QUEUED,
                trigger=trigger,
                reason=reason,
                plan=plan,
                dataset_version=dataset_version,
                seed=seed,
                attempt=attempt,
                created_at=at,
            )
            queued = run_record(connection.execute(row.returning(t.runs)).mappings().one())
            append_events(connection, project_id, tell(queued), at=at)
            return queued

    def claim(self, owner: str, *, lease_seconds: float, at: datetime) -> Run | None:
        """Start the oldest queued run of any project as its ``owner``; None when none is queued."""
        with self._db.write() as connection:
            oldest = (
                select(t.runs.c.id)
                .where(t.runs.c.status == RunStatus.QUEUED)
                .order_by(t.runs.c.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            run_id = connection.execute(oldest).scalar()
            if run_id is None:
                return None
            return change_run(
                connection,
                run_id,
                status=RunStatus.RUNNING,
                owner=owner,
                fence=t.runs.c.fence + 1,
                started_at=at,
                heartbeat_at=at,
                expires_at=at + timedelta(seconds=lease_seconds),
            )

    def heartbeat(self, run_id: int, fence: int, *, lease_seconds: float, at: datetime) -> Run:
        """Keep the run for another ``lease_seconds``. The run that comes back says whether it was asked to
        stop (``cancel_requested``). Raises StaleFence."""
        with self._db.write() as connection:
            require_held(connection, run_id, fence)
            over = at + timedelta(seconds=lease_seconds)
            return change_run(connection, run_id, heartbeat_at=at, expires_at=over)

    def describe(
        self,
        run_id: int,
        fence: int,
        *,
        snapshot: Json | None = None,
        engines: Json | None = None,
        at: datetime,
    ) -> Run:
        """Keep what became known while it runs; what isn't given stays. Raises StaleFence."""
        given = {"snapshot": snapshot, "engines": engines}
        values = {name: value for name, value in given.items() if value is not None}
        with self._db.write() as connection:
            require_held(connection, run_id, fence)
            return change_run(connection, run_id, heartbeat_at=at, **values)

    def add_trials(self, run_id: int, fence: int, trials: Sequence[TrialRecord]) -> None:
        """Keep trials; those whose number is kept already are left as they are, so that the call can be
        repeated. Raises StaleFence."""
        rows = [{"run_id": run_id, **{name: getattr(trial, name) for name in _OF_TRIAL}} for trial in trials]
        with self._db.write() as connection:
            require_held(connection, run_id, fence)
            if rows:
                connection.execute(insert_into(connection, t.trials).on_conflict_do_nothing(), rows)

    def trials(self, run_id: int, after: int = 0) -> tuple[TrialRecord, ...]:
        """The run's trials with a number above ``after``, in order."""
        query = (
            select(*(t.trials.c[name] for name in _OF_TRIAL))
            .where(t.trials.c.run_id == run_id, t.trials.c.number > after)
            .order_by(t.trials.c.number)
        )
        with self._db.read() as connection:
            return tuple(TrialRecord(**row) for row in connection.execute(query).mappings())

    def conclude(
        self,
        run_id: int,
        fence: int,
        *,
        status: RunStatus,
        verdict: Json | None = None,
        error: str | None = None,
        model: NewModel | None = None,
        models: Sequence[NewModel] = (),
        promotion: NewPromotion | None = None,
        promoted: int = 0,
        approval: NewApproval | None = None,
        judgement: tuple[str, int, float] | None = None,
        events: Sequence[tuple[str, Json]] = (),
        at: datetime,
    ) -> Run:
        """End the run: its status and verdict, its models (``run.challenger`` is the version given to the
        first), the promotion of the one at position ``promoted`` or the ``approval`` to be asked, the look at the holdout
        ``(holdout_epoch, look, alpha_spent)``, the events; all of it or nothing. ``model`` is short for one.

        Raises StaleFence, StaleEpoch (the promotion, the approval), Conflict (``look_taken``), NotFound (project, blob),
        ValueError (a status that doesn't end a run, a promotion without a model, ``model`` and ``models``).
        """
        if status not in _ENDED:
            raise ValueError(f"{status} does not end a run")
        if model is not None and models:
            raise ValueError("either model or models, not both")
        made = tuple(models) if model is None else (model,)
        if (promotion or approval) is not None and not 0 <= promoted < len(made):
            raise ValueError("there is no model to promote")
        with self._db.write() as connection:
            run = one_run(connection, t.runs.c.id == run_id)
            project_id, number = run.project_id, run.number
            if made or judgement is not None:
                lock_project(connection, project_id)  # before the run: everyone locks in this order
            require_held(connection, run_id, fence)
            versions = insert_models(connection, project_id, made, run=number, at=at)
            if promotion is not None:
                promote_locked(connection, project_id, versions[promoted], promotion, run=number, at=at)
            if approval is not None:
                asked = {"judged": versions[0], "version": versions[promoted], "run": number}
                ask_locked(connection, project_id, approval, **asked, at=at)
            if judgement is not None:
                append_judgement(connection, project_id, judgement, run=number, at=at)
            ended = change_run(
                connection,
                run_id,
                status=status,
                verdict=verdict,
                error=error,
                challenger=versions[0] if versions else None,
                finished_at=at,
                expires_at=None,
            )
            append_events(connection, project_id, events, at=at)
            return ended

    def request_cancel(self, run_id: int, *, tell: Told = silent, at: datetime) -> Run:
        """Ask the run to stop: a queued one is cancelled at once, with the events that ``tell`` has for it; a
        running one learns it from its next heartbeat, one that has ended stays as it is. Raises NotFound."""
        with self._db.write() as connection:
            run = one_run(connection, t.runs.c.id == run_id, lock=True)
            if run.status is RunStatus.QUEUED:
                ended = change_run(
                    connection,
                    run_id,
                    status=RunStatus.CANCELLED,
                    error=NEVER_BEGAN,
                    cancel_requested=True,
                    finished_at=at,
                )
                append_events(connection, run.project_id, tell(ended), at=at)
                return ended
            if run.status is RunStatus.RUNNING:
                return change_run(connection, run_id, cancel_requested=True)
            return run

    def expire(self, *, tell: Told = silent, at: datetime) -> tuple[Run, ...]:
        """Fail the running runs whose lease is over, with the events that ``tell`` has for each, and return them:
        each once, to one caller."""
        lost = (
            t.runs.update()
            .where(t.runs.c.status == RunStatus.RUNNING, t.runs.c.expires_at <= at)
            .values(
                status=RunStatus.FAILED,
                error="interrupted: the process that ran it stopped reporting",
                finished_at=at,
                expires_at=None,
            )
        )
        with self._db.write() as connection:
            rows = connection.execute(lost.returning(t.runs)).mappings().all()
            ended = tuple(sorted(map(run_record, rows), key=lambda run: run.id))
            for run in ended:
                append_events(connection, run.project_id, tell(run), at=at)
            return ended

    def get(self, project_id: int, number: int) -> Run:
        """The project's run of that number. Raises NotFound."""
        with self._db.read() as connection:
            return one_run(connection, t.runs.c.project_id == project_id, t.runs.c.number == number)

    def by_id(self, run_id: int) -> Run:
        """The run with that id. Raises NotFound."""
        with self._db.read() as connection:
            return one_run(connection, t.runs.c.id == run_id)

    def list(self, project_id: int, limit: int = 50, before: int | None = None) -> tuple[Run, ...]:
        """The project's newest runs (with a number below ``before``), newest first."""
        query = select(t.runs).where(t.runs.c.project_id == project_id).order_by(t.runs.c.number.desc())
        if before is not None:
            query = query.where(t.runs.c.number < before)
        with self._db.read() as connection:
            return tuple(run_record(row) for row in connection.execute(query.limit(limit)).mappings())

    def active(self, project_id: int) -> Run | None:
        """The project's queued or running run."""
        return self._newest(project_id, _ACTIVE)

    def last_completed(self, project_id: int) -> Run | None:
        """The project's newest run that came to a verdict."""
        return self._newest(project_id, (RunStatus.COMPLETED,))

    def spent_seconds(self, project_id: int, since: datetime) -> float:
        """Seconds that the project's runs have run after ``since`` (wall clock; a run that still runs counts
        up to its last sign of life)."""
        ended = func.coalesce(t.runs.c.finished_at, t.runs.c.heartbeat_at, type_=t.Utc())
        query = select(t.runs.c.started_at, ended).where(
            t.runs.c.project_id == project_id, t.runs.c.started_at.is_not(None), ended > since
        )
        with self._db.read() as connection:
            spans = connection.execute(query).all()
        return float(sum((end - max(start, since)).total_seconds() for start, end in spans))

    def _newest(self, project_id: int, statuses: tuple[RunStatus, ...]) -> Run | None:
        query = (
            select(t.runs)
            .where(t.runs.c.project_id == project_id, t.runs.c.status.in_(statuses))
            .order_by(t.runs.c.number.desc())
            .limit(1)
        )
        with self._db.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else run_record(row)
