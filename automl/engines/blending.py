"""The end of a search: the best model, or a blend of several, trained on all rows within the time left."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from automl.calibration import chosen
from automl.candidate import Candidate
from automl.engines.blended import BlendClassifier, BlendRegressor
from automl.engines.choosing import BlendRule, Chosen, Limits, best_choice, by_use_in_blends
from automl.engines.evaluation import Prepared
from automl.engines.plain import plain, requirements
from automl.engines.protocol import Start
from automl.engines.rebuilding import described, kind
from automl.engines.trials import Tried
from automl.metrics import metric

ENGINE = "blend"
IN_CONFIG = ("engine", "estimator", "config", "weight")
"""What a blend's configuration says of each member."""
_PARTS, _KINDS = 24, 5
"""A recipe's parts at most, and the reserves of kinds that are in none of the parts before them."""
_OF_ONE_KIND = 4
"""Reserves of one kind and engine at most: what an engine tried last differs little from what it tried before."""

Refit = Callable[[Tried, float], Any]


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
    limits: Limits,
    *,
    starts: Sequence[Start] = (),
    standing: Chosen | None = None,
) -> Finish:
    """The candidate of a search whose trials are ``kept``, best first, which began with ``starts`` and has a blend
    ``standing`` from then."""
    report: Mapping[str, Any] = {
        "used": False,
        "reason": "no blend is asked for, or there was nothing to blend",
    }
    if rule is not None:
        choice = best_choice(kept, prepared, rule, limits, starts=starts, standing=standing)
        report = choice.report
        if choice.used:
            made = _blend(choice, kept, prepared, rule, refit, limits)
            if made is not None:
                return Finish(candidate=made, report={**report, "calibration": _way(made)})
            reason = "its members could not be trained on all rows in time"
            report = {**report, "used": False, "reason": reason}
    return Finish(candidate=_single(kept, prepared, refit, limits), report=report)


def _single(kept: Sequence[Tried], prepared: Prepared, refit: Refit, limits: Limits) -> Candidate | None:
    for at, tried in enumerate(kept):
        limit = limits.allowance.refit_limit()
        if at and tried.refit_seconds > limit:
            continue
        try:
            model = refit(tried, limit)
            recipe = [ingredient(tried, 1.0, model), *reserves(kept, [tried], prepared, limits)]
            return _candidate(
                tried.engine, tried.estimator, tried.config, tried.score, model, prepared, recipe
            )
        except Exception:  # what worked on every fold may still fail on all rows
            continue
    return None


def _blend(
    choice: Chosen,
    kept: Sequence[Tried],
    prepared: Prepared,
    rule: BlendRule,
    refit: Refit,
    limits: Limits,
) -> Candidate | None:
    failed = threading.Event()

    def trained(tried: Tried) -> Any:
        if failed.is_set():  # a blend without all of its members is none: the time is better saved
            return None
        try:
            return refit(tried, limits.allowance.refit_limit())
        except Exception:  # a member less
            failed.set()
            return None

    with ThreadPoolExecutor(limits.at_once) as threads:
        longest = sorted(choice.parts, key=lambda one: -one[0].refit_seconds)
        models = list(threads.map(lambda one: trained(one[0]), longest))
    made = [
        (tried, share, model)
        for (tried, share), model in zip(longest, models, strict=True)
        if model is not None
    ]
    if len(made) < len(choice.parts) or len(made) < 2:
        return None
    shares = [float(share) for _, share, _ in made]
    members = [model for _, _, model in made]
    if prepared.n_classes:
        calibration = _calibration(made, prepared, limits.seed) if rule.calibrate else None
        model: Any = BlendClassifier(members=members, weights=shares, calibration=calibration)
    else:
        model = BlendRegressor(members=members, weights=shares)
    estimator = " + ".join(dict.fromkeys(tried.estimator for tried, _, _ in made))
    parts = [ingredient(tried, share, model) for tried, share, model in made]
    config = {"members": [{name: one[name] for name in IN_CONFIG} for one in parts]}
    recipe = [*parts, *reserves(kept, [tried for tried, _, _ in made], prepared, limits)]
    return _candidate(ENGINE, estimator, config, choice.score, model, prepared, recipe)


def _calibration(
    made: Sequence[tuple[Tried, float, Any]], prepared: Prepared, seed: int
) -> Mapping[str, Any] | None:
    """A curve on the blend's probabilities where the metric takes them as such and rows held out say that it helps."""
    if prepared.metric.name != "log_loss" or len(prepared.full.present) < prepared.n_classes:
        return None
    folds = prepared.first_folds
    whole = [
        sum(share * tried.answers[at].astype(np.float64) for tried, share, _ in made)
        for at in range(len(folds))
    ]
    given, y = np.concatenate(whole), np.concatenate([fold.y for fold in folds])
    calibration, held, _ = chosen(y, given, seed=seed)
    loss = metric("log_loss")
    if calibration.way == "none" or loss.score(y, held) >= loss.score(y, given):
        return None
    return calibration.to_json()


def _way(candidate: Candidate) -> str | None:
    model = candidate.pipeline.steps[-1][1]
    calibration = getattr(model, "calibration", None)
    return None if calibration is None else str(calibration["way"])


def reserves(
    kept: Sequence[Tried], members: Sequence[Tried], prepared: Prepared, limits: Limits
) -> list[dict[str, Any]]:
    """What a later search may begin with besides the members, as parts of no weight: what a blend of any number would
    take next, and among them the best of some kinds of model that would be missing."""
    inside = set(map(_which, members))
    said = [tried for tried in kept if tried.likeness is not None and _which(tried) not in inside]
    ranked = _few_of_each(by_use_in_blends(said, prepared, limits))
    room = _PARTS - len(members)
    first, last = ranked[: room - _KINDS], ranked[room - _KINDS :]
    had = {kind(tried.likeness) for tried in (*members, *first) if tried.likeness is not None}
    for tried in said:
        assert tried.likeness is not None
        if kind(tried.likeness) not in had and len(first) < room:
            had.add(kind(tried.likeness))
            first.append(tried)
    chosen = set(map(_which, first))
    more = [tried for tried in last if _which(tried) not in chosen][: room - len(first)]
    return [{**ingredient(tried, 0.0, None), "model": tried.likeness} for tried in (*first, *more)]


def _few_of_each(ranked: Sequence[Tried]) -> list[Tried]:
    had, few = Counter[tuple[str, str]](), []
    for tried in ranked:
        had[tried.engine, tried.estimator] += 1
        if had[tried.engine, tried.estimator] <= _OF_ONE_KIND:
            few.append(tried)
    return few


def _which(tried: Tried) -> tuple[str, str, float]:
    return tried.engine, tried.estimator, tried.score


def ingredient(tried: Tried, share: float, model: Any) -> dict[str, Any]:
    """What a candidate's recipe says of one model in it."""
    return {
        "engine": tried.engine,
        "estimator": tried.estimator,
        "config": dict(tried.config),
        "weight": share,
        "seconds": round(tried.refit_seconds, 3),
        "model": None if model is None else described(model),
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
