"""A champion below its floor gives way more easily: to what is better by its estimate and surely not much worse."""

from __future__ import annotations

from automl.comparison import Case
from automl.resampling import Difference
from automl.sentences import confidence, significant
from automl.verdict import Gate

_NAME = "floor"


def floor_gate(case: Case, difference: Difference | None, *, seed: int) -> Gate:
    """``passed`` is True only where the champion is surely below the floor and the challenger may take its place for
    that, else None: then the floor changes nothing.

    A challenger that takes back the last change doesn't profit: two models that are both below the floor would else
    take turns.
    """
    floor = case.rules.floor
    if floor is None:
        return Gate(name=_NAME, passed=None, reason="no floor is set")
    draws = None if case.champion is None or difference is None else case.rival_draws(seed)
    if draws is None or difference is None:
        return Gate(name=_NAME, passed=None, reason="there is no champion's score to hold against the floor")
    best = case.sign * draws.difference(case.rules.alpha).upper
    margin = case.in_units(case.rules.floor_margin)
    evidence = {"floor": floor, "champion_at_best": best, "margin": margin, "lower": difference.lower}
    sure = confidence(case.rules.alpha)
    most = "at most" if case.measure.greater_is_better else "at least"
    if case.sign * best >= case.sign * floor:
        reason = f"the champion's score is not surely beyond the floor of {significant(floor)}"
        return Gate(name=_NAME, passed=None, reason=reason, evidence=evidence)
    below = (
        f"the champion's {case.rules.metric} is {most} {significant(best)} with {sure} confidence, "
        f"on the wrong side of the floor of {significant(floor)}"
    )
    if case.rules.required_effect_factor > 1:
        reason = f"{below}, but a challenger that takes back the last change has to show its gain"
        return Gate(name=_NAME, passed=None, reason=reason, evidence=evidence)
    if difference.estimate > 0 and difference.lower > -margin:
        reason = (
            f"{below}; the challenger is better by {significant(difference.estimate)} as far as these rows tell, "
            f"and with {sure} confidence not worse by more than the {significant(margin)} allowed"
        )
        return Gate(name=_NAME, passed=True, reason=reason, evidence=evidence)
    reason = f"{below}; but that the challenger is better and not worse by {significant(margin)} is not shown"
    return Gate(name=_NAME, passed=None, reason=reason, evidence=evidence)
