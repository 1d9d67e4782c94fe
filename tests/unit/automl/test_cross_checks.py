"""The second tests, held against their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from automl.cross_checks import Discordant, delong, mcnemar
from automl.judge import Rules, Scored, Verdict, judge
from automl.metrics import metric
from automl.task import Task, TaskKind

BINARY = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="roc_auc", classes=(0, 1))

rows_of_two = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(0, 6)), min_size=4, max_size=40
)


def by_definition(y: Any, ours: Any, theirs: Any) -> tuple[float, float]:
    """The difference of areas and its variance by the pairs of DeLong et al., in O(n²)."""
    high, low = [], []
    for score in (ours, theirs):
        beaten = np.sign(score[y == 1][:, None] - score[y == 0][None, :]) / 2 + 0.5
        high.append(beaten.mean(axis=1))
        low.append(beaten.mean(axis=0))
    variance = np.cov(np.array(high))
    of_low = np.cov(np.array(low))
    contrast = np.array([1.0, -1.0])
    total = contrast @ (variance / len(high[0]) + of_low / len(low[0])) @ contrast
    return float(high[0].mean() - high[1].mean()), float(total)


@given(rows_of_two)
def test_the_fast_form_is_the_definition_ties_and_all(rows: list[tuple[int, int, int]]) -> None:
    y, ours, theirs = np.array(rows).T
    assume(min((y == 1).sum(), (y == 0).sum()) >= 2)
    found = delong(y, ours.astype(float), theirs.astype(float))
    estimate, variance = by_definition(y, ours, theirs)
    assert found is not None
    assert found.estimate == pytest.approx(estimate, abs=1e-12)
    assert found.error**2 == pytest.approx(variance, abs=1e-12)


def test_the_error_is_the_bootstraps() -> None:
    verdict = judged(*logits(1500), name="roc_auc")
    evidence = gate(verdict).evidence["delong"]
    assert verdict.difference is not None
    assert evidence["estimate"] == pytest.approx(verdict.difference.estimate, abs=1e-12)
    assert evidence["error"] == pytest.approx(verdict.difference.error, rel=0.1)
    assert "DeLong's test agrees" in gate(verdict).reason


def test_fewer_than_two_of_a_class_give_no_test() -> None:
    assert delong(np.array([1, 0, 0]), np.zeros(3), np.zeros(3)) is None


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test_of_the_discordant_rows(won: int, lost: int) -> None:
    assume(won + lost > 0)
    rows = Discordant(won=won, lost=lost)
    assert rows.p_better == pytest.approx(binomtest(won, won + lost, alternative="greater").pvalue)
    assert rows.p_different == pytest.approx(binomtest(won, won + lost).pvalue)


def test_rows_that_agree_tell_nothing() -> None:
    rows = mcnemar(np.array([0, 1, 1]), np.array([0, 1, 0]), np.array([0, 1, 0]))
    assert (rows.won, rows.lost, rows.p_better, rows.p_different) == (0, 0, 1.0, 1.0)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_discordant_rows_are_the_difference_in_accuracy(seed: int) -> None:
    y, champion, challenger = logits(200, seed)
    rows = mcnemar(y, challenger.argmax(axis=1), champion.argmax(axis=1))
    accuracy = metric("accuracy")
    gain = accuracy.score(y, challenger) - accuracy.score(y, champion)
    assert (rows.won - rows.lost) / 200 == pytest.approx(gain)


def test_cross_checks_decide_nothing_and_say_what_they_assume() -> None:
    y, champion, challenger = logits(600)
    verdict = judged(y, champion, challenger, name="accuracy", groups=np.arange(600) // 3)
    assert gate(verdict).passed is None
    assert "McNemar's exact test" in gate(verdict).reason
    assert "taking rows as independent where groups are not" in gate(verdict).reason
    assert "no second test" in gate(judged(y, champion, challenger, name="log_loss")).reason


def logits(n: int, seed: int = 0) -> tuple[Any, Any, Any]:
    random = np.random.default_rng(seed)
    y = (random.random(n) < 0.3).astype(int)
    signal = random.normal(size=n) + 1.5 * y - 0.5

    def model(noise: float) -> Any:
        p = 1 / (1 + np.exp(-(signal + noise * random.normal(size=n))))
        return np.column_stack([1 - p, p])

    return y, model(1.5), model(0.3)


def judged(y: Any, champion: Any, challenger: Any, *, name: str, groups: Any = None) -> Verdict:
    return judge(
        Scored(predictions=champion),
        Scored(predictions=challenger),
        y,
        Rules(metric=name),
        seed=1,
        task=BINARY,
        train_prior=np.array([0.7, 0.3]),
        groups=groups,
    )


def gate(verdict: Verdict) -> Any:
    return next(one for one in verdict.gates if one.name == "cross_checks")
