"""The labelling queue: which rows, in which order, and what may be concluded from their labels."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa

from automl.annotators import agreement, majority
from automl.labelling import Queue, QueueRule, Why, disagreement, horvitz_thompson, queue, uncertainty

PLAIN = QueueRule(random_share=0.0, variety=False, density=0.0)


def committee(n: int, seed: int, *, models: int = 3, classes: int = 3) -> Any:
    return np.random.default_rng(seed).dirichlet(np.ones(classes), size=(models, n))


def two(*chances: Any) -> Any:
    """Models' probabilities of class 1, as (M, n, 2)."""
    p = np.array(chances, dtype=float)
    return np.stack([1 - p, p], axis=-1)


# -- worth ------------------------------------------------------------------------------------------------


def test_rows_the_models_are_unsure_of_come_before_those_they_know() -> None:
    found = queue(two([0.5, 0.99, 0.6, 0.01], [0.5, 0.99, 0.6, 0.01]), 4, PLAIN, seed=0)
    assert found.rows[:2].tolist() == [0, 2]
    assert found.reasons[0] is Why.UNCERTAIN
    assert np.all(np.diff(found.values) <= 0)


def test_row_the_models_dispute_comes_before_one_all_are_unsure_of() -> None:
    found = queue(two([0.5, 0.02, 0.9], [0.5, 0.98, 0.9]), 2, PLAIN, seed=0)
    assert found.rows.tolist() == [1, 0]
    assert found.reasons == (Why.DISPUTED, Why.UNCERTAIN) or found.reasons[1] is Why.UNCERTAIN


def test_drifted_region_is_raised() -> None:
    same = two(np.full(100, 0.3), np.full(100, 0.3))
    found = queue(same, 10, PLAIN, seed=0, drift=np.arange(100) >= 90)
    assert sorted(found.rows.tolist()) == list(range(90, 100))
    assert set(found.reasons) == {Why.DRIFTED}


def test_lonely_rows_are_worth_less_than_those_in_a_crowd() -> None:
    random = np.random.default_rng(0)
    where = np.concatenate([random.normal(0, 0.1, (90, 2)), random.normal(0, 30.0, (10, 2))])
    rule = QueueRule(random_share=0.0, variety=False, density=0.8)
    found = queue(two(*np.full((2, 100), 0.5)), 50, rule, seed=0, features=where)
    assert np.mean(found.rows >= 90) < 0.05


def test_rows_like_those_already_chosen_are_passed_over() -> None:
    # the most valuable row came in twenty times
    random = np.random.default_rng(0)
    where = np.concatenate([np.zeros((20, 2)), random.normal(size=(200, 2))])
    p = np.concatenate([np.full(20, 0.5), random.uniform(0.51, 0.6, 200)])
    alike, varied = (
        queue(two(p, p), 10, QueueRule(random_share=0, variety=variety, density=0), seed=0, features=where)
        for variety in (False, True)
    )
    assert np.all(alike.rows < 20)
    assert np.sum(varied.rows < 20) == 1
    assert varied.rows[0] < 20


def test_numbers_are_ranked_by_how_far_the_models_differ() -> None:
    said = np.array([[1.0, 5.0, 2.0], [1.1, 9.0, 2.0]])
    assert queue(said, 3, PLAIN, seed=0).rows.tolist() == [1, 0, 2]
    assert disagreement(said).max() == 1.0
    assert not uncertainty(said).any()


@given(st.integers(1, 5), st.integers(2, 5), st.integers(0, 10_000))
def test_worth_lies_between_nothing_and_one(models: int, classes: int, seed: int) -> None:
    said = committee(40, seed, models=models, classes=classes)
    for worth in (uncertainty(said), disagreement(said)):
        assert worth.min() >= 0
        assert worth.max() <= 1
    if models == 1:
        assert not disagreement(said).any()


# -- the queue --------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 120), st.integers(0, 150), st.integers(0, 10_000), st.floats(0, 1), st.booleans())
def test_queue_holds_distinct_rows_and_chances_that_sum_to_its_length(
    n: int, wanted: int, seed: int, share: float, with_features: bool
) -> None:
    said = committee(n, seed)
    features = np.random.default_rng(seed).normal(size=(n, 3)).round(1) if with_features else None
    rule = QueueRule(random_share=share)
    found = queue(said, wanted, rule, seed=seed, features=features)
    assert len(found.rows) == min(wanted, n) == len(set(found.rows.tolist()))
    assert found.rows.min(initial=0) >= 0
    assert found.rows.max(initial=0) < n
    assert np.all((found.probabilities > 0) & (found.probabilities <= 1))
    drawn = found.drawn
    assert drawn.sum() == rule.drawn(len(found.rows)) if len(found.rows) else True
    assert np.all(found.probabilities[~drawn] == 1)
    # the chances of all rows of the pool, chosen or not, sum to what is in the queue
    others = n - int(np.sum(~drawn))
    assert np.sum(~drawn) + others * (found.probabilities[drawn][0] if drawn.any() else 0) == pytest.approx(
        len(found.rows)
    )
    again = queue(said, wanted, rule, seed=seed, features=features)
    assert np.array_equal(found.rows, again.rows)
    assert np.array_equal(found.probabilities, again.probabilities)


def test_drawn_rows_are_spread_over_the_queue_so_that_stopping_early_keeps_some() -> None:
    found = queue(committee(500, 0), 50, QueueRule(random_share=0.2), seed=0)
    assert found.drawn.sum() == 10
    assert all(found.drawn[start : start + 10].any() for start in range(0, 50, 10))


def test_another_seed_draws_other_rows_and_keeps_the_chosen_ones() -> None:
    said = committee(400, 0)
    one, two_ = (queue(said, 40, QueueRule(random_share=0.5), seed=seed) for seed in (1, 2))
    assert set(one.rows[~one.drawn]) == set(two_.rows[~two_.drawn])
    assert set(one.rows[one.drawn]) != set(two_.rows[two_.drawn])


def test_equal_rows_are_not_asked_for_in_the_order_of_the_table() -> None:
    same = two(*np.full((2, 1000), 0.5))
    found = queue(same, 20, PLAIN, seed=0)
    assert found.rows.max() > 100


@pytest.mark.parametrize(
    "broken",
    [
        {"candidates": np.zeros(3)},
        {"candidates": np.full((2, 5, 2), np.nan)},
        {"features": np.zeros((4, 2))},
        {"features": np.full((5, 2), np.inf)},
        {"drift": np.zeros(6)},
    ],
)
def test_arguments_that_do_not_fit_are_refused(broken: dict[str, Any]) -> None:
    good: dict[str, Any] = {"candidates": committee(5, 0), "features": None, "drift": None}
    with pytest.raises(ValueError):
        queue(**{**good, **broken}, wanted=2, rule=QueueRule(), seed=0)


@pytest.mark.parametrize("broken", [{"random_share": 1.1}, {"density": 2.0}, {"drift": -1.0}])
def test_rules_that_make_no_sense_are_refused(broken: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        QueueRule(**broken)  # type: ignore[arg-type]


# -- estimates --------------------------------------------------------------------------------------------


def hard_rows(seed: int, n: int = 400) -> tuple[Any, Any]:
    """A committee of one word, and whether its answer is wrong: mostly where it is unsure."""
    random = np.random.default_rng(seed)
    p = random.random(n)
    return two(p, p), (random.random(n) < np.minimum(p, 1 - p)).astype(float)


def answered(found: Queue, wrong: Any, done: int) -> Any:
    return found.estimate(wrong[found.rows], np.arange(len(found.rows)) < done)


@pytest.mark.parametrize("done", [80, 50])
def test_error_rate_from_the_queue_is_unbiased_where_the_chosen_rows_alone_would_mislead(done: int) -> None:
    means, naive, covered, truths = [], [], 0, []
    said, wrong = hard_rows(0)
    for seed in range(300):
        found = queue(said, 80, QueueRule(random_share=0.5), seed=seed)
        estimate = answered(found, wrong, done)
        # those chosen for their worth but not answered are left out of what is estimated
        skipped = found.rows[done:][~found.drawn[done:]]
        truth = float(np.delete(wrong, skipped).mean())
        truths.append(truth)
        means.append(estimate.mean)
        naive.append(wrong[found.rows[:done]].mean())
        covered += estimate.lower <= truth <= estimate.upper
    assert np.mean(means) == pytest.approx(np.mean(truths), abs=0.012)
    assert np.mean(naive) > np.mean(truths) + 0.05
    assert covered >= 0.92 * 300


def test_everything_answered_leaves_nothing_to_estimate() -> None:
    said, wrong = hard_rows(0, n=30)
    found = queue(said, 30, QueueRule(random_share=0.0), seed=0)
    estimate = answered(found, wrong, 30)
    assert estimate.mean == pytest.approx(wrong.mean())
    assert estimate.error == 0.0


def test_nothing_drawn_gives_a_mean_without_bounds() -> None:
    said, wrong = hard_rows(0)
    estimate = answered(queue(said, 80, PLAIN, seed=0), wrong, 80)
    assert estimate.upper == np.inf
    assert json.loads(json.dumps(estimate.to_json()))["upper"] is None


def test_horvitz_thompson_is_unbiased_under_unequal_chances() -> None:
    random = np.random.default_rng(0)
    y = random.normal(3, 1, 500)
    chances = np.clip(np.abs(y) / 8, 0.05, 0.9)
    means = []
    for _ in range(600):
        taken = random.random(500) < chances
        means.append(horvitz_thompson(y[taken], chances[taken], population=500).mean)
    assert np.mean(means) == pytest.approx(y.mean(), abs=0.02)


def test_equal_chances_give_the_textbook_error_of_a_simple_random_sample() -> None:
    y = np.random.default_rng(0).normal(size=40)
    found = horvitz_thompson(y, np.full(40, 0.1), population=400)
    assert found.mean == pytest.approx(y.mean())
    assert found.error == pytest.approx(y.std(ddof=1) / np.sqrt(40) * np.sqrt(0.9))


@pytest.mark.parametrize(
    ("values", "chances", "population"),
    [([1.0], [0.0], 5), ([1.0], [1.2], 5), ([1.0, 2.0], [0.5], 5), ([1.0, 1.0], [1.0, 1.0], 1), ([], [], 0)],
)
def test_what_can_not_be_a_sample_is_refused(values: Any, chances: Any, population: int) -> None:
    with pytest.raises(ValueError):
        horvitz_thompson(np.array(values), np.array(chances), population=population)


# -- several annotators -----------------------------------------------------------------------------------


def test_majority_holds_and_a_tie_stays_open() -> None:
    assert majority(["late", "late", "early"]).label == "late"
    tie = majority(["late", "early"])
    assert tie.label is None
    assert tie.tied
    assert not majority([]).tied
    assert majority([1, True]).tied  # a number and a boolean are different labels


@given(st.lists(st.sampled_from("abc"), max_size=12), st.randoms())
def test_majority_does_not_depend_on_who_answered_first(votes: list[str], random: Any) -> None:
    shuffled = votes.copy()
    random.shuffle(shuffled)
    assert majority(votes) == majority(shuffled)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_two_annotators_get_the_kappa_of_cohen(seed: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    a = random.integers(0, classes, 60)
    b = np.where(random.random(60) < 0.6, a, random.integers(0, classes, 60))
    found = agreement(np.column_stack([a, b]), classes=classes)
    assert found.method == "cohen"
    assert found.kappa == pytest.approx(cohen_kappa_score(a, b))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 6))
def test_more_annotators_get_the_kappa_of_fleiss(seed: int, raters: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 3, size=(50, raters))
    counts = np.stack([(labels == c).sum(axis=1) for c in range(3)], axis=1)
    found = agreement(labels, classes=3)
    assert found.method == "fleiss"
    assert found.kappa == pytest.approx(fleiss_kappa(counts))


def test_rows_with_one_label_say_nothing_about_agreement() -> None:
    found = agreement(np.array([[0, -1, -1], [-1, 1, -1]]), classes=2)
    assert found.method == "none"
    assert found.kappa is None
    some = agreement(np.array([[0, 0, -1], [1, 1, 1], [0, -1, -1]]), classes=2)
    assert some.rows == 2
    assert some.kappa == pytest.approx(1.0)


def test_one_label_throughout_has_no_kappa() -> None:
    found = agreement(np.zeros((5, 2), dtype=int), classes=2)
    assert found.observed == 1.0
    assert found.kappa is None
