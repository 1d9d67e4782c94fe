"""Robustness: what is done to rows, what it costs a model, and when that stops a promotion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from trust_house import CLASSES, CLASSIFY, REGRESS, by_formula, by_learning, exhibit_of, schema_of

from automl.frames import TEXT_DTYPE
from automl.task import Task
from automl.trust.exhibit import Exhibit
from automl.trust.mode import Mode
from automl.trust.perturbation import UNSEEN, Bad, Columns, applies, spoiled
from automl.trust.questions import affordable
from automl.trust.robustness import LEVELS, RobustnessRule, robustness_gates
from automl.trust.scores import Loss, Scale

RANDOM = np.random.default_rng


def table(n: int = 400) -> pd.DataFrame:
    random = RANDOM(3)
    return pd.DataFrame(
        {
            "size": random.normal(10, 2, n),
            "rooms": random.integers(1, 9, n).astype(float),
            "place": pd.array(random.choice(["north", "south"], n), dtype=TEXT_DTYPE),
            "at": pd.date_range("2026-01-01", periods=n, freq="h", tz="UTC").astype("datetime64[us, UTC]"),
        }
    )


def columns_of(rows: pd.DataFrame) -> Columns:
    return Columns.of(schema_of(rows, CLASSES), tuple(rows.columns), rows)


def step(rows: pd.DataFrame) -> np.ndarray:
    """Says yes where x is above 15, and no where it is missing."""
    yes = (rows["x"] > 15).to_numpy(dtype=float)
    return np.column_stack([1 - yes, yes])


def test_noise_has_the_asked_size_and_touches_numbers_only() -> None:
    rows = table()
    after = spoiled(Bad.NOISE, rows, columns_of(rows), 0.1, RANDOM(0))
    lower, upper = np.percentile(rows["size"], (25, 75))
    assert np.std(after["size"] - rows["size"]) == pytest.approx(0.1 * (upper - lower), rel=0.15)
    assert after["place"].equals(rows["place"])
    assert after["at"].equals(rows["at"])
    assert list(after.dtypes) == list(rows.dtypes)


def test_missing_unseen_units_and_time_change_what_they_say_and_keep_the_dtypes() -> None:
    rows = table()
    columns = columns_of(rows)
    gaps = spoiled(Bad.MISSING, rows, columns, 0.1, RANDOM(0))
    assert gaps.isna().mean().to_numpy() == pytest.approx([0.1] * 4, abs=0.04)
    words = spoiled(Bad.UNSEEN, rows, columns, 0.2, RANDOM(0))
    assert (words["place"] == UNSEEN).mean() == pytest.approx(0.2, abs=0.05)
    units = spoiled(Bad.UNITS, rows, columns, 0.1, RANDOM(0))
    ratio = np.column_stack([units[name] / rows[name] for name in ("size", "rooms")])
    assert set(np.unique(ratio.round(6))) == {1.0, 1000.0}
    assert (ratio > 2).sum(axis=1).max() == 1
    assert (ratio > 2).any(axis=1).mean() == pytest.approx(0.1, abs=0.05)
    later = spoiled(Bad.TIME, rows, columns, 30, RANDOM(0))
    assert ((later["at"] - rows["at"]) == pd.Timedelta(days=30)).all()
    for after in (gaps, words, units, later):
        assert list(after.dtypes) == list(rows.dtypes)


def test_what_a_table_has_no_column_for_is_not_asked() -> None:
    rows = table()[["place"]]
    columns = columns_of(rows)
    assert [kind for kind in Bad if applies(kind, columns)] == [Bad.MISSING, Bad.UNSEEN]


def test_thirty_rows_by_hand() -> None:
    """x is 1 to 30 and the label is x > 15: the model is always right. Missing says no, so of the 15 rows that are yes
    those with a gap are wrong; a thousand times x says yes, so of the 15 that are no those in other units are wrong."""
    rows = pd.DataFrame({"x": np.arange(1.0, 31.0)})
    y = (rows["x"] > 15).to_numpy(dtype=int)
    exhibit = exhibit_of(rows, y, by_formula(rows, step))
    report = robustness_gates(exhibit, RobustnessRule()).report
    assert report["clean"] == {"challenger": 1.0}
    curves = {curve["kind"]: curve for curve in report["curves"]}
    assert set(curves) == {"noise", "missing", "units"}
    random = RANDOM(exhibit.seed)
    for kind in (Bad.NOISE, Bad.MISSING, Bad.UNITS):
        for level, score in zip(LEVELS[kind], curves[kind.value]["challenger"], strict=True):
            if kind is Bad.NOISE:  # the interquartile range of 1 to 30 is 14.5
                x = rows["x"] + random.normal(0.0, level * 14.5, 30)
                expected = ((x > 15) == (rows["x"] > 15)).mean()
            elif kind is Bad.MISSING:
                hit = random.random(30) < level
                expected = 1 - (hit & (y == 1)).sum() / 30
            else:
                hit = random.random(30) < level
                random.integers(1, size=30)
                expected = 1 - (hit & (y == 0)).sum() / 30
            assert score == pytest.approx(expected), (kind, level)


def fragile(gate_mode: str, **more: float) -> tuple[object, object]:
    """One column says everything exactly at a threshold; a second model leans on two."""
    random = RANDOM(1)
    rows = pd.DataFrame({"x": random.normal(0, 1, 1500), "z": random.normal(0, 1, 1500)})
    y = (rows["x"] > 0).to_numpy(dtype=int)

    def brittle(asked: pd.DataFrame) -> np.ndarray:
        yes = ((asked["x"] > 0) & (asked["x"].abs() < 50) & asked["z"].notna()).to_numpy(dtype=float)
        return np.column_stack([1 - yes, yes])

    def steady(asked: pd.DataFrame) -> np.ndarray:
        yes = (asked["x"].fillna(0.5) > 0).to_numpy(dtype=float)
        return np.column_stack([1 - yes, yes])

    rule = RobustnessRule.from_json({"mode": gate_mode, **more})
    challenger, champion = by_formula(rows, brittle), by_formula(rows, steady)
    bad = robustness_gates(exhibit_of(rows, y, challenger, champion=champion), rule).gates[0]
    good = robustness_gates(exhibit_of(rows, y, champion, champion=champion), rule).gates[0]
    return bad, good


def test_hard_blocks_what_loses_more_than_allowed_and_names_the_fault() -> None:
    bad, _ = fragile("hard", max_loss=0.05)
    assert bad.passed is False
    assert bad.evidence["blocks"] is True
    assert "10% of all values missing costs" in bad.reason
    assert bad.evidence["losses"]["missing"]["lower"] > 0.05
    assert fragile("hard", max_loss=0.5)[0].passed is True


def test_non_inferior_blocks_what_takes_a_fault_worse_than_the_champion_does() -> None:
    bad, good = fragile("non_inferior", margin=0.02)
    assert bad.passed is False
    assert bad.evidence["blocks"] is True
    assert "10% of all values missing it is worse than the champion by" in bad.reason
    assert good.passed is True


def test_report_tells_the_same_and_blocks_nothing() -> None:
    bad, _ = fragile("report", max_loss=0.05)
    assert bad.passed is False
    assert bad.evidence["blocks"] is False


def test_the_first_model_has_nobody_to_be_held_against() -> None:
    rows = pd.DataFrame({"x": np.arange(30.0)})
    exhibit = exhibit_of(rows, (np.arange(30) > 15).astype(int), by_formula(rows, step))
    gate = robustness_gates(exhibit, RobustnessRule(mode=Mode.NON_INFERIOR)).gates[0]
    assert gate.passed is None
    assert gate.evidence["blocks"] is False


def test_of_numbers_margins_are_shares_of_the_naive_error() -> None:
    rows = pd.DataFrame({"x": np.arange(-500.0, 500.0)})
    y = 1000.0 * rows["x"].to_numpy()
    exact = by_formula(rows, lambda asked: 1000.0 * asked["x"].fillna(0.0).to_numpy())
    gate = robustness_gates(
        exhibit_of(rows, y, exact, task=REGRESS), RobustnessRule(mode=Mode.HARD, max_loss=0.5)
    ).gates[0]
    # every tenth value is taken for 0, which costs a tenth of what always saying the median costs
    assert gate.evidence["losses"]["missing"]["estimate"] == pytest.approx(0.1, abs=0.02)


def test_a_real_pipeline_answers_every_fault_in_two_calls_or_one() -> None:
    rows = table(600)
    y = (rows["size"] + RANDOM(0).normal(0, 1, 600) > 10).to_numpy(dtype=int)
    standing = by_learning(rows, y, rows, schema_of(rows, CLASSES), CLASSIFY)
    report = robustness_gates(exhibit_of(rows, y, standing), RobustnessRule()).report
    assert [curve["kind"] for curve in report["curves"]] == [kind.value for kind in Bad]
    noise = report["curves"][0]["challenger"]
    assert report["clean"]["challenger"] > noise[-1]


def scale_of(rows: pd.DataFrame, y: np.ndarray, task: Task) -> Scale:
    return Scale.of(exhibit_of(rows, y, by_formula(rows, step), task=task))


def width(loss: Loss) -> float:
    assert loss.lower is not None
    assert loss.upper is not None
    return loss.upper - loss.lower


def one_of_ten_goes_wrong() -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """Forty machines of twenty rows beside each other; from right answers four machines fall to wrong ones."""
    machine = np.repeat(np.arange(40), 20)
    rows = pd.DataFrame({"x": np.zeros(800), "machine": pd.array([f"m{one}" for one in machine], TEXT_DTYPE)})
    y = np.tile([0, 1], 400)
    before = np.column_stack([1 - y, y]).astype(float)
    after = np.where((machine % 10 == 0)[:, None], before[:, ::-1], before)
    return rows, y, before, after


def test_what_a_fault_costs_is_drawn_by_entities_where_the_task_names_them() -> None:
    rows, y, before, after = one_of_ten_goes_wrong()
    alone = scale_of(rows, y, CLASSIFY).loss(before, after, alpha=0.05)
    together = scale_of(rows, y, replace(CLASSIFY, entity_column="machine")).loss(before, after, alpha=0.05)
    assert together.estimate == alone.estimate == pytest.approx(0.1)
    assert width(together) / width(alone) == pytest.approx(np.sqrt(20), rel=0.25)


def test_what_a_fault_costs_is_drawn_by_blocks_where_rows_come_in_time() -> None:
    rows, y, before, after = one_of_ten_goes_wrong()
    alone = scale_of(rows, y, CLASSIFY).loss(before, after, alpha=0.05)
    timed = scale_of(rows, y, replace(CLASSIFY, time_column="at")).loss(before, after, alpha=0.05)
    assert timed.estimate == alone.estimate
    assert width(timed) > 2 * width(alone)


def test_what_rests_on_a_rare_class_is_less_sure_and_below_five_rows_of_it_undecided() -> None:
    rows = pd.DataFrame({"x": np.zeros(400)})
    task = replace(CLASSIFY, metric="balanced_accuracy")
    found = {}
    for rare in (4, 5, 200):
        y = (np.arange(400) < rare).astype(int)
        before = np.column_stack([1 - y, y]).astype(float)
        after = np.where((np.arange(400) % 5 == 0)[:, None], before[:, ::-1], before)
        found[rare] = scale_of(rows, y, task).loss(before, after, alpha=0.05)
    assert found[4] == Loss(estimate=None, lower=None, upper=None)
    assert found[5].estimate == found[200].estimate == pytest.approx(0.2)
    # with five rows Student's bound: 2.13 standard errors, not what percentiles of so few say
    assert found[5].lower is not None
    assert found[5].lower < 0.0 < (found[200].lower or 0.0)


def test_a_slow_model_is_asked_about_fewer_rows() -> None:
    rows = pd.DataFrame({"x": np.arange(1500.0)})
    slow = by_formula(rows, step)
    object.__setattr__(slow, "row_seconds", 1e-3)
    exhibit = exhibit_of(rows, (np.arange(1500) > 15).astype(int), slow, seconds=10.0)
    assert robustness_gates(exhibit, RobustnessRule()).report["rows"] == 291


def test_a_model_that_is_too_slow_for_a_hundred_rows_is_not_asked_and_the_report_says_why() -> None:
    rows = pd.DataFrame({"x": np.arange(1500.0)})
    asked: list[int] = []

    def counted(some: pd.DataFrame) -> np.ndarray:
        asked.append(len(some))
        return step(some)

    slow = replace(by_formula(rows, counted), row_seconds=1.0)
    asked.clear()
    exhibit = exhibit_of(rows, (np.arange(1500) > 15).astype(int), slow, seconds=10.0)
    found = robustness_gates(exhibit, RobustnessRule(mode=Mode.HARD, label_noise=False))
    assert asked == []
    assert found.gates[0].passed is None
    assert found.gates[0].reason == (
        "not measured: the models are too slow to be asked about 100 rows 12 times in the time that there is for it"
    )
    assert found.report["curves"] == []
    assert found.report["not_measured"] in found.gates[0].reason
    assert found.report["clean"] == {"challenger": 1.0}  # was answered before
    assert "100 rows 2 times" in found.report["columns"]["not_measured"]


def test_a_holdout_smaller_than_a_hundred_rows_is_asked_about_where_there_is_time_for_all_of_it() -> None:
    rows = pd.DataFrame({"x": np.arange(60.0)})
    for seconds, most in ((61.0, 61), (59.0, 0)):
        slow = replace(by_formula(rows, step), row_seconds=0.1)
        shown = exhibit_of(rows, (np.arange(60) > 15).astype(int), slow, seconds=seconds)
        assert affordable(shown, 10) == most


def planted(seed: int, *, broken: bool) -> Exhibit:
    """Patients by weight and pressure, learnt by a logistic regression; where ``broken``, one weight in twenty is in
    grams."""
    random = RANDOM(seed)
    n = 1_600
    rows = pd.DataFrame({"weight": random.normal(70, 12, n), "pressure": random.normal(120, 15, n)})
    y = (rows["weight"] + rows["pressure"] + random.normal(0, 12, n) > 190).to_numpy(dtype=int)
    if broken:
        rows["weight"] = rows["weight"].where(random.random(n) >= 0.05, rows["weight"] * 1000)
    train, gate = rows.iloc[:1_000], rows.iloc[1_000:].reset_index(drop=True)
    schema = schema_of(rows, CLASSES)
    standing = by_learning(train, y[:1_000], gate, schema, CLASSIFY)
    return exhibit_of(
        gate,
        y[1_000:],
        standing,
        champion=standing,
        train=train,
        train_y=y[:1_000],
        schema=schema,
        seed=seed,
        seconds=60,
    )


@pytest.mark.slow
def test_a_planted_unit_error_is_named_and_blocks_in_each_of_20_draws_and_its_clean_twin_never_does() -> None:
    rule = RobustnessRule(mode=Mode.HARD, max_loss=0.1, unit_errors=Mode.HARD, label_noise=False)
    false_alarms = 0
    for seed in range(20):
        found = robustness_gates(planted(seed, broken=True), rule).gates
        units = next(gate for gate in found if gate.name == "units")
        assert units.passed is False
        assert units.evidence["blocks"] is True
        assert "weight" in units.reason
        assert "1,000 times" in units.reason
        clean = robustness_gates(planted(seed, broken=False), rule).gates
        false_alarms += any(gate.evidence["blocks"] for gate in clean)
    assert false_alarms == 0
