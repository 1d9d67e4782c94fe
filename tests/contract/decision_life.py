"""The life of a decision against a small model of it: each step is done by the service's own code on a real registry
and may be cut short before any of its writes. What is then found must be what was there before the step, or after
one of the transactions it consists of; and the ledgers must never contradict each other.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from decision_house import BEGAN, LABELLED, LEASE, NAME, UNLABELLED, WATCH, House, Play, Ticking, scratch
from decision_tale import Tale
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)
from mortal_writes import Crash, Doom, told
from one_story import read_story

from registry.records import RunStatus


def deaths(writes: int) -> st.SearchStrategy[int | None]:
    """Before which write the process dies; mostly at none, else little would ever come about."""
    return st.none() | st.none() | st.integers(0, writes)


class Life(RuleBasedStateMachine):
    """The steps of a decision's life. Each draws before which of its writes the process dies, if it does."""

    template: Path
    """A home to copy."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = scratch()
        self.home = self.folder / "home"
        shutil.copytree(self.template, self.home)
        self.clock = Ticking()
        self.clock.now = BEGAN + timedelta(minutes=1)
        self.tale = Tale()
        self.lost = False
        self.told = 0
        self.doom = Doom()
        self.died = False
        self.open()

    def open(self) -> None:
        self.house = House(self.home, self.clock)
        self.doom.dead = False
        self.ears = told(self.house.registry, self.doom, self.doom.tidying)
        self.ears.__enter__()

    def shut(self) -> None:
        self.ears.__exit__(None, None, None)
        self.house.close()

    def teardown(self) -> None:
        self.shut()
        shutil.rmtree(self.folder)

    def step(self, act: Callable[[], None], death: int | None, after: Sequence[Tale]) -> None:
        """Do it; ``after`` are the tales after each of its transactions, the last one when it is done."""
        try:
            with self.doom.after(death):
                act()
            allowed = after[-1:]
        except Crash:
            pass
        self.died = self.doom.dead
        if self.died:
            self.shut()
            self.clock.now += timedelta(minutes=2)
            self.open()
            allowed = [self.tale, *after]
        found = Tale.of(read_story(self.house.registry, NAME), self.house)
        assert found in allowed, f"found {found}, expected one of {allowed}"
        if found.last_run != "running":
            self.lost = False
        self.tale = found

    @initialize(champions=st.integers(0, 2))
    def begin(self, champions: int) -> None:
        """Most of life is with a champion."""
        for _ in range(champions):
            self.ask(cancelled=False, death=None)
            self.work(outcome="promoted", refit="passes", search=True, meanwhile="", late=False, death=None)

    # Runs

    @precondition(lambda self: self.tale.last_run not in ("queued", "running"))
    @rule(cancelled=st.sampled_from([False, False, False, True]), death=deaths(6))
    def ask(self, cancelled: bool, death: int | None) -> None:
        self.step(self.house.ask_for_run, death, [self.tale.queued()])
        if cancelled and self.tale.last_run == "queued":
            self.step(self.house.cancel, death, [self.tale.with_run("cancelled")])

    @precondition(lambda self: self.tale.last_run != "running")
    @rule(
        outcome=st.sampled_from(["promoted", "promoted", "promoted", "rejected", "inconclusive", "broken"]),
        refit=st.sampled_from(["passes", "fails", "dies"]),
        search=st.sampled_from([True, True, True, False]),
        meanwhile=st.sampled_from(["", "", "promote", "roll back", "cancel"]),
        late=st.booleans(),
        death=st.none() | st.integers(0, 9) | st.integers(0, 50),
    )
    def work(
        self, outcome: str, refit: str, search: bool, meanwhile: str, late: bool, death: int | None
    ) -> None:
        """A run's whole turn. A ``late`` death counts from where the run is concluded: most writes come before."""
        if self.tale.last_run != "queued":
            self.step(self.house.ask_for_run, None, [self.tale.queued()])
        others = [version for version in range(1, self.tale.models + 1) if version != self.tale.champion]
        if late and death is not None:
            self.house.concluding = self.doom.waits()
        acts: dict[str, Callable[[], None]] = {"cancel": self.house.cancel}
        if others:
            acts["promote"] = lambda: self.house.promote(others[-1])
        if self.tale.previous is not None:
            acts["roll back"] = self.house.roll_back
        meanwhile = meanwhile if search and meanwhile in acts else ""
        play = Play(outcome=outcome, refit=refit, search=search, meanwhile=acts.get(meanwhile))
        running = self.tale.with_run("running")
        steps = [running]
        if not search:
            self.step(lambda: self.house.work(play), death, [running, running.with_run("failed")])
            return
        number = len(running.runs)
        changed = running
        queued = self.house.registry.runs.active(self.house.project.id)
        assert queued is not None
        policy = queued.plan["policy"]  # that of the moment in which it was queued
        taught = policy["pseudo_labels"]["mode"] == "judged" and self.tale.champion is not None
        if meanwhile == "cancel":
            steps.append(running.with_run("cancelled"))
            self.step(lambda: self.house.work(play), death, steps)
            return
        if meanwhile == "promote":
            changed = running.crowned("manual", others[-1], self.maker_of(others[-1]))
        elif meanwhile == "roll back":
            assert self.tale.previous is not None
            changed = running.crowned("rollback", self.tale.previous, None)
        steps.append(changed)
        if outcome == "broken":
            self.step(lambda: self.house.work(play), death, [*steps, changed.with_run("failed")])
            return
        if taught:
            changed = replace(changed, pseudo_batches=changed.pseudo_batches + 1)
            steps.append(changed)
        asks = policy["promote_mode"] == "manual"
        passed = outcome == "promoted" and policy["refit"]
        made = 2 if passed and refit == "passes" else 1
        ended = replace(changed, models=changed.models + made)
        if outcome != "promoted":
            ended = ended.with_run("completed", outcome)
        elif meanwhile:
            ended = ended.with_run("completed", "inconclusive")
        elif asks:
            ended = ended.with_run("completed", "awaiting_approval").asked(running.epoch)
        else:
            ended = ended.with_run("completed", "promoted").crowned("promotion", ended.models, number)
        self.step(lambda: self.house.work(play), death, [*steps, ended])

    def maker_of(self, version: int) -> int | None:
        return self.house.registry.models.get(self.house.project.id, version).run

    @rule(
        promote_mode=st.sampled_from(["managed", "managed", "manual"]),
        refit=st.booleans(),
        taught=st.booleans(),
    )
    def change_policy(self, promote_mode: str, refit: bool, taught: bool) -> None:
        mode = "judged" if taught else "off"
        self.house.set_policy(promote_mode=promote_mode, refit=refit, pseudo_labels={"mode": mode})

    # Time

    @rule(death=deaths(20))
    def tick(self, death: int | None) -> None:
        self.pass_time(timedelta(seconds=20), death)

    @rule(
        pause=st.sampled_from([LEASE + timedelta(hours=1), WATCH]), restarts=st.booleans(), death=deaths(20)
    )
    def later(self, pause: timedelta, restarts: bool, death: int | None) -> None:
        if restarts:  # a crash between two steps
            self.doom.dead = True
            self.step(lambda: None, None, [self.tale])
        self.pass_time(pause, death)

    def pass_time(self, pause: timedelta, death: int | None) -> None:
        """The scheduler looks at everything, so much later."""
        self.clock.now += pause
        self.lost = self.lost or (pause > LEASE and self.tale.last_run == "running")
        steps = [self.tale]
        if self.lost:
            steps.append(steps[-1].with_run("failed"))
        steps += self._approval_steps(steps[-1])
        steps += self._probation_steps(steps[-1])
        attempt = self._due(steps[-1])
        if attempt:
            steps.append(steps[-1].queued(attempt))
        self.step(self.house.scheduler.tick, death, steps)

    def _approval_steps(self, tale: Tale) -> list[Tale]:
        """Those that are over are written down one by one, oldest first."""
        steps = [tale]
        kept = self.house.registry.approvals.list(self.house.project.id, 10_000)[::-1]
        for place, (epoch, _, status) in enumerate(tale.approvals):
            if status != "open":
                continue
            if epoch != tale.epoch:
                steps.append(steps[-1].with_approval(place, "stale"))
            elif kept[place].expires_at <= self.clock.now:
                steps.append(steps[-1].with_approval(place, "expired"))
        return steps[1:]

    def _probation_steps(self, tale: Tale) -> list[Tale]:
        steps = [tale]
        if tale.probations and tale.probations[-1][1] == "open" and not tale.watched:
            steps.append(steps[-1].with_probation("expired"))
        now = self.clock.now
        promotions = self.house.registry.ledger.promotions(self.house.project.id, 1)
        begun = any(epoch == tale.epoch for epoch, _ in tale.probations)
        if promotions and not begun and tale.previous is not None:
            newest = promotions[0]
            if newest.kind.value != "rollback" and now < newest.at + WATCH:
                epoch = (tale.epoch, "open")
                steps.append(replace(steps[-1], probations=(*steps[-1].probations, epoch)))
        watched = self.house.registry.probations.current(self.house.project.id)
        if tale.watched and watched is not None and now >= watched.ends_at:
            steps.append(steps[-1].with_probation("confirmed"))
        return steps[1:]

    def _due(self, tale: Tale) -> int:
        """The attempt of the run that a tick starts, 0 for none."""
        if tale.last_run in ("queued", "running"):
            return 0
        project, registry = self.house.project, self.house.registry
        runs = registry.runs.list(project.id, 10_000)
        interrupted = self.lost or (
            bool(runs) and runs[0].status is RunStatus.FAILED and (runs[0].error or "").startswith("interr")
        )
        if interrupted and tale.runs[-1][2] == 1:
            return 2
        counted = [
            run
            for run in runs
            if not ((run.error or "").startswith("interr") and run.attempt == 1)
            and not (self.lost and run.status is RunStatus.RUNNING and run.attempt == 1)
        ]
        if tale.champion is None and not counted:
            return 1
        due_at = registry.due.get(project.id, "schedule")
        before = min(counted[0].plan["truths"], tale.truths) if counted else 0
        fresh = tale.truths - before
        return int(due_at is not None and due_at <= self.clock.now and fresh >= 2)

    @precondition(lambda self: self.tale.watched)
    @rule(death=deaths(10))
    def live_failures(self, death: int | None) -> None:
        self.house.fail_calls()
        old = self.tale.previous
        assert old is not None
        deposed = self.tale.with_probation("rolled_back").crowned("rollback", old, None)
        project = self.house.project.id
        self.step(lambda: self.house.watch.evaluate(project), death, [deposed])

    # People

    @precondition(lambda self: self.tale.models > 1)
    @rule(data=st.data(), back=st.booleans(), death=deaths(10))
    def change_champion(self, data: st.DataObject, back: bool, death: int | None) -> None:
        tale = self.tale
        if back and tale.previous is not None:
            self.step(self.house.roll_back, death, [tale.crowned("rollback", tale.previous, None)])
            return
        others = [version for version in range(1, tale.models + 1) if version != tale.champion]
        version = data.draw(st.sampled_from(others))
        after = tale.crowned("manual", version, self.maker_of(version))
        number = self.house.approval_of(version)
        if number is not None:  # promoting what waits is approving it
            after = after.with_approval(number - 1, "approved")
        self.step(lambda: self.house.promote(version), death, [after])

    @precondition(lambda self: self.tale.waiting)
    @rule(data=st.data(), approved=st.booleans(), as_judged=st.booleans(), death=deaths(10))
    def answer(self, data: st.DataObject, approved: bool, as_judged: bool, death: int | None) -> None:
        tale = self.tale
        place = data.draw(st.sampled_from(tale.waiting))
        asked = self.house.registry.approvals.get(self.house.project.id, place + 1)
        if asked.expires_at <= self.clock.now + timedelta(minutes=1):
            return
        if not approved:
            after = tale.with_approval(place, "refused")
            self.step(lambda: self.house.refuse(place + 1), death, [after])
            return
        version = asked.judged if as_judged else asked.version
        after = tale.with_approval(place, "approved").crowned("manual", version, asked.run)
        self.step(lambda: self.house.approve(place + 1, version), death, [after])

    @precondition(lambda self: self.told + 3 <= UNLABELLED)
    @rule(revoked=st.booleans(), death=deaths(20))
    def label(self, revoked: bool, death: int | None) -> None:
        places = [LABELLED + self.told + place for place in range(3)]
        self.told += 3
        after = replace(self.tale, truths=self.tale.truths + 3)
        self.step(lambda: self.house.tell_labels(places), None if revoked else death, [after])
        if revoked:
            after = replace(self.tale, truths=LABELLED, revocations=self.tale.revocations + 1)
            self.step(lambda: self.house.revoke(source="feedback"), death, [after])
