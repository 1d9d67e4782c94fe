"""Pseudo-labels: what is believed, what is left out and why, and whether the third arm is used."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.datasets import make_moons

from automl.arms import Arm, three_arms
from automl.graph_teacher import graph_teacher
from automl.judge import Rules, Scored, judge
from automl.proportions import evidence_below, wilson
from automl.pseudo_expiry import Spent, standing
from automl.pseudo_labels import (
    Judgement,
    PseudoRule,
    Reason,
    Selection,
    Teacher,
    audit,
    confident,
    select,
    suspension,
)
from automl.pseudo_numbers import select_numbers
from automl.quotas import places
from automl.task import Task, TaskKind
from automl.tempering import temperature, tempered

BINARY = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="accuracy", classes=(0, 1))
TEACHER = Teacher(version=3)


def proba(p: Any) -> Any:
    return np.stack([1 - np.asarray(p), np.asarray(p)], axis=-1)


def honest(n: int, seed: int, models: int = 3) -> tuple[Any, Any]:
    """Calibrated probabilities of class 1, nearly the same in each model, and labels drawn from them."""
    random = np.random.default_rng(seed)
    p = random.beta(0.2, 0.2, n)
    y = (random.random(n) < p).astype(int)
    each = np.clip(p + 0.005 * random.normal(size=(models, n)), 1e-4, 1 - 1e-4)
    return proba(each), y


def selected(
    n: int = 600, seed: int = 0, rule: PseudoRule | None = None, **more: Any
) -> tuple[Selection, Any]:
    pool, truth = honest(n, seed)
    held, y = honest(400, seed + 1000)
    settings_ = {"true_rows": 400, "seed": 1, **more}
    return select(pool, held.mean(axis=0), y, rule or PseudoRule(), TEACHER, **settings_), truth


# -- selecting --------------------------------------------------------------------------------------------


def test_what_a_calibrated_teacher_is_sure_of_is_selected_and_right() -> None:
    chosen, truth = selected()
    assert len(chosen.rows) > 100
    assert np.mean(chosen.classes == truth[chosen.rows]) > 0.93
    assert chosen.confidence.min() >= min(chosen.thresholds) >= 0.8
    assert chosen.suspended is None
    assert chosen.teacher == 3


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 300),
    st.integers(0, 10_000),
    st.integers(2, 4),
    st.integers(0, 60),
    st.floats(0.1, 0.9),
    st.floats(0, 12),
)
def test_every_row_is_selected_once_or_left_out_for_one_reason(
    n: int, seed: int, k: int, true_rows: int, share: float, ratio: float
) -> None:
    random = np.random.default_rng(seed)
    pool = random.dirichlet(np.full(k, 0.1), size=(2, n))
    pool[1] = pool[0]
    if n:
        pool[0, 0] = np.nan
    held, y = random.dirichlet(np.full(k, 0.2), size=80), random.integers(0, k, 80)
    rule = PseudoRule(least_precision=0.05, max_weight_share=share, max_rows_ratio=ratio, floor=0.3)
    chosen = select(pool, held, y, rule, TEACHER, true_rows=true_rows, seed=seed)
    assert len(chosen.rows) + sum(chosen.left_out.values()) == n
    assert len(np.unique(chosen.rows)) == len(chosen.rows)
    assert np.all(np.diff(chosen.rows) > 0)
    assert not np.isin(0, chosen.rows)
    assert len(chosen.rows) <= ratio * true_rows
    assert len(chosen.classes) == len(chosen.weights) == len(chosen.confidence) == len(chosen.rows)
    total = chosen.weights.sum() + true_rows
    assert chosen.weights.sum() <= share * total + 1e-9
    assert np.all(chosen.weights <= rule.weight * chosen.confidence + 1e-12)
    prior = np.bincount(y, minlength=k) / len(y)
    counts = np.bincount(chosen.classes, minlength=k)
    assert np.all(counts <= prior * (1 + rule.slack) * len(chosen.rows) + 1e-6)
    again = select(pool, held, y, rule, TEACHER, true_rows=true_rows, seed=seed)
    assert np.array_equal(again.rows, chosen.rows)
    json.dumps(chosen.to_json())


@pytest.mark.parametrize(
    ("more", "teacher", "words"),
    [
        ({"drift_share": 0.3}, TEACHER, "drifted"),
        ({}, Teacher(version=4, pseudo_rows=12), "first generation"),
    ],
)
def test_nothing_is_selected_under_strong_drift_or_by_a_taught_teacher(
    more: Any, teacher: Teacher, words: str
) -> None:
    pool, _ = honest(50, 0)
    held, y = honest(100, 1)
    chosen = select(pool, held.mean(axis=0), y, PseudoRule(), teacher, true_rows=100, seed=0, **more)
    assert chosen.suspended is not None
    assert words in chosen.suspended
    assert dict(chosen.left_out) == {Reason.SUSPENDED: 50}
    assert not len(chosen.rows)


def test_little_drift_does_not_suspend() -> None:
    assert len(selected(drift_share=0.1)[0].rows)


def test_one_model_alone_can_not_teach() -> None:
    pool, _ = honest(50, 0, models=1)
    held, y = honest(100, 1)
    chosen = select(pool, held.mean(axis=0), y, PseudoRule(), TEACHER, true_rows=100, seed=0)
    assert chosen.suspended is not None


def test_regression_is_off_unless_asked_for_and_forecasting_always() -> None:
    off, on = PseudoRule(), PseudoRule(numbers=True)
    about = {"models": 3, "drift_share": None}
    assert suspension(off, TEACHER, kind=TaskKind.REGRESSION, **about) is not None  # type: ignore[arg-type]
    assert suspension(on, TEACHER, kind=TaskKind.REGRESSION, **about) is None  # type: ignore[arg-type]
    assert suspension(on, TEACHER, kind=TaskKind.FORECASTING, **about) is not None  # type: ignore[arg-type]


def test_models_that_disagree_are_not_believed() -> None:
    chosen, _ = selected()
    pool, _ = honest(600, 0)
    pool[0, chosen.rows] = pool[0, chosen.rows][:, ::-1]
    held, y = honest(400, 1000)
    after = select(pool, held.mean(axis=0), y, PseudoRule(floor=0.5), TEACHER, true_rows=400, seed=1)
    assert not np.intersect1d(after.rows, chosen.rows).size
    assert after.left_out[Reason.SPREAD] + after.left_out[Reason.LOW_CONFIDENCE] >= len(chosen.rows)


def test_overconfident_teacher_is_brought_down_by_its_calibration_rows() -> None:
    pool, truth = honest(2000, 0)
    held, y = honest(1000, 1)
    boast = [tempered(each, 0.25) for each in (pool, held.mean(axis=0))]
    chosen = select(boast[0], boast[1], y, PseudoRule(), TEACHER, true_rows=1000, seed=0)
    assert chosen.temperature == pytest.approx(4.0, rel=0.3)
    assert np.mean(chosen.classes == truth[chosen.rows]) > 0.93


def test_class_whose_calibration_rows_are_often_wrong_is_left_out_as_unreliable() -> None:
    pool, _ = honest(1000, 0)
    held, y = honest(1000, 1)
    word = held.mean(axis=0)
    turned = (word[:, 1] > 0.5) & (np.random.default_rng(0).random(1000) < 0.3)
    chosen = select(
        pool, np.where(turned[:, None], word[:, ::-1], word), y, PseudoRule(), TEACHER, true_rows=1000, seed=0
    )
    # what it calls class 0 is class 1 too often; and the quota leaves nothing of one class alone
    reliability = chosen.reliability[0]
    assert reliability.upper < 0.9 or chosen.left_out[Reason.LOW_CONFIDENCE] > 900
    assert not len(chosen.rows)


def test_class_learnt_less_well_is_asked_for_less_but_never_below_the_floor() -> None:
    random = np.random.default_rng(0)
    p1 = np.concatenate([np.full(400, 0.02), random.uniform(0.85, 0.94, 370), np.full(30, 0.99)])
    pool = np.stack([proba(p1)] * 2)
    # calibration rows that leave the temperature alone
    word = np.repeat([0.02, 0.9], 500)
    y = np.concatenate([np.arange(500) < 10, np.arange(500) < 450]).astype(int)
    chosen = select(pool, proba(word), y, PseudoRule(), TEACHER, true_rows=1000, seed=0)
    assert chosen.temperature == pytest.approx(1.0, abs=0.05)
    assert chosen.thresholds[0] == 0.95
    assert chosen.thresholds[1] == 0.80
    assert chosen.counts[1] > 300


def test_prior_given_by_the_caller_sets_the_quota() -> None:
    chosen, _ = selected(prior=np.array([0.9, 0.1]))
    share = np.mean(chosen.classes == 0)
    assert share == pytest.approx(0.9, abs=0.05)
    assert chosen.left_out[Reason.QUOTA] > 0


def test_selected_weights_obey_the_share_cap_and_keep_their_proportions() -> None:
    chosen, _ = selected(true_rows=40, rule=PseudoRule(max_weight_share=0.2))
    assert chosen.weights.sum() == pytest.approx(10.0)  # 20% of 50
    assert np.ptp(chosen.weights / chosen.confidence) < 1e-12


@pytest.mark.parametrize(
    "broken",
    [
        {"probabilities": np.zeros((3, 5))},
        {"calibration": np.zeros((4, 3))},
        {"calibration": np.full((400, 2), np.nan)},
        {"y": np.full(400, 2)},
        {"prior": np.array([1.0])},
        {"prior": np.array([1.0, -1.0])},
    ],
)
def test_arguments_that_do_not_fit_are_refused(broken: dict[str, Any]) -> None:
    held, y = honest(400, 1)
    good = {"probabilities": honest(50, 0)[0], "calibration": held.mean(axis=0), "y": y, "prior": None}
    with pytest.raises(ValueError):
        select(**{**good, **broken}, rule=PseudoRule(), teacher=TEACHER, true_rows=10, seed=0)


@pytest.mark.parametrize(
    "broken",
    [{"threshold": 0.7}, {"max_weight_share": 1.0}, {"weight": 0.0}, {"max_spread": -0.1}, {"floor": 1.2}],
)
def test_rules_that_make_no_sense_are_refused(broken: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        PseudoRule(**broken)  # type: ignore[arg-type]


def test_empty_pool_and_no_calibration_rows_select_nothing() -> None:
    held, y = honest(100, 1)
    empty = select(np.zeros((2, 0, 2)), held.mean(axis=0), y, PseudoRule(), TEACHER, true_rows=100, seed=0)
    assert not len(empty.rows)
    pool, _ = honest(50, 0)
    blind = select(
        pool,
        np.zeros((0, 2)),
        np.zeros(0),
        PseudoRule(),
        TEACHER,
        true_rows=100,
        seed=0,
        prior=np.array([0.5, 0.5]),
    )
    assert not len(blind.rows)
    assert blind.left_out[Reason.UNRELIABLE_CLASS] > 0


# -- quotas -----------------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 40), min_size=2, max_size=5),
    st.integers(0, 10_000),
    st.integers(0, 100),
    st.floats(0, 0.5),
)
def test_places_keep_every_bound(offered: list[int], seed: int, limit: int, slack: float) -> None:
    prior = np.random.default_rng(seed).dirichlet(np.ones(len(offered)))
    taken = places(np.array(offered), prior, limit=limit, slack=slack)
    total = taken.sum()
    assert np.all(taken >= 0)
    assert np.all(taken <= offered)
    assert total <= limit
    assert np.all(taken <= prior * (1 + slack) * total + 1e-6)


def test_places_fill_the_limit_where_all_classes_offer_plenty_and_nothing_where_one_offers_none() -> None:
    prior = np.array([0.5, 0.5])
    assert places(np.array([100, 100]), prior, limit=60, slack=0.1).tolist() == [30, 30]
    assert places(np.array([100, 20]), prior, limit=200, slack=0.0).tolist() == [20, 20]
    assert places(np.array([100, 0]), prior, limit=60, slack=0.1).sum() == 0
    # a rare class that offers none does not stop the others
    assert places(np.array([100, 0]), np.array([0.99, 0.01]), limit=60, slack=0.1).tolist() == [60, 0]


# -- calibration and proportions --------------------------------------------------------------------------


def test_temperature_of_honest_probabilities_is_one_and_few_rows_move_it_little() -> None:
    held, y = honest(3000, 5)
    assert temperature(held[0], y) == pytest.approx(1.0, abs=0.1)
    assert temperature(tempered(held[0], 0.5), y) == pytest.approx(2.0, rel=0.15)
    few = proba(np.full(6, 0.8))
    assert 0.5 < temperature(few, np.ones(6, dtype=int)) < 1.0
    assert temperature(np.zeros((0, 2)), np.zeros(0)) == 1.0


@given(hnp.arrays(np.float64, (4, 3), elements=st.floats(0, 1)), st.floats(0.1, 10))
def test_tempered_rows_sum_to_one_and_keep_their_order(p: Any, heat: float) -> None:
    out = tempered(p, heat)
    assert np.allclose(out.sum(axis=1), 1)
    best = out.max(axis=1)
    assert np.all(out[np.arange(4), p.argmax(axis=1)] >= best - 1e-12)


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0.001, 0.5))
def test_wilson_holds_its_share_and_narrows_with_alpha(hits: int, misses: int, alpha: float) -> None:
    share = wilson(hits, hits + misses, alpha=alpha)
    assert 0 <= share.lower <= share.upper <= 1
    if share.estimate is not None:
        assert share.lower <= share.estimate <= share.upper
    wider = wilson(hits, hits + misses, alpha=alpha / 2)
    assert wider.lower <= share.lower + 1e-12
    assert wider.upper >= share.upper - 1e-12


def test_wilson_agrees_with_statsmodels() -> None:
    from statsmodels.stats.proportion import proportion_confint

    for hits, of in ((0, 7), (3, 9), (97, 100), (50, 50)):
        ours = wilson(hits, of, alpha=0.05)
        assert (ours.lower, ours.upper) == pytest.approx(
            proportion_confint(hits, of, alpha=0.05, method="wilson"), abs=1e-12
        )


def test_evidence_looked_at_after_every_row_is_seldom_false() -> None:
    random = np.random.default_rng(0)
    crossed = 0
    for _ in range(400):
        right = np.cumsum(random.random(300) < 0.9)
        crossed += any(evidence_below(int(hits), n, 0.9) >= 20 for n, hits in enumerate(right, start=1))
    assert crossed <= 30  # 5% of 400 is the promise, and ten for luck


@given(st.integers(0, 3000), st.integers(0, 3000), st.floats(0.05, 0.99))
def test_evidence_is_never_negative_nor_nan_and_grows_with_misses(
    hits: int, misses: int, floor: float
) -> None:
    now, later = (evidence_below(hits, hits + m, floor) for m in (misses, misses + 50))
    assert now >= 0
    assert later >= 0
    if misses / (hits + misses + 1) > 1 - floor + 0.05:
        assert later >= now


# -- the audit --------------------------------------------------------------------------------------------


def handed_in(n: int, seed: int, wrong: tuple[float, float]) -> tuple[Any, Any]:
    """Given labels and truths; ``wrong`` is the share of each given class that is not so."""
    random = np.random.default_rng(seed)
    given_ = random.integers(0, 2, n)
    miss = random.random(n) < np.take(wrong, given_)
    return given_, np.where(miss, 1 - given_, given_)


def test_audit_names_the_class_a_bad_teacher_gets_wrong() -> None:
    found = audit(*handed_in(400, 0, (0.25, 0.02)), classes=2)
    assert found.judgement is Judgement.BAD
    assert found.bad_classes == (0,)
    assert "class 0" in found.reason
    assert found.classes[0].precision.upper < 0.85
    json.dumps(found.to_json())


def test_audit_calls_a_precise_teacher_good_and_few_truths_undecided() -> None:
    assert audit(*handed_in(1000, 0, (0.02, 0.03)), classes=2).judgement is Judgement.GOOD
    assert audit(*handed_in(12, 0, (0.02, 0.02)), classes=2).judgement is Judgement.UNDECIDED
    nothing_yet = audit(np.array([0, 1]), np.array([-1, -1]), classes=2)
    assert nothing_yet.judgement is Judgement.UNDECIDED
    assert nothing_yet.waiting == 2


def test_audit_of_a_teacher_just_precise_enough_seldom_calls_it_bad_however_often_one_looks() -> None:
    bad = 0
    for seed in range(200):
        given_, truths = handed_in(400, seed, (0.1, 0.1))
        bad += any(
            audit(given_[:n], truths[:n], classes=2).judgement is Judgement.BAD for n in range(20, 401, 20)
        )
    assert bad <= 16  # at most 5% of 200, and six for luck


def test_audit_refuses_labels_outside_the_classes() -> None:
    with pytest.raises(ValueError):
        audit(np.array([2]), np.array([0]), classes=2)
    with pytest.raises(ValueError):
        audit(np.array([1, 0]), np.array([0]), classes=2)


def test_confident_rows_of_a_holdout_are_those_the_selection_would_have_taken() -> None:
    chosen, _ = selected()
    pool, _ = honest(600, 0)
    rows, classes = confident(pool, chosen, PseudoRule())
    assert np.isin(chosen.rows, rows).all()
    assert np.array_equal(classes[np.searchsorted(rows, chosen.rows)], chosen.classes)


# -- expiry -----------------------------------------------------------------------------------------------


def test_labels_stand_until_they_expire_or_truth_or_a_revocation_comes() -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    day = np.timedelta64(1, "D")
    at = np.datetime64("2026-05-01", "us") - np.array([1, 29, 30, 1, 1, 1, -1]) * day
    found = standing(
        at,
        np.array([3, 3, 3, 3, 4, 9, 3]),
        np.array([False, False, False, True, False, False, False]),
        PseudoRule(lifetime=timedelta(days=30)),
        now=now,
        first_generation={3, 4},
        revoked={4},
    )
    assert found.positions.tolist() == [0, 1]
    assert found.spent == {
        Spent.SUPERSEDED: 1,
        Spent.REVOKED: 1,
        Spent.SECOND_GENERATION: 1,
        Spent.EXPIRED: 1,
        Spent.FROM_THE_FUTURE: 1,
    }
    with pytest.raises(ValueError):
        standing(
            at, np.zeros(7), np.zeros(7, bool), PseudoRule(), now=datetime(2026, 5, 1), first_generation=()
        )


# -- numbers ----------------------------------------------------------------------------------------------


def numbers(n: int, seed: int) -> tuple[Any, Any]:
    """Three models whose spread tells how wrong they are."""
    random = np.random.default_rng(seed)
    y = random.normal(0, 10, n)
    hard = random.random(n) < 0.5
    shared = np.where(hard, 6.0, 0.4) * random.normal(size=n)
    each = y + shared + np.where(hard, 4.0, 0.3) * random.normal(size=(3, n))
    return each, y


def test_numbers_the_models_agree_on_are_selected_where_asked_for() -> None:
    pool, truth = numbers(1000, 0)
    held, y = numbers(600, 1)
    rule = PseudoRule(numbers=True, threshold=0.9)
    chosen = select_numbers(pool, held, y, rule, TEACHER, true_rows=600, seed=0)
    assert len(chosen.rows) > 100
    assert np.mean(np.abs(chosen.values - truth[chosen.rows]) <= 2.5) > 0.88
    assert len(chosen.rows) + sum(chosen.left_out.values()) == 1000
    off = select_numbers(pool, held, y, PseudoRule(), TEACHER, true_rows=600, seed=0)
    assert off.suspended == "pseudo-labels are off for regression"
    few = select_numbers(pool, held[:, :10], y[:10], rule, TEACHER, true_rows=600, seed=0)
    assert few.suspended is not None


# -- the graph teacher ------------------------------------------------------------------------------------


def test_graph_teacher_carries_twenty_labels_along_two_moons() -> None:
    X, y = make_moons(1020, noise=0.1, random_state=0)
    known = np.concatenate([np.flatnonzero(y == c)[:10] for c in (0, 1)])
    pool = np.setdiff1d(np.arange(len(y)), known)
    taught = graph_teacher(X[known], y[known], X[pool], classes=2, seed=0)
    assert taught.probabilities.shape == (5, 1000, 2)
    assert np.allclose(taught.probabilities.sum(axis=2), 1)
    assert taught.calibration.shape == (20, 2)
    assert np.mean(taught.probabilities.mean(axis=0).argmax(axis=1) == y[pool]) > 0.97
    chosen = select(
        taught.probabilities, taught.calibration, y[known], PseudoRule(), TEACHER, true_rows=20, seed=0
    )
    assert np.mean(chosen.classes == y[pool][chosen.rows]) > 0.97
    with pytest.raises(ValueError):
        graph_teacher(X[:3], np.array([0, 0, 1]), X[pool], classes=2, seed=0)


def test_graph_teacher_survives_equal_rows_and_places_no_label_reaches() -> None:
    labelled, y = np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0, 0, 1, 1])
    pool = np.concatenate([np.zeros((30, 1)), np.ones((30, 1)), np.full((30, 1), 50.0)])
    taught = graph_teacher(labelled, y, pool, classes=2, seed=0, neighbours=5)
    assert np.isfinite(taught.probabilities).all()
    assert np.allclose(taught.probabilities.sum(axis=2), 1)


# -- three arms -------------------------------------------------------------------------------------------


def right_in(y: Any, share: float, seed: int) -> Scored:
    """A model that is right on that share of the rows, the same rows for a higher share."""
    right = np.random.default_rng(seed).random(len(y)) < share
    return Scored(predictions=np.eye(2)[np.where(right, y, 1 - y)])


def asked(y: Any, champion: float | None, alone: float, helped: float | None, **more: Any) -> Any:
    return three_arms(
        None if champion is None else right_in(y, champion, 5),
        right_in(y, alone, 5),
        None if helped is None else right_in(y, helped, 5),
        y,
        Rules(metric="accuracy", **more.pop("rules", {})),
        truly_labelled=more.pop("truly_labelled", np.ones(len(y), dtype=bool)),
        seed=1,
        task=BINARY,
        train_prior=np.array([0.5, 0.5]),
        **more,
    )


LABELS = np.random.default_rng(0).integers(0, 2, 1000)


def test_third_arm_that_proves_better_is_used_and_judged_against_the_champion() -> None:
    found = asked(LABELS, 0.7, 0.8, 0.9)
    assert found.challenger is Arm.WITH_PSEUDO
    assert found.uses_pseudo_labels
    assert found.verdict.promotes
    assert found.pseudo is not None
    assert found.verdict.challenger_score == found.pseudo.challenger_score
    assert found.reason.startswith("Pseudo-labels are used: accuracy")
    json.dumps(found.to_json())


@pytest.mark.parametrize("helped", [0.7, 0.8, 0.801])
def test_third_arm_that_does_not_prove_better_leaves_the_second(helped: float) -> None:
    found = asked(LABELS, 0.7, 0.8, helped)
    assert found.challenger is Arm.TRUE_ONLY
    assert found.verdict.promotes
    assert "used" in found.reason or "refused" in found.reason


def test_bad_labeller_is_refused_however_well_its_arm_scores() -> None:
    bad = audit(*handed_in(400, 0, (0.3, 0.0)), classes=2)
    found = asked(LABELS, 0.7, 0.8, 0.95, labeller=bad)
    assert found.challenger is Arm.TRUE_ONLY
    assert found.pseudo is None
    assert "of class 0" in found.reason
    good = audit(*handed_in(1000, 0, (0.02, 0.02)), classes=2)
    assert asked(LABELS, 0.7, 0.8, 0.95, labeller=good).uses_pseudo_labels


def test_without_a_third_arm_the_judge_stands_alone_and_with_one_each_question_has_half_of_alpha() -> None:
    alone = asked(LABELS, 0.7, 0.8, None)
    direct = judge(
        right_in(LABELS, 0.7, 5),
        right_in(LABELS, 0.8, 5),
        LABELS,
        Rules(metric="accuracy"),
        seed=1,
        task=BINARY,
        train_prior=np.array([0.5, 0.5]),
    )
    assert alone.verdict == direct
    both = asked(LABELS, 0.7, 0.8, 0.8)
    assert both.verdict.difference.alpha == both.pseudo.difference.alpha == 0.025


def test_approval_is_asked_for_the_promotion_and_never_for_the_choice_of_arm() -> None:
    found = asked(LABELS, 0.7, 0.8, 0.9, rules={"needs_approval": True})
    assert found.uses_pseudo_labels
    assert found.verdict.outcome.value == "awaiting_approval"


def test_first_champion_needs_no_champion_to_choose_an_arm() -> None:
    assert asked(LABELS, None, 0.8, 0.9).uses_pseudo_labels


def test_pseudo_label_in_a_holdout_is_a_broken_promise() -> None:
    truly = np.ones(len(LABELS), dtype=bool)
    truly[3] = False
    with pytest.raises(ValueError, match="truly labelled"):
        asked(LABELS, 0.7, 0.8, 0.9, truly_labelled=truly)


def test_arms_that_are_equal_are_told_apart_about_as_seldom_as_promised() -> None:
    random = np.random.default_rng(3)
    used = 0
    for seed in range(100):
        y = random.integers(0, 2, 300)
        used += three_arms(
            *(Scored(predictions=np.eye(2)[np.where(random.random(300) < 0.8, y, 1 - y)]) for _ in range(3)),
            y,
            Rules(metric="accuracy", resamples=500),
            truly_labelled=np.ones(300, dtype=bool),
            seed=seed,
            task=BINARY,
            train_prior=np.array([0.5, 0.5]),
        ).uses_pseudo_labels
    assert used <= 7  # 2.5% of 100, and more for luck
