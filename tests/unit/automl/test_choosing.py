"""Which blend stands, and what a recipe keeps for later searches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor

from automl.engines.allowance import Allowance
from automl.engines.blending import reserves
from automl.engines.choosing import BlendRule, Limits, best_choice
from automl.engines.contract import problems
from automl.engines.evaluation import Prepared, prepare
from automl.engines.protocol import Start
from automl.engines.rebuilding import described
from automl.engines.trials import Tried

RULE = BlendRule()


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(problems.regression(), seed=0)


def limits(**more: Any) -> Limits:
    return Limits(allowance=Allowance(budget_seconds=60.0), at_once=2, seed=0, **more)


def tried(prepared: Prepared, name: str, off: float, *, refit: float = 0.1, past: bool = False) -> Tried:
    """A trial whose answers are ``off`` the truth by so much on every row."""
    answers = tuple((fold.y + off).astype(np.float32) for fold in prepared.folds)
    return Tried(
        engine="gone",
        estimator=name,
        config={"name": name},
        score=abs(off),
        refit_seconds=refit,
        answers=answers,
        fold_scores=tuple(abs(off) for _ in prepared.folds),
        model=described(Ridge()) if past else None,
    )


def start(name: str, share: float) -> Start:
    return Start(engine="gone", estimator=name, config={"name": name}, model=described(Ridge()), share=share)


def test_a_blend_stands_where_it_is_better_on_rows_that_did_not_choose_it(prepared: Prepared) -> None:
    found = best_choice([tried(prepared, "up", 1.0), tried(prepared, "down", -1.0)], prepared, RULE, limits())
    assert found.used
    assert {one.estimator: share for one, share in found.parts} == {"up": 0.5, "down": 0.5}
    assert found.score == pytest.approx(0.0, abs=1e-3)


def test_a_blend_that_gains_no_more_than_the_margin_does_not_stand_and_says_so(prepared: Prepared) -> None:
    kept = [tried(prepared, "up", 1.0), tried(prepared, "down", -1.0)]
    found = best_choice(kept, prepared, BlendRule(margin=10.0), limits())
    assert not found.used
    assert found.report["reason"].endswith("gains 1 rmse on rows that did not choose it, not more than 10")


def test_the_champions_blend_is_asked_for_as_it_was(prepared: Prepared) -> None:
    kept = [tried(prepared, "up", 1.0, past=True), tried(prepared, "down", -3.0, past=True)]
    starts = [start("up", 0.75), start("down", 0.25)]
    found = best_choice(
        kept, prepared, RULE, limits(rounds=2), starts=starts
    )  # two rounds can't find three to one
    assert found.used
    assert {one.estimator: share for one, share in found.parts} == {"up": 0.75, "down": 0.25}
    half = best_choice(kept[:1], prepared, RULE, limits(), starts=starts)
    assert not half.used  # a part of it is missing


def test_a_blend_that_stands_is_not_lost_by_more_to_choose_from(prepared: Prepared) -> None:
    early = best_choice([tried(prepared, "up", 1.0), tried(prepared, "down", -1.0)], prepared, RULE, limits())
    later = [tried(prepared, "late", 0.5), tried(prepared, "other", 0.6)]
    found = best_choice(later, prepared, RULE, limits(), standing=early)
    assert {one.estimator for one, _ in found.parts} == {"up", "down"}
    too_long = replace(
        early, parts=tuple((replace(one, refit_seconds=1e3), share) for one, share in early.parts)
    )
    assert not best_choice(later, prepared, RULE, limits(), standing=too_long).used


def test_a_blend_that_stands_gives_way_to_a_single_model_that_is_better(prepared: Prepared) -> None:
    early = best_choice([tried(prepared, "up", 1.0), tried(prepared, "down", -3.0)], prepared, RULE, limits())
    assert early.used
    worse = replace(early, score=0.7)
    later = [tried(prepared, "late", 0.5), tried(prepared, "other", 0.6)]
    assert not best_choice(later, prepared, RULE, limits(), standing=worse).used
    assert best_choice(later, prepared, RULE, limits(), standing=replace(early, score=0.4)).score == 0.4


def test_a_blend_that_takes_too_long_to_train_is_not_chosen(prepared: Prepared) -> None:
    kept = [tried(prepared, "up", 1.0), tried(prepared, "down", -1.0, refit=10.0)]
    assert best_choice(kept, prepared, RULE, limits()).used
    assert not best_choice(kept, prepared, RULE, limits(training=1.0)).used


def test_a_recipe_keeps_what_a_larger_blend_would_take_next_and_says_that_it_is_no_part(
    prepared: Prepared,
) -> None:
    ridge = described(Ridge())
    kept = [
        replace(tried(prepared, name, off), likeness=None if name == "unsaid" else ridge)
        for name, off in (("best", 1.0), ("again", 1.1), ("unsaid", 1.2), ("other way", -1.5))
    ]
    found = reserves(kept, kept[:1], prepared, limits())
    assert [part["estimator"] for part in found] == ["again", "other way"]
    opposite = reserves(kept, kept[1:2], prepared, limits())
    assert [part["estimator"] for part in opposite] == ["best", "other way"]
    assert {part["weight"] for part in (*found, *opposite)} == {0.0}
    assert found[0]["model"] == ridge


def test_a_recipe_holds_few_of_one_kind_of_one_engine(prepared: Prepared) -> None:
    ridge = described(Ridge())
    kept = [
        replace(tried(prepared, "same", 1.0 + at / 100), likeness=ridge, config={"alpha": at})
        for at in range(10)
    ]
    found = reserves(
        [*kept, replace(tried(prepared, "other", 3.0), likeness=ridge)], kept[:1], prepared, limits()
    )
    assert [part["estimator"] for part in found].count("same") == 4
    assert "other" in [part["estimator"] for part in found]


def test_a_recipe_has_room_for_kinds_of_model_that_no_blend_would_take(prepared: Prepared) -> None:
    ridge, near = described(Ridge()), described(KNeighborsRegressor())
    many = [replace(tried(prepared, f"ridge {at}", 1.0 + at / 100), likeness=ridge) for at in range(40)]
    kept = [*many, replace(tried(prepared, "near", 50.0), likeness=near)]
    found = reserves(kept, kept[:2], prepared, limits())
    assert len(found) == 22
    assert "near" in [part["estimator"] for part in found]
    assert not {"ridge 0", "ridge 1"} & {part["estimator"] for part in found}
