"""Which groups are judged where rows are of entities, and where resamples lack a group's figure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fairness_cases import LATE, audit, crowd, words

from automl.trust.audit import FairnessRule, audit_report
from automl.trust.fairness import ruling
from automl.trust.gaps import _squares, gap
from automl.trust.mode import Mode

HARD = FairnessRule(
    mode=Mode.HARD, limits={"demographic_parity_difference": 0.1, "equalized_odds_difference": 0.1}
)


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
