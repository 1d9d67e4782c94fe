"""Policy replay: what one policy would have done over a stream of rows, in order of time.

Pure simulation. The clock is the stream's, what has arrived and what is known is :class:`automl.timeline.Look`'s,
the policy is a function that sees only that, learning and answering are the caller's
:class:`automl.replay_roles.Hands`. A policy
never trains or judges on a row whose truth has not come by then, and the champion that answers a row was
promoted before the row arrived.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from automl.decay import decay
from automl.errors import AutoMLError, SplitError
from automl.judge import Scored, judge, naive_baseline, spent_alpha
from automl.metrics import metric
from automl.play_state import Play, Reign, RunNote
from automl.replay_roles import Answers, DecayRule, Learnt, Player, Rows, Sight, Stage
from automl.snapshot import Mark, Positions, split
from automl.timeline import Look
from automl.verdict import Outcome, Verdict

FIRST = "first_champion"


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
    try:
        return _parted(stage, player, reign, known, player.embargo)
    except SplitError:
        if player.embargo is None or not player.embargo_gives_way:
            raise
        return _parted(stage, player, reign, known, None)


def _parted(
    stage: Stage, player: Player, reign: Reign | None, known: Rows, embargo: int | None
) -> tuple[Rows, Rows]:
    """Rows are told apart by their time where there is an embargo, else by their place in the stream."""
    order = known.astype(np.int64) if embargo is None else stage.times[known]
    mark = None
    if reign is not None:
        mark = Mark(at=reign.trained_until if embargo is None else int(stage.times[reign.trained_until]))
    parts = split(
        order, entities=stage.hands.groups(known), rule=player.holdout, trained_until=mark, embargo=embargo
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
        replace(
            rules,
            alpha=spent_alpha(rules.alpha, state.judged),
            next_alpha=spent_alpha(rules.alpha, state.judged + 1),
        ),
        seed=stage.seed,
        task=stage.task,
        groups=hands.groups(holdout),
        train_prior=naive_baseline(hands.truth(train), stage.task, rules.metric),
        slices=()
        if player.slices is None
        else hands.slices(holdout, most=player.slices, min_rows=rules.slice_rows),
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
