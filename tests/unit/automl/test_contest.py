from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from automl.contest import Contest
from automl.live_losses import LiveLoss
from automl.shift import prediction_shift


def two_models(rows: int, *, seed: int = 0, noise: float = 3.0) -> tuple[Any, Any, Any]:
    """Truths, the answers of a good model and those of one that knows less the more ``noise`` it has."""
    random = np.random.default_rng(seed)
    signal = random.normal(size=rows)
    y = (signal + random.normal(scale=0.5, size=rows) > 0).astype(int)
    good = 1 / (1 + np.exp(-3 * signal))
    bad = 1 / (1 + np.exp(-3 * (signal + random.normal(scale=noise, size=rows)) / (1 + noise)))
    return y, np.column_stack([1 - good, good]), np.column_stack([1 - bad, bad])


def start(metric: str, **options: Any) -> Contest:
    return Contest.over(**{"metric_name": metric, "alpha": 0.01, "margin": 0.01, "min_rows": 100, **options})


@pytest.mark.parametrize("metric", ["accuracy", "f1", "log_loss", "roc_auc", "balanced_accuracy"])
def test_a_champion_that_is_worse_is_found_out_and_its_better_holds(metric: str) -> None:
    y, good, bad = two_models(2_000)
    worse = start(metric).after(y, champion=bad, shadow=good)
    assert worse.champion_is_worse
    assert worse.rows + worse.reference_rows >= 100
    better = start(metric).after(y, champion=good, shadow=bad)
    assert better.champion_holds
    assert not better.champion_is_worse


def test_numbers_are_compared_on_rows_that_did_not_set_the_bound() -> None:
    random = np.random.default_rng(1)
    y = random.normal(size=3_000)
    good, bad = y + random.normal(scale=0.3, size=3_000), y + random.normal(scale=1.0, size=3_000)
    contest = start("mae").after(y, champion=bad, shadow=good)
    assert contest.reference_rows == 100
    assert contest.champion_is_worse


def test_until_the_reference_is_full_nothing_is_kept() -> None:
    y, good, _ = two_models(150)
    contest = start("roc_auc").after(y[:80], champion=good[:80], shadow=good[:80])
    assert not contest.has_begun
    whole = contest.after(y, champion=good, shadow=good)
    assert whole.has_begun
    assert (whole.reference_rows, whole.rows) == (100, 50)


def test_a_reference_waits_for_a_rare_class_but_not_for_ever() -> None:
    _, good, bad = two_models(600)
    rare = np.zeros(600, int)
    rare[120:130] = 1
    contest = start("roc_auc").after(rare, champion=bad, shadow=good)
    assert contest.reference_rows == 130
    never = start("balanced_accuracy").after(np.zeros(600, int), champion=bad, shadow=good)
    assert never.reference_rows == 500


def test_rows_in_any_division_and_through_json_end_alike() -> None:
    y, good, bad = two_models(1_000, noise=0.5)
    whole = start("log_loss").after(y, champion=bad, shadow=good)
    parts = start("log_loss")
    for piece in np.array_split(np.arange(1_000), 13):
        parts = parts.after(y[piece], champion=bad[piece], shadow=good[piece])
        parts = Contest.from_json(json.loads(json.dumps(parts.to_json())))
    assert parts == whole


def test_the_judges_rows_serve_as_reference_whichever_model_was_the_new_one() -> None:
    judged_y, judged_good, judged_bad = two_models(500, seed=5)
    y, good, bad = two_models(1_000)
    loss = LiveLoss.fit("roc_auc", judged_y, new=judged_bad, old=judged_good)
    contest = start("roc_auc", loss=loss).after(y, champion=bad, shadow=good)
    assert (contest.reference_rows, contest.champion_is_worse) == (0, True)
    turned = start("roc_auc", loss=loss, shadow_is_new=True).after(y, champion=good, shadow=bad)
    assert turned.champion_holds


def test_equal_models_are_rarely_deposed_however_often_one_looks() -> None:
    deposed = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        p = random.uniform(0.05, 0.95, size=400)
        y = (random.uniform(size=400) < p).astype(int)
        first, second = (np.clip(p + random.normal(scale=0.1, size=400), 0.01, 0.99) for _ in range(2))
        pair = [np.column_stack([1 - one, one]) for one in (first, second)]
        contest = start("accuracy", margin=0.0, min_rows=20).after(y, champion=pair[0], shadow=pair[1])
        deposed += contest.champion_is_worse
    assert deposed <= 4  # alpha / 2 of 200 is 1


def test_the_sentence_names_both_models_and_what_is_allowed() -> None:
    y, good, bad = two_models(1_000)
    told = start("accuracy").after(y, champion=bad, shadow=good).sentence("version 4", "version 3")
    assert "version 4's loss (accuracy) is" in told
    assert "higher than version 3's" in told
    assert "0.01 is allowed" in told
    assert start("accuracy").sentence("a", "b") == "no row with its truth counts yet"


def test_shift_is_nothing_between_equals_and_all_between_strangers() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=500)
    assert prediction_shift(values, values) == 0
    assert prediction_shift(values, values + 100) == 1
    one, other = np.eye(3)[[0] * 9 + [1]], np.eye(3)[[2] * 10]
    assert prediction_shift(one, one) == 0
    assert prediction_shift(one, other) == pytest.approx(1)
    assert prediction_shift(np.empty(0), values) == 0
