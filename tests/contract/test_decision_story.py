"""kill -9 between any two writes of a decision leaves ledgers that read as one story.

The life of a decision against a small model of it: each step is done by the service's own code on a real registry
and may be cut short before any of its writes. What is then found must be what was there before the step, or after
one of the transactions it consists of; and the ledgers must never contradict each other.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from decision_house import BEGAN, LABELLED, LEASE, NAME, UNLABELLED, WATCH, House, Play, Ticking, furnish
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from mortal_writes import Crash, Doom, told
from one_story import Story, read_story

from registry.records import RunStatus

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Tale:
    """The story in short: what the model predicts."""

    runs: tuple[tuple[str, str | None, int], ...] = ()
    """Status, outcome, attempt."""
    promotions: tuple[tuple[str, int | None, int, int | None], ...] = ()
    """Kind, from, to, run."""
    probations: tuple[tuple[int, str], ...] = ()
    """Epoch, status."""
    models: int = 0
    pseudo_batches: int = 0
    revocations: int = 0
    truths: int = LABELLED

    @classmethod
    def of(cls, story: Story, house: House) -> Tale:
        return cls(
            runs=tuple(
                (run.status.value, (run.verdict or {}).get("outcome"), run.attempt) for run in story.runs
            ),
            promotions=tuple(
                (entry.kind.value, entry.from_version, entry.to_version, entry.run)
                for entry in story.promotions
            ),
            probations=tuple((one.epoch, one.status.value) for one in story.probations),
            models=len(story.models),
            pseudo_batches=len(story.pseudo_batches),
            revocations=len(house.registry.labels.revocations(story.project.id)),
            truths=house.registry.datasets.facts(story.project.id).truths,
        )

    @property
    def champion(self) -> int | None:
        return self.promotions[-1][2] if self.promotions else None

    @property
    def previous(self) -> int | None:
        return self.promotions[-1][1] if self.promotions else None

    @property
    def epoch(self) -> int:
        return len(self.promotions)

    @property
    def last_run(self) -> str | None:
        return self.runs[-1][0] if self.runs else None

    @property
    def watched(self) -> bool:
        """Whether the present champion is on probation."""
        return (self.epoch, "open") in self.probations

    def queued(self, attempt: int = 1) -> Tale:
        return replace(self, runs=(*self.runs, ("queued", None, attempt)))

    def with_run(self, status: str, outcome: str | None = None) -> Tale:
        return replace(self, runs=(*self.runs[:-1], (status, outcome, self.runs[-1][2])))

    def crowned(self, kind: str, version: int, run: int | None) -> Tale:
        return replace(self, promotions=(*self.promotions, (kind, self.champion, version, run)))

    def with_probation(self, status: str) -> Tale:
        return replace(self, probations=(*self.probations[:-1], (self.probations[-1][0], status)))


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("furnished") / "home"
    furnish(home)
    return home


class Life(RuleBasedStateMachine):
    """The steps of a decision's life. Each draws before which of its writes the process dies, if it does."""

    template: Path
    deaths = st.none() | st.integers(0, 45)

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="story"))
        self.home = self.folder / "home"
        shutil.copytree(self.template, self.home)
        self.clock = Ticking()
        self.clock.now = BEGAN + timedelta(minutes=1)
        self.policy: dict[str, Any] = {}
        self.tale = Tale()
        self.lost = False
        self.told = 0
        self.doom = Doom()
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
            allowed = [self.tale, *after]
        if self.doom.dead:
            self.shut()
            self.clock.now += timedelta(minutes=2)
            self.open()
            allowed = [self.tale, *after]
        found = Tale.of(read_story(self.house.registry, NAME), self.house)
        assert found in allowed, f"found {found}, expected one of {allowed}"
        if found.last_run != "running":
            self.lost = False
        self.tale = found

    # Runs

    @precondition(lambda self: self.tale.last_run not in ("queued", "running"))
    @rule(death=deaths)
    def ask(self, death: int | None) -> None:
        self.step(self.house.ask_for_run, death, [self.tale.queued()])

    @precondition(lambda self: self.tale.last_run == "queued")
    @rule(
        outcome=st.sampled_from(["promoted", "promoted", "promoted", "rejected", "inconclusive"]),
        refit=st.sampled_from(["passes", "fails", "dies"]),
        search=st.sampled_from([True, True, True, False]),
        meanwhile=st.sampled_from(["", "", "", "promote", "roll back", "cancel"]),
        death=deaths,
    )
    def work(self, outcome: str, refit: str, search: bool, meanwhile: str, death: int | None) -> None:
        others = [version for version in range(1, self.tale.models + 1) if version != self.tale.champion]
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
        taught = self.policy.get("pseudo_labels") is not None and self.tale.champion is not None
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
        if taught:
            changed = replace(changed, pseudo_batches=changed.pseudo_batches + 1)
            steps.append(changed)
        wins = outcome == "promoted" and self.policy.get("promote_mode") != "manual"
        passed = outcome == "promoted" and bool(self.policy.get("refit"))
        made = 2 if passed and refit == "passes" and (wins or REFITS_WAITING) else 1
        ended = replace(changed, models=changed.models + made)
        if wins and not meanwhile:
            ended = ended.with_run("completed", "promoted").crowned("promotion", ended.models, number)
        elif wins:
            ended = ended.with_run("completed", "inconclusive")
        else:
            ended = ended.with_run("completed", "awaiting_approval" if outcome == "promoted" else outcome)
        self.step(lambda: self.house.work(play), death, [*steps, ended])

    def maker_of(self, version: int) -> int | None:
        return self.house.registry.models.get(self.house.project.id, version).run

    @precondition(lambda self: self.tale.last_run == "queued")
    @rule(death=deaths)
    def cancel(self, death: int | None) -> None:
        self.step(self.house.cancel, death, [self.tale.with_run("cancelled")])

    @rule(
        promote_mode=st.sampled_from(["managed", "managed", "manual"]),
        refit=st.booleans(),
        taught=st.booleans(),
    )
    def change_policy(self, promote_mode: str, refit: bool, taught: bool) -> None:
        self.policy = {"promote_mode": promote_mode, "refit": refit}
        if taught:
            self.policy["pseudo_labels"] = {"mode": "judged"}
        self.house.set_policy(**self.policy)

    # Time

    @rule(
        pause=st.sampled_from([timedelta(seconds=20), LEASE + timedelta(hours=1), WATCH]),
        death=deaths,
    )
    def tick(self, pause: timedelta, death: int | None) -> None:
        self.clock.now += pause
        self.lost = self.lost or (pause > LEASE and self.tale.last_run == "running")
        steps = [self.tale]
        if self.lost:
            steps.append(steps[-1].with_run("failed"))
        steps += self._probation_steps(steps[-1])
        attempt = self._due(steps[-1])
        if attempt:
            steps.append(steps[-1].queued(attempt))
        self.step(self.house.scheduler.tick, death, steps)

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
    @rule(death=deaths)
    def live_failures(self, death: int | None) -> None:
        self.house.fail_calls()
        old = self.tale.previous
        assert old is not None
        deposed = self.tale.with_probation("rolled_back").crowned("rollback", old, None)
        project = self.house.project.id
        self.step(lambda: self.house.watch.evaluate(project), death, [deposed])

    # People

    @precondition(lambda self: self.tale.models > 1)
    @rule(data=st.data(), death=deaths)
    def promote(self, data: st.DataObject, death: int | None) -> None:
        others = [version for version in range(1, self.tale.models + 1) if version != self.tale.champion]
        version = data.draw(st.sampled_from(others))
        after = self.tale.crowned("manual", version, self.maker_of(version))
        self.step(lambda: self.house.promote(version), death, [after])

    @precondition(lambda self: self.tale.previous is not None)
    @rule(death=deaths)
    def roll_back(self, death: int | None) -> None:
        assert self.tale.previous is not None
        after = self.tale.crowned("rollback", self.tale.previous, None)
        self.step(self.house.roll_back, death, [after])

    @precondition(lambda self: self.told + 3 <= UNLABELLED)
    @rule(death=deaths)
    def label(self, death: int | None) -> None:
        places = [LABELLED + self.told + place for place in range(3)]
        self.told += 3
        after = replace(self.tale, truths=self.tale.truths + 3)
        self.step(lambda: self.house.tell_labels(places), death, [after])

    @precondition(lambda self: self.tale.truths > LABELLED)
    @rule(death=deaths)
    def revoke_feedback(self, death: int | None) -> None:
        after = replace(self.tale, truths=LABELLED, revocations=self.tale.revocations + 1)
        self.step(lambda: self.house.revoke(source="feedback"), death, [after])

    @rule()
    def restart(self) -> None:
        """A crash between two steps."""
        self.doom.dead = True
        self.step(lambda: None, None, [self.tale])

    @invariant()
    def the_version_of_the_data_verifies(self) -> None:
        latest = self.house.registry.datasets.latest(self.house.project.id)
        assert latest is not None


REFITS_WAITING = False


def test_a_decision_killed_anywhere_reads_as_one_story(furnished: Path) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    class OfHome(Life):
        template = furnished

    run_state_machine_as_test(
        OfHome,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
