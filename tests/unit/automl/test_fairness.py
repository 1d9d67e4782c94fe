"""Figures by group, their gaps, and when one is surely too wide."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    equalized_odds_difference,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from fairness_cases import COLUMNS, LATE, audit, crowd, of_two, thirty, words

from automl.columns import Column, ColumnKind, Schema, TargetSpec
from automl.task import TaskKind
from automl.trust.audit import Audit, FairnessRule, audit_report
from automl.trust.fairness import ruling
from automl.trust.gaps import _squares, gap
from automl.trust.mode import Mode

LIMITS = {"demographic_parity_difference": 0.1, "equalized_odds_difference": 0.1}
HARD = FairnessRule(mode=Mode.HARD, limits=LIMITS)
FEW = FairnessRule(mode=Mode.REPORT, min_rows=10)


def told(found: Audit, group: str, rule: FairnessRule = FEW, task: Any = LATE) -> dict[str, Any]:
    (column,) = audit_report(found, rule)["columns"]
    (one,) = [each for each in column["groups"] if each["group"] == group]
    return {
        each["figure"] if each["label"] in (None, "true") else (each["figure"], each["label"]): each["value"]
        for each in one["challenger"]
    }


def widths(found: Audit) -> dict[str, float]:
    return {one.ours.measure: one.ours.value for one in found.judged}


def test_rates_of_thirty_rows_are_those_counted_by_hand() -> None:
    rows, y, p = thirty()
    found = audit(rows, y, FEW, challenger=p)
    assert told(found, "A") == pytest.approx(
        {
            "selection_rate": 8 / 16,
            "true_positive_rate": 6 / 8,
            "false_positive_rate": 2 / 8,
            "calibration": 0.0,
        }
    )
    assert told(found, "B") == pytest.approx(
        {
            "selection_rate": 2 / 14,
            "true_positive_rate": 2 / 7,
            "false_positive_rate": 0.0,
            "calibration": 4 / 14 - 1 / 2,
        }
    )
    assert widths(found) == pytest.approx(
        {
            "demographic_parity_difference": 1 / 2 - 1 / 7,
            "equalized_odds_difference": 3 / 4 - 2 / 7,  # of true positives; that of false ones is 1/4
            "calibration_difference": 1 / 2 - 4 / 14,
        }
    )
    odds = next(one.ours.widest for one in found.judged if one.ours.measure == "equalized_odds_difference")
    assert (odds.figure.name, odds.groups) == ("true_positive_rate", ("A", "B"))


def test_errors_of_thirty_rows_are_those_counted_by_hand() -> None:
    rows, _, _ = thirty()
    y = np.linspace(10, 39, 30)
    off = np.array([2.0] * 8 + [-1.0] * 8 + [1.0] * 7 + [3.0] * 7)
    task = replace(LATE, kind=TaskKind.REGRESSION, metric="mae", classes=())
    schema = Schema(columns=COLUMNS.columns, target=TargetSpec(kind=TaskKind.REGRESSION, type="number"))
    found = audit(rows, y, FEW, task, schema, challenger=y + off)
    assert told(found, "A") == pytest.approx({"error": 1.5, "bias": 0.5})
    assert told(found, "B") == pytest.approx({"error": 2.0, "bias": 2.0})
    whole = (16 * 1.5 + 14 * 2.0) / 30
    assert widths(found) == pytest.approx({"error_difference": 0.5 / whole, "bias_difference": 1.5 / whole})


def test_each_of_three_classes_is_told_against_the_rest() -> None:
    rows, _, _ = thirty()
    task = replace(LATE, classes=("a", "b", "c"), metric="log_loss")
    y = np.array([0, 1, 2] * 10)
    p = np.eye(3)[np.array([0] * 12 + [1] * 4 + [2] * 14)]  # of A 12 a and 4 b, of B 14 c
    found = audit(rows, y, FEW, task, challenger=p)
    first = told(found, "A", task=task)
    assert first["selection_rate", "a"] == pytest.approx(12 / 16)
    assert first["selection_rate", "b"] == pytest.approx(4 / 16)
    assert first["true_positive_rate", "a"] == pytest.approx(4 / 6)  # rows 0, 3, 6, 9 of 0, 3, …, 15
    widest = found.judged[0].ours.widest
    assert (widest.figure.label, widest.groups, widest.value) == ("c", ("B", "A"), pytest.approx(1.0))


def test_figures_and_gaps_are_those_of_fairlearn() -> None:
    random = np.random.default_rng(3)
    sex = random.choice(["a", "b", "c"], 600)
    y, p = random.integers(0, 2, 600), random.random(600)
    rows = pd.DataFrame({"sex": words(sex), "age": random.random(600), "who": words("x" * 600)})
    found = audit(rows, y, FEW, challenger=of_two(p))
    said = (p > 0.5).astype(int)
    metrics = {
        "selection_rate": selection_rate,
        "true_positive_rate": true_positive_rate,
        "false_positive_rate": false_positive_rate,
    }
    theirs = MetricFrame(metrics=metrics, y_true=y, y_pred=said, sensitive_features=sex).by_group
    for group in "abc":
        ours = told(found, group)
        assert {name: ours[name] for name in metrics} == pytest.approx(theirs.loc[group].to_dict())
    assert widths(found)["demographic_parity_difference"] == pytest.approx(
        demographic_parity_difference(y, said, sensitive_features=sex)
    )
    assert widths(found)["equalized_odds_difference"] == pytest.approx(
        equalized_odds_difference(y, said, sensitive_features=sex)
    )


def test_the_interval_of_a_rate_is_as_wide_as_its_number_of_rows_makes_it() -> None:
    rows, y, p = crowd(4_000, shift=0.0, seed=1)
    (figures,) = audit(rows, y, FEW, challenger=p).figures["challenger"]
    low, high = figures.interval()
    rate, count = figures.values[0], figures.rests_on[0]
    assert high[0] - low[0] == pytest.approx(2 * 1.96 * np.sqrt(rate * (1 - rate) / count), rel=0.12)


def test_rows_of_one_entity_are_drawn_together_and_make_the_interval_wider() -> None:
    rows, y, p = crowd(200, shift=0.0, seed=2)
    whole = pd.concat([rows] * 10, ignore_index=True)
    whole["who"] = words(str(one) for one in np.tile(np.arange(200), 10))
    y, p = np.tile(y, 10), np.tile(p, (10, 1))
    (alone,) = audit(whole, y, FEW, challenger=p).figures["challenger"]
    (together,) = audit(whole, y, FEW, replace(LATE, entity_column="who"), challenger=p).figures["challenger"]
    width = [np.subtract(*one.interval()[::-1])[0, 0] for one in (alone, together)]
    assert width[1] / width[0] == pytest.approx(np.sqrt(10), rel=0.15)


def test_a_planted_gap_blocks_and_names_figure_and_groups() -> None:
    rows, y, p = crowd(2_000, shift=1.5, seed=3)
    passed, reason, against = ruling(audit(rows, y, HARD, challenger=p), HARD)
    assert passed is False
    assert reason.startswith("by sex the ")
    assert "higher for g0 than for g1, surely at least" in reason
    assert [one.ours.measure for one in against] == sorted(LIMITS, reverse=True)


def test_a_gap_that_may_be_chance_does_not_block() -> None:
    rows, y, p = crowd(260, shift=0.5, seed=8)
    found = audit(rows, y, HARD, challenger=p)
    assert max(one.ours.value for one in found.judged) > 0.1
    passed, reason, _ = ruling(found, HARD)
    assert passed is True
    assert "surely wider than allowed" in reason


@pytest.mark.slow
def test_twenty_clean_twins_give_at_most_one_false_alarm_and_twenty_planted_gaps_are_all_found() -> None:
    blocked = {0.0: 0, 1.5: 0}
    for seed in range(20):
        for shift in blocked:
            rows, y, p = crowd(1_000, shift=shift, seed=seed, groups=3)
            blocked[shift] += ruling(audit(rows, y, HARD, challenger=p), HARD)[0] is False
    assert blocked[0.0] <= 1
    assert blocked[1.5] == 20


def test_a_group_below_a_hundred_rows_is_told_and_never_judged() -> None:
    rows, y, p = crowd(1_000, shift=0.0, seed=5)
    odd = np.arange(1_000) < 99
    rows["sex"] = words(np.where(odd, "few", rows["sex"]))
    p[odd] = [0.0, 1.0]  # everybody is selected
    found = audit(rows, y, HARD, challenger=p)
    assert ruling(found, HARD)[0] is True
    (column,) = audit_report(found, HARD)["columns"]
    few = next(one for one in column["groups"] if one["group"] == "few")
    assert (few["rows"], few["judged"], few["challenger"][0]["value"]) == (99, False, 1.0)
    assert not any(one["judged"] for one in few["challenger"])


def test_two_groups_of_one_entity_each_are_told_and_never_judged_whatever_their_difference() -> None:
    rows, y, p = crowd(2_000, shift=1.5, seed=3)
    sites, task = rows.assign(who=rows["sex"]), replace(LATE, entity_column="who")
    found = audit(sites, y, HARD, task, challenger=p)
    passed, reason, _ = ruling(found, HARD)
    assert passed is None
    assert reason == "no two groups of sex have the 100 rows, of 30 entities, that each needs"
    (column,) = audit_report(found, HARD)["columns"]
    assert [(one["units"], one["judged"]) for one in column["groups"]] == [(1, False), (1, False)]
    assert not any(figure["judged"] for one in column["groups"] for figure in one["challenger"])


def test_groups_of_thirty_entities_are_judged_and_of_twenty_nine_are_not() -> None:
    rows, y, p = crowd(2_000, shift=3.0, seed=3)
    task = replace(LATE, entity_column="who")
    for entities, passed in ((30, False), (29, None)):
        mine = [f"{sex} {place % entities}" for place, sex in enumerate(rows["sex"])]
        found = audit(rows.assign(who=words(mine)), y, HARD, task, challenger=p)
        assert ruling(found, HARD)[0] is passed


def test_where_each_row_is_an_entity_of_its_own_groups_are_judged_by_rows() -> None:
    rows, y, p = crowd(400, shift=1.5, seed=3)
    alone = rows.assign(who=words(f"w{place}" for place in range(400)))
    (told,) = audit_report(audit(alone, y, HARD, replace(LATE, entity_column="who"), challenger=p), HARD)[
        "columns"
    ]
    assert all(one["judged"] and one["units"] == one["rows"] for one in told["groups"])


def test_variances_of_differences_are_those_of_the_resamples_in_which_both_groups_have_a_figure() -> None:
    drawn = np.random.default_rng(1).normal(5.0, 0.1, size=(200, 4))
    drawn[:100, 1] = np.nan
    drawn[100:, 2] = np.nan
    drawn[:151, 3] = np.nan  # 49 are left
    squares = _squares(drawn)
    assert squares[0, 1] == pytest.approx(np.var((drawn[:, 0] - drawn[:, 1])[100:], ddof=1))
    assert squares[0, 2] == squares[2, 0] == pytest.approx(np.var((drawn[:, 0] - drawn[:, 2])[:100], ddof=1))
    assert np.isnan(squares[1, 2])  # never both
    assert np.isnan(squares[3]).all()


def test_a_gap_of_groups_that_hardly_any_resample_has_both_of_is_not_judged() -> None:
    rows, y, p = crowd(2_000, shift=1.5, seed=3)
    found = audit(rows, y, HARD, challenger=p)
    (measured,), (grouping,) = found.figures["challenger"], found.groupings
    assert gap(measured, grouping, "demographic_parity_difference", least=100, alpha=0.01) is not None
    few = replace(measured, drawn=np.where(np.arange(1_000)[:, None, None] < 49, measured.drawn, np.nan))
    assert gap(few, grouping, "demographic_parity_difference", least=100, alpha=0.01) is None


def test_where_no_two_groups_are_large_enough_nothing_is_decided() -> None:
    rows, y, p = thirty()
    passed, reason, _ = ruling(audit(rows, y, HARD, challenger=p), HARD)
    assert passed is None
    assert reason == "no two groups of sex have the 100 rows that each needs"


def test_a_rate_is_judged_of_as_many_positives_as_it_needs() -> None:
    rows, y, p = crowd(1_000, shift=0.0, seed=6)
    mine = np.flatnonzero((rows["sex"] == "g0").to_numpy())
    y[mine], y[mine[:20]] = 0, 1  # 20 positives are fewer than three tenths of 100
    p[mine[:20]] = [1.0, 0.0]
    (column,) = audit_report(audit(rows, y, HARD, challenger=p), HARD)["columns"]
    figures = {one["figure"]: one["judged"] for one in column["groups"][0]["challenger"]}
    assert figures == {
        "selection_rate": True,
        "true_positive_rate": False,
        "false_positive_rate": True,
        "calibration": True,
    }


def test_a_rate_that_was_always_zero_is_not_taken_for_certain() -> None:
    rows, y, p = crowd(220, shift=0.0, seed=9)
    y[:] = np.arange(220) % 2
    p[:] = [1.0, 0.0]
    found = audit(rows, y, HARD, challenger=p)
    assert all(one.ours.high > 0.02 for one in found.judged if one.limit)


def test_a_challenger_that_surely_widens_the_gap_is_inferior_and_one_as_unfair_as_the_champion_is_not() -> (
    None
):
    rule = replace(HARD, mode=Mode.NON_INFERIOR, margin=0.05)
    rows, y, fair = crowd(3_000, shift=0.0, seed=11)
    _, _, unfair = crowd(3_000, shift=1.5, seed=11)
    passed, reason, _ = ruling(audit(rows, y, rule, challenger=unfair, champion=fair), rule)
    assert passed is False
    assert "surely wider by more than the 0.05 allowed" in reason
    # As unfair as the champion, beyond the limits of `hard`: not inferior.
    assert ruling(audit(rows, y, rule, challenger=unfair, champion=unfair), rule)[0] is True
    assert ruling(audit(rows, y, rule, challenger=fair, champion=unfair), rule)[0] is True
    assert ruling(audit(rows, y, rule, challenger=unfair), rule)[0] is None


def test_many_rows_columns_and_classes_are_drawn_less_often() -> None:
    rows, y, p = crowd(300, shift=0.0, seed=4)
    assert len(audit(rows, y, FEW, challenger=p).figures["challenger"][0].drawn) == 1_000
    task = replace(LATE, classes=tuple(range(12)), metric="log_loss")
    wide = {f"column {place}": words(rows["sex"]) for place in range(40)}
    many = pd.concat([rows.assign(**wide)] * 40, ignore_index=True)
    schema = Schema(
        columns=(*COLUMNS.columns, *(Column(name=name, kind=ColumnKind.CATEGORICAL) for name in wide)),
        target=COLUMNS.target,
    )
    random = np.random.default_rng(1)
    answers = random.dirichlet(np.ones(12), len(many))
    found = audit(
        many[:2_000],
        random.integers(0, 12, 2_000),
        replace(FEW, columns=tuple(wide)),
        task,
        schema,
        challenger=answers[:2_000],
    )
    assert len(found.figures["challenger"][0].drawn) == 500_000_000 // (5 * 2_000 * 41 * 10)


def test_the_same_rows_and_seed_give_the_same_audit() -> None:
    rows, y, p = crowd(500, shift=0.4, seed=12)
    assert audit_report(audit(rows, y, HARD, challenger=p), HARD) == audit_report(
        audit(rows, y, HARD, challenger=p), HARD
    )


def test_a_rule_reads_its_limits_from_the_policy() -> None:
    rule = FairnessRule.from_json(
        {
            "mode": "hard",
            "columns": ["age"],
            "max_calibration": 0.2,
            "max_error": None,
            "margin": 0.1,
            "window": 2_000,
        }
    )
    assert rule == FairnessRule(
        mode=Mode.HARD, columns=("age",), limits={"calibration_difference": 0.2}, margin=0.1
    )
    assert rule.audited(LATE) == ("sex", "age")
