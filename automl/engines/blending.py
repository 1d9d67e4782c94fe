"""The end of a search: the best model, or a blend of several, trained on all rows within the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline

from automl.blend import Choice, Truth, select
from automl.calibration import chosen
from automl.candidate import Candidate
from automl.engines.blended import BlendClassifier, BlendRegressor
from automl.engines.evaluation import Prepared
from automl.engines.plain import plain, requirements
from automl.engines.rebuilding import described
from automl.engines.trials import Allowance, Tried
from automl.metrics import metric

ENGINE = "blend"
IN_CONFIG = ("engine", "estimator", "config", "weight")
"""What a blend's configuration says of each member."""
_CANDIDATES = 24
_ROWS = 6_000
_SELECTING = 0.06
_BLOCKS = 4

Refit = Callable[[Tried, float], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlendRule:
    """A blend stands where it beats the best single model by more than ``margin`` (the metric's unit) on folds that took
    no part in choosing it. It has at most ``members`` models, which answer one row within ``row_seconds`` together."""

    margin: float = 0.0
    members: int = 6
    row_seconds: float | None = None
    calibrate: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The candidate (None when nothing could be trained on all rows) and what was said of the blend."""

    candidate: Candidate | None
    report: Mapping[str, Any]


def finish(
    kept: Sequence[Tried],
    prepared: Prepared,
    rule: BlendRule | None,
    refit: Refit,
    *,
    allowance: Allowance,
    at_once: int,
    seed: int,
) -> Finish:
    """The candidate of a search whose trials are ``kept``, best first."""
    report: dict[str, Any] = {"used": False, "reason": "no blend is asked for, or there was nothing to blend"}
    if rule is not None:
        choice, pool, report = _best_choice(kept, prepared, rule, allowance, at_once, seed)
        if report["used"] and choice is not None:
            made = _blend(choice, pool, prepared, rule, refit, allowance, at_once, seed)
            if made is not None:
                return Finish(candidate=made, report={**report, "calibration": _way(made)})
            report = {
                **report,
                "used": False,
                "reason": "its members could not be trained on all rows in time",
            }
    return Finish(candidate=_single(kept, prepared, refit, allowance), report=report)


def _best_choice(
    kept: Sequence[Tried], prepared: Prepared, rule: BlendRule, allowance: Allowance, at_once: int, seed: int
) -> tuple[Choice | None, Sequence[Tried], dict[str, Any]]:
    """Of all that is kept, or where that is no better than a single model, of what past runs were made of alone."""
    choice, pool = choose(kept, prepared, rule, allowance, at_once, seed)
    report = told(choice, pool, rule, prepared)
    past = [tried for tried in kept if tried.model is not None]
    if report["used"] or len(past) < 2:
        return choice, pool, report
    other, others = choose(past, prepared, rule, allowance, at_once, seed)
    again = told(other, others, rule, prepared)
    beaten = other is None or prepared.loss(other.score) >= prepared.loss(kept[0].score)
    return (choice, pool, report) if beaten or not again["used"] else (other, others, again)


def _single(
    kept: Sequence[Tried], prepared: Prepared, refit: Refit, allowance: Allowance
) -> Candidate | None:
    for at, tried in enumerate(kept):
        limit = allowance.refit_limit()
        if at and tried.refit_seconds > limit:
            continue
        try:
            model = refit(tried, limit)
            recipe = [ingredient(tried, 1.0, model)]
            return _candidate(
                tried.engine, tried.estimator, tried.config, tried.score, model, prepared, recipe
            )
        except Exception:  # what worked on every fold may still fail on all rows
            continue
    return None


def choose(
    kept: Sequence[Tried],
    prepared: Prepared,
    rule: BlendRule,
    allowance: Allowance,
    at_once: int,
    seed: int,
    *,
    rounds: int = 20,
) -> tuple[Choice | None, Sequence[Tried]]:
    """How to blend what is kept, and the trials that the choice's positions are of."""
    # Members train side by side, so together they may take what is left as often as there are cores.
    time_left = max(allowance.left, 0.0) * at_once * 0.7
    pool = [tried for at, tried in enumerate(kept) if at == 0 or tried.refit_seconds <= time_left]
    pool = _varied(pool)[:_CANDIDATES]
    most = np.inf if rule.row_seconds is None else rule.row_seconds
    costs = [max(tried.refit_seconds / max(time_left, 1e-9), tried.row_seconds / most) for tried in pool]
    rows, truths = _rows(prepared, seed)
    models = [_parts(tried.answers, rows) for tried in pool]
    until = time.perf_counter() + max(_SELECTING * allowance.budget_seconds, 1.0)
    choice = select(
        models,
        truths,
        prepared.metric,
        rounds=rounds,
        members=rule.members,
        costs=costs,
        allowed=1.0,
        expired=lambda: time.perf_counter() > until,
    )
    return choice, pool


def _varied(pool: Sequence[Tried]) -> list[Tried]:
    """The best of each kind of model before the second of any: many of one kind must not crowd the others out."""
    first: dict[tuple[str, str], Tried] = {}
    for tried in pool:
        first.setdefault((tried.engine, tried.estimator), tried)
    spared = set(map(id, first.values()))
    return [*first.values(), *(tried for tried in pool if id(tried) not in spared)]


Where = tuple[tuple[int, npt.NDArray[np.intp]], ...]


def _rows(prepared: Prepared, seed: int) -> tuple[Where, list[Truth]]:
    """The validation rows to select by, a sample where they are many; a single fold is cut into blocks."""
    rng = np.random.default_rng(seed)
    whole = sum(len(fold.y) for fold in prepared.folds)
    where: list[tuple[int, npt.NDArray[np.intp]]] = []
    for at, fold in enumerate(prepared.folds):
        share = min(1.0, _ROWS / whole)
        rows = np.sort(rng.permutation(len(fold.y))[: max(1, round(share * len(fold.y)))])
        parts = [rows] if len(prepared.folds) > 1 else np.array_split(rows, _BLOCKS)
        where.extend((at, np.asarray(part, dtype=np.intp)) for part in parts if len(part))
    truths = [
        Truth(
            y=prepared.folds[at].y[rows],
            weights=None if (given := prepared.folds[at].weights) is None else given[rows],
        )
        for at, rows in where
    ]
    return tuple(where), truths


def _parts(answers: Sequence[npt.NDArray[Any]], where: Where) -> list[npt.NDArray[np.float64]]:
    return [np.asarray(answers[at][rows], dtype=np.float64) for at, rows in where]


def told(choice: Choice | None, pool: Sequence[Tried], rule: BlendRule, prepared: Prepared) -> dict[str, Any]:
    """What is said of a choice, and whether it is ``used``: where its gain is above the rule's margin."""
    if choice is None:
        return {"used": False, "reason": "there was not time, or not enough, to choose a blend"}
    names = ", ".join(
        f"{share:.0%} {pool[at].engine}'s {pool[at].estimator}" for at, share in choice.weights.items()
    )
    facts = {"gain": choice.gain, "score": choice.score, "members": names}
    if len(choice.weights) < 2:
        return {**facts, "used": False, "reason": "the best single model is best alone"}
    unit = prepared.metric.name
    if not choice.gain > rule.margin:
        gained = (
            f"gains {choice.gain:.3g} {unit} on folds that did not choose it, not more than {rule.margin:g}"
        )
        return {**facts, "used": False, "reason": f"the blend ({names}) {gained}"}
    reason = f"{names}: better than the best single model by {choice.gain:.3g} {unit} on folds that did not choose it"
    return {**facts, "used": True, "reason": reason}


def _blend(
    choice: Choice,
    pool: Sequence[Tried],
    prepared: Prepared,
    rule: BlendRule,
    refit: Refit,
    allowance: Allowance,
    at_once: int,
    seed: int,
) -> Candidate | None:
    chosen_ones = [(pool[at], share) for at, share in choice.weights.items()]
    limit = allowance.refit_limit()

    def trained(tried: Tried) -> Any:
        try:
            return refit(tried, limit)
        except Exception:  # a member less
            return None

    with ThreadPoolExecutor(at_once) as threads:
        longest = sorted(chosen_ones, key=lambda one: -one[0].refit_seconds)
        models = list(threads.map(lambda one: trained(one[0]), longest))
    made = [
        (tried, share, model)
        for (tried, share), model in zip(longest, models, strict=True)
        if model is not None
    ]
    if len(made) < len(chosen_ones) or len(made) < 2:
        return None
    shares = [float(share) for _, share, _ in made]
    members = [model for _, _, model in made]
    if prepared.n_classes:
        calibration = _calibration(made, prepared, seed) if rule.calibrate else None
        model: Any = BlendClassifier(members=members, weights=shares, calibration=calibration)
    else:
        model = BlendRegressor(members=members, weights=shares)
    estimator = " + ".join(dict.fromkeys(tried.estimator for tried, _, _ in made))
    recipe = [ingredient(tried, share, model) for tried, share, model in made]
    config = {"members": [{name: one[name] for name in IN_CONFIG} for one in recipe]}
    return _candidate(ENGINE, estimator, config, choice.score, model, prepared, recipe)


def _calibration(
    made: Sequence[tuple[Tried, float, Any]], prepared: Prepared, seed: int
) -> Mapping[str, Any] | None:
    """A curve on the blend's probabilities where the metric takes them as such and rows held out say that it helps."""
    if prepared.metric.name != "log_loss" or len(prepared.full.present) < prepared.n_classes:
        return None
    whole = [
        sum(share * tried.answers[at].astype(np.float64) for tried, share, _ in made)
        for at in range(len(prepared.folds))
    ]
    given, y = np.concatenate(whole), np.concatenate([fold.y for fold in prepared.folds])
    calibration, held, _ = chosen(y, given, seed=seed)
    loss = metric("log_loss")
    if calibration.way == "none" or loss.score(y, held) >= loss.score(y, given):
        return None
    return calibration.to_json()


def _way(candidate: Candidate) -> str | None:
    model = candidate.pipeline.steps[-1][1]
    calibration = getattr(model, "calibration", None)
    return None if calibration is None else str(calibration["way"])


def ingredient(tried: Tried, share: float, model: Any) -> dict[str, Any]:
    """What a candidate's recipe says of one model in it."""
    return {
        "engine": tried.engine,
        "estimator": tried.estimator,
        "config": dict(tried.config),
        "weight": share,
        "model": described(model),
    }


def _candidate(
    engine: str,
    estimator: str,
    config: Mapping[str, Any],
    score: float,
    model: Any,
    prepared: Prepared,
    recipe: Sequence[Mapping[str, Any]],
) -> Candidate:
    pipeline: Pipeline = plain(
        prepared.preprocessing, model, present=prepared.full.present, n_classes=prepared.n_classes
    )
    return Candidate(
        engine=engine,
        estimator=estimator,
        pipeline=pipeline,
        score=score,
        config=config,
        requirements=requirements(pipeline),
        recipe=recipe,
    )
