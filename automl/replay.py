"""Policy replay: what one policy would have done over a stream of rows, in order of time.

Pure simulation. The clock is the stream's, what has arrived and what is known is :class:`automl.timeline.Look`'s,
the policy is a function that sees only that, learning and answering are the caller's :class:`Hands`. A policy
never trains or judges on a row whose truth has not come by then, and the champion that answers a row was
promoted before the row arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from automl.decay import decay
from automl.errors import AutoMLError
from automl.judge import Scored, judge, naive_baseline, spent_alpha
from automl.metrics import metric
from automl.play_state import Play, Reign, RunNote
from automl.snapshot import HoldoutRule, Mark, Positions, split
from automl.task import Task
from automl.timeline import Look
from automl.verdict import Outcome, Rules, Verdict

Rows = npt.NDArray[np.intp]
FIRST = "first_champion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """A trained model by its name; ``seconds`` of processor time that learning it took."""

    model: str
    seconds: float


class Hands(Protocol):
    """What a simulation needs done. Rows are positions in the stream."""

    def learn(self, train: Rows) -> Learnt: ...
    def refit(self, model: str, rows: Rows) -> Learnt:
        """The same configuration trained on these rows: no search."""

    def answer(self, model: str, rows: Rows) -> npt.NDArray[np.float64]: ...
    def truth(self, rows: Rows) -> npt.NDArray[Any]: ...
    def groups(self, rows: Rows) -> npt.NDArray[Any] | None:
        """The entity of each row, or None where the task names none."""

    def shift(self, model: str, rows: Rows) -> dict[str, Any]:
        """How far rows moved from those the model was trained on: ``share``, ``drifted`` and ``columns``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecayRule:
    """Live quality is measured on the champion's newest ``window`` matured answers, ``min_rows`` at least."""

    window: int
    min_rows: int
    alpha: float
    max_drop: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """All that a policy sees at a look. ``decay`` and ``shift`` are reports that no run has answered yet, with the
    time ``at`` which they were made; ``runs`` are the policy's own."""

    look: Look
    champion: int | None
    matured_at_last_run: int | None
    runs: Sequence[RunNote]
    decay: dict[str, Any] | None
    shift: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """``start`` a run or not; ``kind`` is the trigger, or the guard that stood in the way."""

    start: bool
    kind: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """One policy at play.

    ``decide`` may keep what it needs in the dictionary it is given (JSON only). Without ``judged`` a later model
    is trained on every known row and takes over whatever it is worth. With ``refit`` a model that was promoted is
    trained once more, on the rows that judged it too. ``lookback`` is in nanoseconds.
    ``budget_seconds`` is what a run would be allowed in production: what a daily budget counts.
    """

    name: str
    decide: Callable[[Sight, dict[str, Any]], Choice]
    rules: Rules
    holdout: HoldoutRule
    judged: bool = True
    refit: bool = False
    lookback: int | None = None
    budget_seconds: float = 0.0
    decay: DecayRule | None = None
    shift_window: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Each row's answer and the version that gave it (0: none). Written as the play goes on."""

    predicted: npt.NDArray[np.float64]
    version: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where policies play: the same for all of them. ``warm_up`` windows pass before anything is learnt."""

    task: Task
    times: npt.NDArray[np.int64]
    looks: tuple[Look, ...]
    warm_up: int
    seed: int
    hands: Hands


def play(stage: Stage, player: Player, answers: Answers, state: Play, keep: Callable[[Play], None]) -> Play:
    """Play from where ``state`` stands to the end of the stream. ``keep`` gets the state after each window.

    The first champion is judged against the naive baseline at the end of the warm-up, for every player alike
    (and again after each window until one is proven); the policy's word counts from then on.
    """
    for look in stage.looks[state.look :]:
        _answer(stage, answers, state, look)
        if state.champion is None:
            if look.ends_window and look.window + 1 >= stage.warm_up and look.matured:
                _run(stage, player, state, look, FIRST, "no champion yet")
        else:
            _watch(stage, player, answers, state, look)
            choice = player.decide(_sight(state, look), state.memory)
            if choice.start:
                _run(stage, player, state, look, choice.kind, choice.reason)
            else:
                state.refusals[choice.kind] = state.refusals.get(choice.kind, 0) + 1
        state.look = look.number + 1
        if look.ends_window:
            keep(state)
    return state


def _answer(stage: Stage, answers: Answers, state: Play, look: Look) -> None:
    before = stage.looks[look.number - 1].arrived if look.number else 0
    rows = np.arange(before, look.arrived)
    if not len(rows):
        return
    answers.version[rows] = 0 if state.champion is None else state.champion.version
    if state.champion is not None:
        answers.predicted[rows] = stage.hands.answer(state.champion.model, rows)


def _sight(state: Play, look: Look) -> Sight:
    return Sight(
        look=look,
        champion=None if state.champion is None else state.champion.version,
        matured_at_last_run=state.matured_at_last_run,
        runs=state.runs,
        decay=state.decay,
        shift=state.shift,
    )


def _watch(stage: Stage, player: Player, answers: Answers, state: Play, look: Look) -> None:
    """Make the reports that are due: on live quality with half a window of new truth, on drift with a new one."""
    reign = state.champion
    assert reign is not None
    rule = player.decay
    fresh = look.matured - state.decay_seen
    if rule is not None and reign.score is not None and fresh >= max(rule.min_rows, rule.window // 2):
        state.decay_seen = look.matured
        rows = np.arange(max(reign.since, look.matured - rule.window), look.matured)
        if len(rows) >= rule.min_rows:
            state.decay = _live_quality(stage, rule, answers, reign, rows, look) or state.decay
    wanted = player.shift_window
    if wanted is not None and look.arrived - max(state.shift_seen, reign.since) >= wanted:
        state.shift_seen = look.arrived
        found = stage.hands.shift(reign.model, np.arange(look.arrived - wanted, look.arrived))
        state.shift = {**found, "at": look.at}


def _live_quality(
    stage: Stage, rule: DecayRule, answers: Answers, reign: Reign, rows: Rows, look: Look
) -> dict[str, Any] | None:
    assert reign.score is not None
    found = decay(
        stage.hands.truth(rows),
        np.asarray(answers.predicted[rows]),
        metric_name=stage.task.metric,
        reference=reign.score,
        reference_rows=reign.judged_on,
        alpha=rule.alpha,
        seed=stage.seed,
    )
    if found is None:
        return None
    return {**found.to_json(), "allowed": rule.max_drop * reign.unit, "at": look.at}


def _run(stage: Stage, player: Player, state: Play, look: Look, trigger: str, reason: str) -> None:
    """One turn: snapshot, search, judgement and perhaps a promotion, all at the moment of the look."""
    note = RunNote(
        at=look.at, look=look.number, window=look.window, row=look.arrived, trigger=trigger, reason=reason
    )
    judged = player.judged or state.champion is None
    try:
        train, holdout = _snapshot(stage, player, state.champion, look, judged)
        note.train_rows, note.holdout_rows = len(train), len(holdout)
        learnt = stage.hands.learn(train)
    except AutoMLError as failure:
        note.outcome, note.why = "failed", str(failure)
        learnt = None
    if learnt is not None:
        note.seconds, note.budget_seconds = learnt.seconds, player.budget_seconds
        verdict = _verdict(stage, player, state, train, holdout, learnt) if judged else None
        _note_verdict(note, verdict)
        if note.outcome == Outcome.PROMOTED:
            if player.refit and judged:
                learnt, train = _refitted(stage, note, learnt, train, holdout)
            _promote(stage, state, note, learnt, train, verdict)
    state.runs.append(note)
    state.matured_at_last_run = look.matured
    state.decay = state.shift = None  # answered: the next run needs new evidence


def _refitted(stage: Stage, note: RunNote, learnt: Learnt, train: Rows, holdout: Rows) -> tuple[Learnt, Rows]:
    """The promoted model trained on the rows that judged it too; the judged one where that fails."""
    rows = np.union1d(train, holdout)
    try:
        again = stage.hands.refit(learnt.model, rows)
    except AutoMLError:
        return learnt, train
    note.seconds += again.seconds
    return again, rows


def _snapshot(
    stage: Stage, player: Player, reign: Reign | None, look: Look, judged: bool
) -> tuple[Rows, Rows]:
    """What is trained and judged on: rows whose truth is known, none of the judged before a trained one."""
    first = 0
    if player.lookback is not None and look.matured:
        newest = int(stage.times[look.matured - 1])
        first = int(np.searchsorted(stage.times, newest - player.lookback))
    known = np.arange(first, look.matured)
    if not judged:
        return known, known[:0]
    parts = split(
        known.astype(np.int64),
        entities=stage.hands.groups(known),
        rule=player.holdout,
        trained_until=None if reign is None else Mark(at=reign.trained_until),
    )
    return known[parts.train], known[parts.holdout]


def _verdict(
    stage: Stage, player: Player, state: Play, train: Rows, holdout: Rows, learnt: Learnt
) -> Verdict:
    hands, rules = stage.hands, player.rules
    reign = state.champion
    state.judged += 1
    return judge(
        None if reign is None else Scored(predictions=hands.answer(reign.model, holdout)),
        Scored(predictions=hands.answer(learnt.model, holdout)),
        hands.truth(holdout),
        Rules(
            metric=rules.metric,
            min_effect=rules.min_effect,
            alpha=spent_alpha(rules.alpha, state.judged),
            resamples=rules.resamples,
        ),
        seed=stage.seed,
        task=stage.task,
        groups=hands.groups(holdout),
        train_prior=naive_baseline(hands.truth(train), stage.task, rules.metric),
    )


def _note_verdict(note: RunNote, verdict: Verdict | None) -> None:
    if verdict is None:
        note.outcome, note.why = Outcome.PROMOTED.value, "Promoted without a judgement."
        return
    note.outcome, note.why = verdict.outcome.value, verdict.reason
    if verdict.difference is not None:
        note.gain, note.gain_at_least = verdict.difference.estimate, verdict.difference.lower


def _promote(
    stage: Stage, state: Play, note: RunNote, learnt: Learnt, train: Positions, verdict: Verdict | None
) -> None:
    state.versions += 1
    note.version = state.versions
    note.replaced = None if state.champion is None else state.champion.model
    note.model = learnt.model
    relative = metric(stage.task.metric).in_target_units
    unit = (verdict.baseline_score or 1.0) if relative and verdict is not None else 1.0
    look = stage.looks[note.look]
    state.champion = Reign(
        version=state.versions,
        model=learnt.model,
        since=look.arrived,
        trained_until=int(train.max()),
        score=None if verdict is None else verdict.challenger_score,
        judged_on=0 if verdict is None else verdict.rows,
        unit=unit,
    )
    state.judged = 0
    state.decay_seen = look.matured
    state.shift_seen = look.arrived
