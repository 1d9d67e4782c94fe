"""Drift: pinned effect sizes over fixed windows, by the real Evidently."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from automl import drift as doorway
from automl.drift import DriftRule, DriftShapeError, drift, own_distances
from automl.schema import Column, ColumnKind, Schema, TargetSpec
from automl.task import TaskKind

KINDS = {
    "age": ColumnKind.NUMERIC,
    "tiny": ColumnKind.NUMERIC,
    "constant": ColumnKind.NUMERIC,
    "colour": ColumnKind.CATEGORICAL,
    "airport": ColumnKind.CATEGORICAL,
    "active": ColumnKind.BOOLEAN,
    "note": ColumnKind.TEXT,
    "seen_at": ColumnKind.DATETIME,
    'a"</script>': ColumnKind.NUMERIC,
}
SCHEMA = Schema(
    columns=tuple(Column(name=name, kind=kind) for name, kind in KINDS.items()),
    target=TargetSpec(kind=TaskKind.REGRESSION, type="number"),
)
RULE = DriftRule()


def rows(n: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": random.normal(40, 10, n),
            "tiny": random.normal(0, 1e-6, n),
            "constant": np.full(n, 0.1),
            "colour": random.choice(["red", "green", "blue"], n, p=[0.5, 0.3, 0.2]),
            "airport": [f"A{i}" for i in random.zipf(1.3, n) % 500],
            "active": random.random(n) < 0.3,
            "note": ["w" * int(length) for length in random.integers(5, 80, n)],
            "seen_at": pd.Timestamp("2026-01-01", tz="UTC")
            + pd.to_timedelta(random.integers(0, 999, n), unit="h"),
            'a"</script>': random.lognormal(0, 1, n),
        }
    )
    frame.loc[random.random(n) < 0.1, "age"] = np.nan
    frame["colour"] = frame["colour"].where(random.random(n) > 0.1, None)
    return frame


def column(report: Any, name: str) -> Any:
    return next(each for each in report.columns if each.name == name)


def test_window_that_is_not_full_is_refused_with_the_numbers() -> None:
    with pytest.raises(ValueError, match="full window of 1,000 rows is needed, 60 are there"):
        drift(rows(2000, 0), rows(60, 1), SCHEMA, RULE, seed=0)
    with pytest.raises(ValueError, match="at least 500 rows is needed, 499"):
        drift(rows(499, 0), rows(1000, 1), SCHEMA, RULE, seed=0)
    assert RULE.lacking(reference=500, current=1000) is None


def test_no_column_to_compare_is_refused() -> None:
    with pytest.raises(ValueError, match="no column"):
        drift(rows(600, 0), rows(1000, 1), SCHEMA, RULE, seed=0, columns=[])


def test_dates_alone_are_compared_by_their_missing_share_without_evidently() -> None:
    new = rows(1000, 1)
    new.loc[:299, "seen_at"] = pd.NaT
    report = drift(rows(600, 0), new, SCHEMA, RULE, seed=0, columns=["seen_at"])
    found = column(report, "seen_at")
    assert (found.method, found.score, found.drifted) == ("missing_share", 0.3, True)


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"metrics": None},
        {"metrics": [{"value": 0.1}]},
        {"metrics": [{"config": {"column": "c0", "method": "wasserstein"}, "value": {"score": 0.1}}]},
        {"metrics": [{"config": {"column": "c0", "method": "ks"}, "value": 0.1}]},
        {"metrics": [{"config": {"column": "c9", "method": "wasserstein"}, "value": 0.1}]},
        {"metrics": [{"config": {"column": "c0", "method": "wasserstein"}, "value": float("nan")}]},
        {"metrics": []},
    ],
)
def test_result_of_an_unknown_shape_is_an_error_that_says_so(result: Any) -> None:
    with pytest.raises(DriftShapeError, match="evidently"):
        doorway._read(result, {"c0": "wasserstein"})


def test_importing_the_doorway_imports_no_evidently() -> None:
    code = "import sys, automl.drift; assert not any(m.startswith('evidently') for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_unchanged_rows_do_not_drift_and_the_report_is_plain_json() -> None:
    report = drift(rows(6000, 0), rows(1500, 1), SCHEMA, RULE, seed=0)
    assert (report.share, report.drifted, report.drifted_columns) == (0.0, False, ())
    assert (report.rows_reference, report.rows_current) == (5000, 1000)
    assert [each.name for each in report.columns] == list(KINDS)
    kept = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert kept["columns"][0]["method"] == "wasserstein"
    assert kept["rule"]["window"] == 1000
    assert os.environ["DO_NOT_TRACK"] == "1"


@pytest.mark.slow
def test_every_kind_of_change_is_seen_in_its_column_and_no_other() -> None:
    old, new = rows(5000, 0), rows(1000, 1)
    new["age"] = new["age"] * 1000  # another unit
    new["tiny"] = new["tiny"] + 1e-6  # one deviation, however small the unit
    new["constant"] = 0.2
    new["colour"] = new["colour"].where(new["colour"] != "blue", "violet")  # a category never seen
    new["airport"] = "A1"
    new["active"] = ~new["active"]
    new["note"] = new["note"] * 3
    new.loc[:199, "seen_at"] = pd.NaT
    report = drift(old, new, SCHEMA, RULE, seed=0)
    assert report.drifted
    assert set(report.drifted_columns) == set(KINDS) - {'a"</script>'}
    assert column(report, "age").score > 1000


@pytest.mark.slow
def test_scores_are_the_pinned_distances_of_present_values() -> None:
    old, new = rows(5000, 0), rows(1000, 1)
    new["age"] = new["age"] + 3
    report = drift(old, new, SCHEMA, RULE, seed=0)
    there, here = old["age"].dropna(), new["age"].dropna()
    distance = wasserstein_distance(there, here) / there.std(ddof=0)
    assert column(report, "age").score == pytest.approx(distance)
    shares = [frame["colour"].value_counts(normalize=True).sort_index() for frame in (old, new)]
    assert column(report, "colour").score == pytest.approx(jensenshannon(*shares), abs=1e-3)
    assert column(report, "age").missing_reference == old["age"].isna().mean()


@pytest.mark.slow
def test_column_gone_missing_drifts_and_an_absent_one_is_missing_throughout() -> None:
    old, new = rows(2000, 0), rows(1000, 1)
    new["active"] = new["active"].astype(object).where(new.index % 3 != 0, None)
    new = new.drop(columns=["note"])
    report = drift(old, new, SCHEMA, RULE, seed=0)
    assert set(report.drifted_columns) == {"note", "active"}
    assert column(report, "note").method == "missing_share"
    assert column(report, "note").missing_current == 1.0


def test_few_values_have_to_move_further_than_chance_moves_them() -> None:
    random = np.random.default_rng(1)
    few = pd.DataFrame({"age": random.normal(size=100)})
    rule = DriftRule(window=100, min_reference=100, joint=None)
    scores = []
    for seed in range(20):
        other = pd.DataFrame({"age": np.random.default_rng(100 + seed).normal(size=100)})
        found = drift(few, other, SCHEMA, rule, seed=0, columns=["age"], measure=own_distances).columns[0]
        scores.append(found.score)
        assert not found.drifted or found.p_value <= rule.q
    assert np.mean(np.array(scores) >= 0.1) > 0.8  # the effect size alone would have called most of them
    moved = few + 1.0
    found = drift(few, moved, SCHEMA, rule, seed=0, columns=["age"], measure=own_distances).columns[0]
    assert found.drifted


def test_large_window_is_sampled_as_the_reference_is() -> None:
    rule = DriftRule(window=3000, reference_rows=800, joint=None)
    new = rows(3000, 1)
    new["age"] += 20
    report = drift(rows(2000, 0), new, SCHEMA, rule, seed=0, measure=own_distances)
    assert (report.rows_reference, report.rows_current) == (800, 800)
    assert report.drifted_columns == ("age",)


def test_draws_suffice_for_one_column_of_many_and_are_bounded() -> None:
    for columns in (5, 20, 300, 800):
        draws = doorway._draws(columns, 1, 6000, RULE)
        assert 2 / (1 + draws) * columns <= RULE.q
    for columns, large, count in ((20, 20, 6000), (1000, 3, 10_000), (50_000, 1, 10_000)):
        assert doorway._draws(columns, large, count, RULE) * large * count <= 1_000_000_000


def test_significant_change_that_is_too_small_to_matter_is_no_drift() -> None:
    random = np.random.default_rng(0)
    old, new = (pd.DataFrame({"active": random.random(n) < p}) for n, p in ((5000, 0.30), (1000, 0.36)))
    found = drift(old, new, SCHEMA, RULE, seed=0, columns=["active"], measure=own_distances).columns[0]
    assert found.p_value <= 0.01
    assert found.score < 0.1
    assert not found.drifted


@pytest.mark.slow
def test_one_column_of_three_hundred_is_still_found() -> None:
    random = np.random.default_rng(0)
    names = [f"x{i}" for i in range(300)]
    schema = Schema(
        columns=tuple(Column(name=name, kind=ColumnKind.BOOLEAN) for name in names), target=SCHEMA.target
    )
    old, new = (pd.DataFrame(random.random((n, 300)) < 0.3, columns=names) for n in (1000, 1000))
    new["x7"] = random.random(1000) < 0.6
    rule = DriftRule(joint=None, draws=50)
    report = drift(old, new, schema, rule, seed=0, measure=own_distances)
    assert report.drifted_columns == ("x7",)


def test_all_columns_that_moved_pass_the_adjustment_together() -> None:
    old, new = rows(2000, 0), rows(1000, 1)
    new["age"], new["tiny"], new["note"] = new["age"] + 9, new["tiny"] * 3, new["note"] * 2
    report = drift(old, new, SCHEMA, DriftRule(joint=None), seed=0, measure=own_distances)
    assert set(report.drifted_columns) == {"age", "tiny", "note"}
    assert report.top_columns == report.drifted_columns
    for each in report.columns:
        assert each.p_value <= each.q_value <= 1.0
        assert each.drifted or each.score < each.threshold


@pytest.mark.slow
def test_columns_that_only_move_together_are_seen_by_the_joint_flag_alone() -> None:
    random = np.random.default_rng(0)

    def pair(n: int, correlation: float) -> pd.DataFrame:
        both = random.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], size=n)
        return pd.DataFrame({"age": both[:, 0], "tiny": both[:, 1], "constant": random.normal(size=n)})

    report = drift(
        pair(5000, 0.8),
        pair(1000, -0.8),
        SCHEMA,
        RULE,
        seed=0,
        columns=["age", "tiny", "constant"],
        measure=own_distances,
    )
    assert report.drifted_columns == ()
    assert not report.drifted
    assert report.joint is not None
    assert report.joint.drifted
    assert set(report.top_columns[:2]) == {"age", "tiny"}
    kept = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert kept["top_columns"][:2] == list(report.top_columns[:2])
    assert kept["joint"]["lower"] > 0.55


@pytest.mark.slow
def test_same_rows_and_seed_give_the_same_report() -> None:
    old, new = rows(7000, 0), rows(1000, 1)
    one, other = (drift(old, new, SCHEMA, RULE, seed=3).to_json() for _ in range(2))
    assert one == other


@pytest.mark.slow
@pytest.mark.parametrize("reference", [500, 5000])
def test_windows_without_change_are_never_called_drifted(reference: int) -> None:
    shares = [drift(rows(reference, s), rows(1000, 500 + s), SCHEMA, RULE, seed=s).share for s in range(10)]
    assert max(shares) == 0.0
