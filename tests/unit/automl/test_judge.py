"""The judge: what is promoted, what is not, and why."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.judge import Outcome, Rules, Scored, Verdict, judge, naive_baseline, spent_alpha
from automl.metrics import metric
from automl.resampling import paired_difference
from automl.task import Task, TaskKind

BINARY = Task(kind=TaskKind.CLASSIFICATION, target="late", metric="roc_auc", classes=(False, True))
THREE = Task(kind=TaskKind.CLASSIFICATION, target="kind", metric="log_loss", classes=("a", "b", "c"))
NUMBER = Task(kind=TaskKind.REGRESSION, target="price", metric="rmse")
PRIOR = np.array([0.7, 0.3])
BINARY_METRICS = ["roc_auc", "log_loss", "accuracy", "f1", "balanced_accuracy", "average_precision"]


def proba(logit: Any) -> Any:
    p = 1.0 / (1.0 + np.exp(-logit))
    return np.column_stack([1.0 - p, p])


def binary(n: int, *, noise: float, seed: int = 0) -> tuple[Any, Any, Any]:
    """Labels, a better model, and the same one with noise on its logit."""
    random = np.random.default_rng(seed)
    y = (random.random(n) < 0.3).astype(int)
    logit = random.normal(size=n) + y - 1.0
    return y, proba(logit), proba(logit + noise * random.normal(size=n))


def judged(
    champion: Any, challenger: Any, y: Any, name: str = "roc_auc", *, task: Task = BINARY, **more: Any
) -> Verdict:
    groups, seed, prior = more.pop("groups", None), more.pop("seed", 1), more.pop("prior", PRIOR)
    return judge(
        None if champion is None else Scored(predictions=champion),
        challenger if isinstance(challenger, Scored) else Scored(predictions=challenger),
        y,
        Rules(metric=name, **more),
        seed=seed,
        task=task,
        train_prior=prior,
        groups=groups,
    )


def gate(verdict: Verdict, name: str) -> Any:
    return next(each for each in verdict.gates if each.name == name)


@pytest.mark.parametrize("name", BINARY_METRICS)
def test_clearly_better_challenger_is_promoted_and_the_worse_one_rejected(name: str) -> None:
    y, better, worse = binary(6000, noise=1.2)
    assert judged(worse, better, y, name).promotes
    assert judged(better, worse, y, name).outcome is Outcome.REJECTED


@pytest.mark.parametrize("name", ["rmse", "mae", "r2"])
def test_numbers_are_judged_too(name: str) -> None:
    random = np.random.default_rng(0)
    y = random.normal(3e5, 8e4, 800)
    good, bad = y + random.normal(0, 3e4, 800), y + random.normal(0, 6e4, 800)
    prior = naive_baseline(y, NUMBER, name)
    verdict = judged(bad, good, y, name, task=NUMBER, prior=prior)
    assert verdict.promotes
    assert judged(good, bad, y, name, task=NUMBER, prior=prior).outcome is Outcome.REJECTED
    assert judged(None, good, y, name, task=NUMBER, prior=prior).promotes
    # a share of the naive error where the metric is in the target's units
    units = verdict.baseline_score if name != "r2" else 1.0
    assert units is not None
    assert verdict.min_effect == pytest.approx(0.002 * units)


def test_sentence_of_a_promotion_says_the_scores_the_gain_and_what_was_asked() -> None:
    y, better, worse = binary(8000, noise=0.7)
    assert judged(worse, better, y).reason == (
        "Promoted: roc_auc 0.766 against 0.728 on the same 8,000 rows; the gain of 0.037 is at least 0.031 "
        "with 95% confidence, more than the 0.002 asked for."
    )


def test_sentence_of_an_open_question_says_how_many_labels_would_decide() -> None:
    y, better, worse = binary(300, noise=0.1)
    verdict = judged(worse, better, y, alpha=0.0004)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "neither shows nor excludes the 0.002 asked for" in verdict.reason
    assert "labelled rows would decide" in verdict.reason
    assert verdict.rows_needed is not None
    assert verdict.rows_needed > 300


def test_open_question_with_no_gain_in_sight_says_labels_would_not_help() -> None:
    y, better, worse = binary(100, noise=0.1, seed=2)
    verdict = judged(better, worse, y)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.rows_needed is None
    assert "more labels won't help unless the effect grows" in verdict.reason


def test_rows_needed_do_decide() -> None:
    # the estimate on these rows is 0.013 where the truth is 0.016, so the number is on the safe side
    y, better, worse = binary(600, noise=0.4, seed=4)
    first = judged(worse, better, y)
    assert first.outcome is Outcome.INCONCLUSIVE
    assert first.rows_needed is not None
    fresh = [binary(first.rows_needed, noise=0.4, seed=100 + seed) for seed in range(20)]
    assert sum(judged(worse, better, y, resamples=500).promotes for y, better, worse in fresh) >= 16


@settings(deadline=None, max_examples=30)
@given(
    n=st.integers(30, 200),
    noise=st.floats(0, 3),
    seed=st.integers(0, 10_000),
    name=st.sampled_from(BINARY_METRICS),
    clusters=st.sampled_from([None, 3, 10]),
)
def test_swapping_the_models_mirrors_the_difference(
    n: int, noise: float, seed: int, name: str, clusters: int | None
) -> None:
    y, one, other = binary(n, noise=noise, seed=seed)
    groups = None if clusters is None else np.arange(n) // clusters
    ours = judged(one, other, y, name, resamples=200, groups=groups, seed=seed)
    theirs = judged(other, one, y, name, resamples=200, groups=groups, seed=seed)
    if ours.difference is None or theirs.difference is None:
        assert ours.outcome is theirs.outcome is Outcome.INCONCLUSIVE
        return
    assert ours.difference.estimate == -theirs.difference.estimate
    assert ours.difference.lower == -theirs.difference.upper
    assert ours.difference.upper == -theirs.difference.lower
    assert not (ours.promotes and theirs.promotes)
    if ours.promotes:
        assert theirs.outcome is Outcome.REJECTED


@settings(deadline=None, max_examples=30)
@given(
    n=st.integers(30, 300),
    seed=st.integers(0, 10_000),
    name=st.sampled_from(BINARY_METRICS),
    asked=st.sampled_from([0.0, 0.002]),
)
def test_identical_models_are_never_promoted(n: int, seed: int, name: str, asked: float) -> None:
    y, model, _ = binary(n, noise=1.0, seed=seed)
    verdict = judged(model, model.copy(), y, name, resamples=200, min_effect=asked)
    assert not verdict.promotes
    assert verdict.difference is None or verdict.difference.estimate == 0.0


@settings(deadline=None, max_examples=20)
@given(n=st.integers(30, 200), seed=st.integers(0, 1000))
def test_same_arguments_give_the_same_verdict_and_json_keeps_it_whole(n: int, seed: int) -> None:
    y, one, other = binary(n, noise=1.0, seed=seed)
    verdict = judged(one, other, y, resamples=200, seed=seed)
    assert verdict == judged(one, other, y, resamples=200, seed=seed)
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json(), allow_nan=False))) == verdict


@given(alpha=st.floats(1e-6, 0.5), looks=st.integers(1, 3000))
def test_spent_alphas_sum_to_no_more_than_alpha_and_shrink(alpha: float, looks: int) -> None:
    spent = [spent_alpha(alpha, look) for look in range(1, looks + 1)]
    assert sum(spent) <= alpha
    assert all(a > b > 0 for a, b in pairwise(spent))


def test_looks_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="from 1"):
        spent_alpha(0.05, 0)


def test_alpha_spent_down_reaches_beyond_the_resamples() -> None:
    y, better, worse = binary(2000, noise=0.5)
    bounds = [judged(worse, better, y, alpha=a).difference for a in (1e-2, 1e-4, 1e-6, 1e-8)]
    lower = [bound.lower for bound in bounds if bound is not None]
    assert lower == sorted(lower, reverse=True)
    assert len(set(lower)) == 4


def test_first_champion_must_beat_the_naive_baseline() -> None:
    y, model, _ = binary(500, noise=1.0)
    verdict = judged(None, model, y)
    assert verdict.promotes
    assert gate(verdict, "baseline").passed
    assert verdict.champion_score is None
    assert verdict.baseline_score == 0.5
    assert "against 0.500 of the naive baseline" in verdict.reason
    backwards = judged(None, model[:, ::-1], y)
    assert backwards.outcome is Outcome.REJECTED
    assert "worse than the naive baseline" in backwards.reason


@pytest.mark.parametrize("name", BINARY_METRICS)
def test_model_that_says_only_the_prior_is_no_first_champion(name: str) -> None:
    y, _, _ = binary(400, noise=1.0)
    assert not judged(None, np.tile(PRIOR, (400, 1)), y, name).promotes


def test_naive_baseline_is_the_prior_the_mean_or_for_mae_the_median() -> None:
    assert naive_baseline(np.array([0, 0, 1, 0]), BINARY, "roc_auc").tolist() == [0.75, 0.25]
    assert naive_baseline(np.array([2, 2]), THREE, "log_loss").tolist() == [0.0, 0.0, 1.0]
    assert naive_baseline(np.array([0.0, 0.0, 9.0]), NUMBER, "rmse").tolist() == [3.0]
    assert naive_baseline(np.array([0.0, 0.0, 9.0]), NUMBER, "mae").tolist() == [0.0]


def test_slow_or_large_challenger_is_rejected_however_good() -> None:
    y, better, worse = binary(4000, noise=1.0)
    model = Scored(predictions=better, latency_ms=74.0, size_bytes=5_000_000)
    verdict = judged(worse, model, y, max_latency_ms=50.0, max_size_bytes=4_000_000)
    assert verdict.outcome is Outcome.REJECTED
    assert gate(verdict, "improvement").passed is True
    assert "predicting one row takes 74 ms, more than the 50 ms allowed" in verdict.reason
    assert "the model takes 5.0 MB, more than the 4.0 MB allowed" in verdict.reason
    assert judged(worse, model, y, max_latency_ms=74.0, max_size_bytes=5_000_000).promotes


def test_limit_that_was_not_measured_is_not_taken_as_kept() -> None:
    y, better, worse = binary(4000, noise=1.0)
    verdict = judged(worse, better, y, max_latency_ms=50.0)
    assert verdict.outcome is Outcome.REJECTED
    assert "not measured" in gate(verdict, "latency").reason


def test_limit_that_is_not_set_blocks_nothing() -> None:
    y, better, worse = binary(4000, noise=1.0)
    verdict = judged(worse, better, y)
    assert verdict.promotes
    assert gate(verdict, "latency").passed is None
    assert gate(verdict, "size").passed is None


def test_promotion_by_hand_waits_for_approval_and_does_not_promote() -> None:
    y, better, worse = binary(4000, noise=1.0)
    verdict = judged(worse, better, y, needs_approval=True)
    assert verdict.outcome is Outcome.AWAITING_APPROVAL
    assert not verdict.promotes
    assert judged(better, worse, y, needs_approval=True).outcome is Outcome.REJECTED


@pytest.mark.parametrize("name", ["roc_auc", "f1", "balanced_accuracy", "average_precision"])
def test_holdout_of_one_class_decides_nothing_and_says_why(name: str) -> None:
    _, better, worse = binary(200, noise=1.0)
    verdict = judged(worse, better, np.zeros(200, dtype=int), name)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert gate(verdict, "holdout").passed is False
    assert "'true' has 0" in verdict.reason
    assert verdict.difference is None


def test_holdout_with_a_handful_of_positives_is_no_ground_for_ranking_but_is_for_accuracy() -> None:
    _, better, worse = binary(3000, noise=2.0)
    y = (np.arange(3000) < 3).astype(int)
    assert gate(judged(worse, better, y, "roc_auc"), "holdout").passed is False
    assert gate(judged(worse, better, y, "accuracy"), "holdout").passed is True


@pytest.mark.parametrize("n", [0, 1, 29])
def test_too_few_rows_decide_nothing(n: int) -> None:
    y, better, worse = binary(n, noise=1.0)
    verdict = judged(worse, better, y)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason == f"Inconclusive: the holdout has {n} rows, at least 30 are needed."


def test_rare_class_of_several_is_left_out_of_the_mean_and_named() -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 600)
    y[:2] = 2
    good = np.eye(3)[y] + 0.6 * random.random((600, 3))
    bad = np.eye(3)[y] + 3.0 * random.random((600, 3))
    good, bad = (p / p.sum(axis=1, keepdims=True) for p in (good, bad))
    verdict = judged(bad, good, y, "roc_auc", task=THREE, prior=np.full(3, 1 / 3))
    assert verdict.promotes
    assert "'c'" in gate(verdict, "holdout").reason
    assert gate(verdict, "holdout").evidence["classes"]["c"] == 2


@pytest.mark.parametrize("name", BINARY_METRICS)
def test_several_classes_are_judged(name: str) -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 900)
    good = np.eye(3)[y] + 1.0 * random.random((900, 3))
    bad = np.eye(3)[y] + 3.0 * random.random((900, 3))
    good, bad = (p / p.sum(axis=1, keepdims=True) for p in (good, bad))
    prior = naive_baseline(y, THREE, name)
    assert judged(bad, good, y, name, task=THREE, prior=prior).promotes
    assert judged(None, good, y, name, task=THREE, prior=prior).promotes


def test_challenger_that_gives_no_number_is_rejected() -> None:
    y, better, worse = binary(200, noise=1.0)
    for broken in (better * np.nan, better[:, :1], better[:100], better * 2.0, np.ones((200, 3)) / 3):
        verdict = judged(worse, broken, y)
        assert verdict.outcome is Outcome.REJECTED
        assert "the challenger can't be scored" in verdict.reason
        assert verdict.challenger_score is None


def test_champion_that_gives_no_number_gives_way_to_what_beats_the_baseline() -> None:
    y, model, _ = binary(400, noise=1.0)
    verdict = judged(model * np.nan, model, y)
    assert verdict.promotes
    assert verdict.champion_score is None
    assert "the champion can't be scored" in gate(verdict, "predictions").reason


def test_probabilities_of_zero_and_one_are_judged_by_log_loss() -> None:
    y, model, _ = binary(400, noise=1.0)
    certain = np.eye(2)[1 - y]
    verdict = judged(certain, model, y, "log_loss")
    assert verdict.promotes
    assert verdict.champion_score == pytest.approx(36.04, abs=0.01)


def test_rows_of_a_group_are_resampled_together() -> None:
    random = np.random.default_rng(2)
    groups = np.repeat(np.arange(60), 50)
    y = random.integers(0, 2, 3000)
    # who is right is a matter of the group, so 60 groups tell as much as 60 rows
    ours, theirs = (np.repeat(random.random(60) < share, 50) for share in (0.7, 0.6))
    good, bad = (np.eye(2)[np.where(right, y, 1 - y)] * 0.8 + 0.1 for right in (ours, theirs))
    alone, together = judged(bad, good, y, "accuracy"), judged(bad, good, y, "accuracy", groups=groups)
    assert alone.difference is not None
    assert together.difference is not None
    assert together.difference.units == 60
    assert together.difference.error > 4 * alone.difference.error


def test_too_few_groups_decide_nothing() -> None:
    y, better, worse = binary(400, noise=1.0)
    verdict = judged(worse, better, y, groups=np.arange(400) % 4)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "rows of 4 groups, at least 8" in verdict.reason


def test_groups_of_one_row_are_rows() -> None:
    y, better, worse = binary(500, noise=0.5)
    one_each = np.array([f"id{i}" for i in range(500)])
    for name in ("roc_auc", "log_loss"):
        assert (
            judged(worse, better, y, name).difference
            == judged(worse, better, y, name, groups=one_each).difference
        )


def test_resample_that_lacks_a_class_is_skipped_and_counted() -> None:
    y = np.array([1] + [0] * 30)
    random = np.random.default_rng(0)
    one, other = (proba(random.normal(size=31)) for _ in range(2))
    tallies = [metric("roc_auc").tally(y, p) for p in (one, other)]
    difference = paired_difference(*tallies, rows=31, sign=1.0, alpha=0.05, resamples=1000, seed=0)
    assert difference is not None
    assert difference.resamples + difference.skipped == 1000
    assert 300 < difference.skipped < 440  # (30/31)^31 of them


@pytest.mark.parametrize("name", BINARY_METRICS)
def test_bootstrap_error_is_the_error_of_fresh_holdouts(name: str) -> None:
    estimates, errors = [], []
    for seed in range(60):
        y, better, worse = binary(500, noise=1.0, seed=seed)
        difference = judged(worse, better, y, name, resamples=300).difference
        assert difference is not None
        estimates.append(difference.estimate)
        errors.append(difference.error)
    assert np.mean(errors) == pytest.approx(np.std(estimates, ddof=1), rel=0.25)


def test_metric_of_another_task_and_senseless_rules_are_refused() -> None:
    y, better, worse = binary(100, noise=1.0)
    with pytest.raises(ValueError, match="not a metric for regression"):
        judged(worse, better, y, "roc_auc", task=NUMBER)
    with pytest.raises(ValueError, match="groups"):
        judged(worse, better, y, groups=np.arange(3))
    for wrong in (
        {"metric": "gini"},
        {"metric": "f1", "alpha": 0.0},
        {"metric": "f1", "min_effect": -0.1},
        {"metric": "f1", "power": 1.0},
        {"metric": "f1", "resamples": 10},
    ):
        with pytest.raises(ValueError):
            Rules(**wrong)


def test_equal_challengers_are_rarely_promoted_in_fifty_looks_at_one_holdout() -> None:
    promoted = 0
    for history in range(40):
        random = np.random.default_rng(history)
        y = random.integers(0, 2, 500)
        champion = np.where(random.random(500) < 0.8, y, 1 - y)
        for look in range(1, 21):
            challenger = np.where(random.random(500) < 0.8, y, 1 - y)
            rules = {"alpha": spent_alpha(0.05, look), "seed": look, "prior": np.full(2, 0.5)}
            verdict = judged(np.eye(2)[champion], np.eye(2)[challenger], y, "accuracy", **rules)
            if verdict.promotes:
                promoted += 1
                break
    assert promoted <= 6  # 5% of 40, and four more for luck


@pytest.mark.slow
def test_two_thousand_resamples_of_ten_thousand_rows_take_seconds_at_most() -> None:
    y, better, worse = binary(10_000, noise=0.5)
    started = time.process_time()
    judged(worse, better, y, "roc_auc")
    assert time.process_time() - started < 3.0  # 0.4 s on an idle core
