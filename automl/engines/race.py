"""All engines of a run search at once, in one process, on the same folds; what they found is blended.

Each engine runs in a thread of its own. Training is native code that leaves Python alone, so as many trials run at
once as there are cores, each in one thread; the features of the folds are computed once for all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from automl.candidate import Candidate
from automl.engines import engine
from automl.engines.allowance import Allowance
from automl.engines.blending import Finish, finish
from automl.engines.choosing import BlendRule, Chosen, Limits
from automl.engines.evaluation import Prepared, prepare
from automl.engines.past import ZERO_SHOT, to_begin_with, trained
from automl.engines.past_phase import Past, try_the_past
from automl.engines.pool import Milestone, Pool
from automl.engines.protocol import Problem, Start, Trial
from automl.engines.second_look import second_look
from automl.engines.standing import Standing
from automl.engines.telling import Telling
from automl.engines.trials import SearchOver, Trials, Tried, quiet
from automl.engines.turns import FairTurns
from automl.errors import BrokenEngine, NoSuchEngine, SearchFailed

FIRST = "portfolio"
_FOR_THE_END = 0.18
"""Share of the budget that is kept for choosing a blend and training its members on all rows."""
_FOR_A_BLEND_THAT_STANDS = 0.3
"""Where past models make a blend that stands, so much at most is kept for training that."""
_LOOKING = 0.1
"""Looking for a better blend takes at most so much of the time while the engines search."""
_LOOKS_EVERY = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one engine did: its best score (the metric's own sign), or the error that left it without."""

    trials: int
    seconds: float
    estimator: str | None = None
    score: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Raced:
    """The search's candidate, what each engine did, what became of the blend, in words (and how many trials got a second
    look), and each best so far."""

    candidate: Candidate
    parts: Mapping[str, Part]
    blend: Mapping[str, Any]
    progress: Sequence[Milestone] = ()


@dataclass(slots=True, kw_only=True)
class _Runner:
    name: str
    trials: Trials
    past: Sequence[Trials] = ()
    error: str | None = None
    engine: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceRule:
    """``shares`` of the engines' turns; ``at_once`` trials run side by side; ``patience`` is the share of the budget
    without anything better after which a search ends (None: it uses all)."""

    shares: Mapping[str, float]
    at_once: int = 1
    patience: float | None = 0.5
    blend: BlendRule | None = field(default_factory=BlendRule)


def race(
    problem: Problem,
    rule: RaceRule,
    *,
    budget_seconds: float,
    seed: int,
    report: Callable[[Trial], None],
    starts: Sequence[Start] = (),
    offer: Callable[[Candidate], None] = lambda candidate: None,
    begin: Callable[[], None] = lambda: None,
) -> Raced:
    """Search with all engines at once and choose the best model, or a blend of several where that is better.

    The budget counts from ``begin``, which is called before anything is prepared; the final training is in it.
    Starts whose model is known are tried before anything else, for two fifths of the time for trials at most, and
    blended; the others, and each engine's best, are where the engines begin. Beside the portfolio, which is quick to
    import, other engines are imported while it is tried. Raises SearchFailed, saying each engine's reason, when none
    found a model; what ``report`` raises ends the search.
    """
    if FIRST not in rule.shares:
        _import(rule.shares)
    begin()
    allowance = Allowance(budget_seconds=budget_seconds)
    with quiet():
        prepared = prepare(problem, seed=seed)
        turns = FairTurns(
            {name: share for name, share in rule.shares.items() if share > 0}, at_once=rule.at_once
        )
        patience = None if rule.patience is None else rule.patience * budget_seconds
        pool = Pool(
            prepared=prepared,
            turns=turns,
            offer=offer,
            give_up=patience,
            keeping=rule.blend is not None,
            started=allowance.started,
        )
        runners, standing = _run(prepared, rule, allowance, pool, report, seed=seed, starts=starts)
        limits = Limits(allowance=allowance, at_once=rule.at_once, seed=seed)
        blend = None if len(pool.kept) < 2 else rule.blend
        looked = second_look(pool.kept, problem, prepared, blend, limits, starts=starts, standing=standing)
        ended = finish(
            looked.kept,
            looked.prepared,
            blend,
            lambda tried, seconds: _refit(runners, tried, prepared, seconds, seed),
            limits,
            starts=starts,
            standing=looked.standing,
        )
        return _raced(ended, runners, pool, looked.trials)


def _import(names: Iterable[str]) -> None:
    for name in names:
        with suppress(NoSuchEngine, BrokenEngine):  # said again, and told, when it is to search
            engine(name)


def _run(
    prepared: Prepared,
    rule: RaceRule,
    allowance: Allowance,
    pool: Pool,
    report: Callable[[Trial], None],
    *,
    seed: int,
    starts: Sequence[Start],
) -> tuple[dict[str, _Runner], Chosen | None]:
    telling = Telling(report)
    kept_back = _FOR_THE_END * allowance.budget_seconds if rule.blend is not None else 0.0
    trying = _Trying(allowance=allowance, pool=pool, kept_back=kept_back)
    most = _FOR_A_BLEND_THAT_STANDS * allowance.budget_seconds
    limits = Limits(allowance=trying, at_once=rule.at_once, seed=seed, training=most)
    standing = None
    if rule.blend is not None:
        standing = Standing(pool, prepared, rule.blend, limits, starts=starts)
    zero_shots = ZERO_SHOT in rule.shares
    past = try_the_past(starts, prepared, limits, pool, telling, zero_shots=zero_shots, standing=standing)
    telling.check()
    if standing is not None:
        if standing.choice is not None:
            trying.keep_back(limits.kept_back(standing.choice) - kept_back)
        # What is found from now on must be trained in what is kept back.
        standing.limits = replace(limits, training=allowance.budget_seconds - trying.budget_seconds)
    runners = {
        name: _runner(name, prepared, trying, pool, telling, past)
        for name, share in rule.shares.items()
        if share > 0
    }
    _search_with_all(runners, seed, to_begin_with(starts, past), standing, trying)
    telling.check()
    pool.let_go()
    choice = None if standing is None else standing.choice
    return runners, None if choice is None else choice.let_go()


def _search_with_all(
    runners: Mapping[str, _Runner],
    seed: int,
    starts: Sequence[Start],
    standing: Standing | None,
    trying: Allowance,
) -> None:
    """Each engine in a thread of its own, and a look for a better blend now and then.

    An engine that is still being imported when the time is over is not waited for: importing can't be ended.
    """
    threads = {
        name: threading.Thread(target=_search, args=(runner, seed, starts), name=name, daemon=True)
        for name, runner in runners.items()
    }
    for thread in threads.values():
        thread.start()
    for name, thread in threads.items():
        while thread.is_alive():
            thread.join(_LOOKS_EVERY)
            if trying.left <= 0 and runners[name].engine is None and thread.is_alive():
                runners[name].error = "it was still being imported when the time for trials was over"
                break
            if standing is not None:
                standing.look(share=_LOOKING)


def _runner(
    name: str,
    prepared: Prepared,
    allowance: Allowance,
    pool: Pool,
    report: Callable[[Trial], None],
    past: Past,
) -> _Runner:
    trials = Trials(
        engine=name,
        prepared=prepared,
        allowance=allowance,
        report=report,
        offer=pool.take,
        turns=pool.turns,
        hear=pool.hear,
        behind=pool.behind,
        done=[one for start, again in past if start.engine == name for one in again.tried],
    )
    return _Runner(name=name, trials=trials, past=[again for start, again in past if start.engine == name])


class _Trying(Allowance):
    """The time for trials of a search that several engines share."""

    def __init__(self, *, allowance: Allowance, pool: Pool, kept_back: float) -> None:
        super().__init__(budget_seconds=allowance.budget_seconds - kept_back)
        self.started = allowance.started
        self._pool = pool

    def keep_back(self, seconds: float) -> None:
        """Leave so many seconds more to what comes after the trials."""
        self.budget_seconds -= max(seconds, 0.0)

    def trial_seconds(self) -> float:
        return 0.0 if self._pool.settled else super().trial_seconds()


def _search(runner: _Runner, seed: int, starts: Sequence[Start]) -> None:
    try:
        runner.engine = engine(runner.name)
        runner.engine.propose(runner.trials, seed=seed, starts=starts)
    except SearchOver:
        return
    except Exception as error:  # one engine's failure leaves the others' trials as they are
        runner.error = f"{type(error).__name__}: {error}"


def _refit(
    runners: Mapping[str, _Runner], tried: Tried, prepared: Prepared, seconds: float, seed: int
) -> Any:
    if tried.model is not None:
        return trained(tried, prepared, seconds)
    return runners[tried.engine].engine.refit(tried, prepared, seconds, seed=seed)


def _raced(ended: Finish, runners: Mapping[str, _Runner], pool: Pool, looked_again: int) -> Raced:
    seconds = pool.turns.seconds()
    parts = {name: _part(runner, seconds[name]) for name, runner in runners.items()}
    # Where nothing could be trained on all rows, the best so far stays: an early blend or a model of one fold.
    candidate = ended.candidate or pool.best
    if candidate is None:
        raise SearchFailed("; ".join(f"{name}: {part.error}" for name, part in parts.items()))
    pool.passed(candidate.engine, candidate.estimator, candidate.score)
    blend = {**ended.report, "looked_again": looked_again}
    return Raced(candidate=candidate, parts=parts, blend=blend, progress=tuple(pool.progress))


def _part(runner: _Runner, seconds: float) -> Part:
    every = (runner.trials, *runner.past)
    found = [trials.ranked()[0] for trials in every if trials.tried]
    loss = runner.trials.prepared.loss
    best = min(found, key=lambda tried: loss(tried.score), default=None)
    return Part(
        trials=sum(trials.count for trials in every),
        seconds=seconds + sum(trials.seconds for trials in runner.past),
        estimator=None if best is None else best.estimator,
        score=None if best is None else best.score,
        error=runner.error or (None if best is not None else runner.trials.why()),
    )
