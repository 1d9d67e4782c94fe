"""The worst slices: what is planted is found and named, chance is not called sure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from trust_house import CLASSIFY, REGRESS, by_formula, exhibit_of

from automl.frames import TEXT_DTYPE
from automl.trust.worst_slices import row_losses, worst_slices


def rows_of(n: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": random.uniform(18, 80, n),
            "plan": pd.array(random.choice(["basic", "plus", "family"], n), dtype=TEXT_DTYPE),
            "seen": random.integers(0, 2, n).astype(float),
        }
    )


def off_by(rows: pd.DataFrame, bad: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Errors of a model of numbers: of one unit, of five where it is bad."""
    return np.where(bad, 5.0, 1.0) * random.choice([-1, 1], len(rows))


def test_a_planted_slice_is_found_measured_on_other_rows_and_named() -> None:
    rows, random = rows_of(3_000), np.random.default_rng(1)
    bad = ((rows["age"] > 60) & (rows["plan"] == "basic")).to_numpy()
    y = random.normal(0, 1, 3_000)
    wrong = y + off_by(rows, bad, random)
    told = worst_slices(exhibit_of(rows, y, by_formula(rows, lambda _: wrong), task=REGRESS))
    assert (told["loss"], told["rows"]) == ("mae", 1_500)
    first = told["slices"][0]
    assert "plan is basic" in first["slice"]
    assert "age above 6" in first["slice"] or "age above 59.9" in first["slice"]
    assert first["sure"] is True
    assert first["loss"] == pytest.approx(5.0, abs=0.2)
    assert first["elsewhere"] == pytest.approx(1.0, abs=0.1)
    assert first["lower"] < 4.0 < first["upper"] + 0.2
    assert first["support"] == pytest.approx(bad.sum() / 2, abs=40)


def test_without_a_worse_part_hardly_any_slice_is_called_sure() -> None:
    sure = 0
    for seed in range(20):
        rows, random = rows_of(1_000, seed), np.random.default_rng(100 + seed)
        y = random.normal(0, 1, 1_000)
        wrong = y + random.normal(0, 1, 1_000)
        told = worst_slices(
            exhibit_of(rows, y, by_formula(rows, lambda _, w=wrong: w), task=REGRESS, seed=seed)
        )
        sure += any(one["sure"] for one in told["slices"])
    assert sure <= 3


def test_the_champions_loss_in_the_slice_stands_beside() -> None:
    rows, random = rows_of(2_000), np.random.default_rng(2)
    bad = (rows["plan"] == "plus").to_numpy()
    y = random.normal(0, 1, 2_000)
    wrong, steady = y + off_by(rows, bad, random), y + 2.0
    exhibit = exhibit_of(
        rows,
        y,
        by_formula(rows, lambda _: wrong),
        champion=by_formula(rows, lambda _: steady),
        task=REGRESS,
    )
    first = worst_slices(exhibit)["slices"][0]
    assert first["slice"] == "plan is plus"
    assert first["champion"] == pytest.approx(2.0)


def test_missing_values_and_times_are_told_in_words() -> None:
    rows, random = rows_of(2_000), np.random.default_rng(3)
    rows["at"] = pd.date_range("2026-01-01", periods=2_000, freq="h", tz="UTC").astype("datetime64[us, UTC]")
    rows.loc[random.random(2_000) < 0.3, "age"] = np.nan
    y = random.normal(0, 1, 2_000)
    for bad, said in (
        (rows["age"].isna().to_numpy(), "missing"),
        ((rows["at"] > pd.Timestamp("2026-03-01", tz="UTC")).to_numpy(), "at above 2026-03-01T"),
        ((rows["seen"] > 0.5).to_numpy(), "seen above 0.5"),
    ):
        wrong = y + off_by(rows, bad, random)
        told = worst_slices(exhibit_of(rows, y, by_formula(rows, lambda _, w=wrong: w), task=REGRESS))
        assert said in told["slices"][0]["slice"], told["slices"][0]


def test_a_ranking_is_looked_at_by_its_log_loss_and_few_rows_not_at_all() -> None:
    y = np.array([0, 1])
    assert row_losses("roc_auc", y, np.full((2, 2), 0.5))[0] == "log_loss"
    assert row_losses("roc_auc", y, np.full((2, 2), 0.5))[1] == pytest.approx([np.log(2)] * 2)
    rows = rows_of(100)
    even = by_formula(rows, lambda asked: np.full((len(asked), 2), 0.5))
    told = worst_slices(exhibit_of(rows, (np.arange(100) % 2), even, task=CLASSIFY))
    assert told["not_measured"] == "there are only 100 rows"
