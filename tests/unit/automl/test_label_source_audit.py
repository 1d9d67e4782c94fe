"""Label sources: what each may weigh, and which one has gone bad."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.naive_bayes import GaussianNB

from automl.label_sources import AuditRule, SourceRule, SourcesAudit, audit_sources, weigh

# -- weights ----------------------------------------------------------------------------------------------


def test_row_weighs_what_its_source_does() -> None:
    weights = weigh(["crowd", "expert", "crowd"], {"crowd": SourceRule(weight=0.5)})
    assert weights.tolist() == [0.5, 1.0, 0.5]


def test_source_above_its_share_is_lowered_to_it() -> None:
    sources = ["crowd"] * 90 + ["expert"] * 10
    weights = weigh(sources, {"crowd": SourceRule(max_share=0.5)})
    assert weights[:90].sum() == pytest.approx(10.0)
    assert weights[90:].tolist() == [1.0] * 10


def test_single_source_keeps_all_the_weight_whatever_its_cap() -> None:
    assert weigh(["crowd"] * 4, {"crowd": SourceRule(max_share=0.1)}).tolist() == [1.0] * 4
    assert weigh([], {}).tolist() == []


def test_source_that_weighs_nothing_leaves_the_others_alone() -> None:
    weights = weigh(["a", "b", "b"], {"a": SourceRule(weight=0.0)})
    assert weights.tolist() == [0.0, 1.0, 1.0]


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(1, 50), st.floats(0.01, 1), st.floats(0.05, 1)), min_size=1, max_size=6)
)
def test_no_source_exceeds_its_share_and_no_row_its_weight(parts: list[tuple[int, float, float]]) -> None:
    rules = {f"s{i}": SourceRule(weight=w, max_share=cap) for i, (_, w, cap) in enumerate(parts)}
    sources = [f"s{i}" for i, (n, _, _) in enumerate(parts) for _ in range(n)]
    weights = weigh(sources, rules)
    total = weights.sum()
    assert total > 0
    names = np.array(sources)
    capped = 0
    for i, (_, weight, cap) in enumerate(parts):
        own = weights[names == f"s{i}"]
        assert np.ptp(own) < 1e-12
        assert own[0] <= weight * (1 + 1e-9)
        capped += own[0] < weight * (1 - 1e-9)
        if sum(c for _, _, c in parts) > 1:
            assert own.sum() <= cap * total * (1 + 1e-9)
    # somebody is never lowered: nothing is thrown away without need
    assert capped < len(parts)


@pytest.mark.parametrize("broken", [{"weight": 1.5}, {"max_share": 0.0}, {"weight": -0.1}])
def test_rules_that_make_no_sense_are_refused(broken: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        SourceRule(**broken)


# -- the audit --------------------------------------------------------------------------------------------


def audited(
    seed: int,
    *,
    sizes: tuple[int, ...] = (300,) * 4,
    wrong: tuple[float, ...] = (),
    classes: int = 2,
    apart: float = 0.0,
    rule: AuditRule | None = None,
) -> SourcesAudit:
    """Blobs; source ``s{i}`` gets ``wrong[i]`` of its labels wrong and sees rows shifted by ``apart * i``."""
    random = np.random.default_rng(seed)
    sources = np.repeat(np.arange(len(sizes)), sizes)
    n = len(sources)
    truth = random.integers(0, classes, n)
    X = random.normal(size=(n, 4))
    X[np.arange(n), truth % 4] += 2.5
    X[:, 3] += apart * sources
    y = truth.copy()
    for i, share in enumerate(wrong):
        turned = (sources == i) & (random.random(n) < share)
        y[turned] = (y[turned] + random.integers(1, classes, turned.sum())) % classes

    def learner(train: Any, test: Any) -> Any:
        model = GaussianNB().fit(X[train], y[train])
        out = np.zeros((len(test), classes))
        out[:, model.classes_] = model.predict_proba(X[test])
        return out

    names = [f"s{i}" for i in sources]
    return audit_sources(learner, y, names, classes=classes, rule=rule, seed=seed)


@pytest.mark.parametrize("sizes", [(300,) * 4, (1500, 200, 400), (500, 500)])
def test_source_with_a_fifth_of_its_labels_flipped_is_named_and_no_other(sizes: tuple[int, ...]) -> None:
    found = audited(1, sizes=sizes, wrong=(0.0, 0.2))
    assert found.bad == ("s1",)
    named = found.sources[0]
    assert named.wrong == pytest.approx(0.2, abs=0.08)
    assert named.p is not None
    assert named.p < 0.05
    assert "'s1' disagrees" in found.reason
    json.dumps(found.to_json())


def test_two_bad_sources_are_both_named_the_worse_one_first() -> None:
    found = audited(2, sizes=(400,) * 6, wrong=(0.2, 0.0, 0.0, 0.4))
    assert found.bad == ("s3", "s0")


def test_bad_source_among_many_classes_is_named() -> None:
    assert audited(3, sizes=(400,) * 4, wrong=(0.0, 0.0, 0.2), classes=4).bad == ("s2",)


@pytest.mark.slow
def test_over_many_seeds_the_bad_source_is_named_and_good_ones_are_not() -> None:
    named = [audited(seed, wrong=(0.2,)).bad for seed in range(40)]
    assert np.mean(["s0" in bad for bad in named]) >= 0.95
    assert np.mean([bool(set(bad) - {"s0"}) for bad in named]) <= 0.05
    assert np.mean([bool(audited(seed).bad) for seed in range(40)]) <= 0.05


def test_source_that_sees_other_rows_is_not_called_bad_for_it() -> None:
    assert not any(audited(seed, apart=1.5).bad for seed in range(5))


def test_too_few_labels_say_nothing_of_a_source() -> None:
    found = audited(0, sizes=(300, 300, 12), wrong=(0.0, 0.0, 0.9))
    assert found.bad == ()
    assert next(each for each in found.sources if each.source == "s2").p is None
    assert "too few labels to say of 's2'" in found.reason


def test_one_source_alone_is_held_against_nobody() -> None:
    found = audited(0, sizes=(200,), wrong=(0.5,))
    assert found.bad == ()
    assert found.reason == "one source alone can't be held against others"


def test_many_sources_take_a_bounded_number_of_models() -> None:
    trained = 0

    def learner(train: Any, test: Any) -> Any:
        nonlocal trained
        trained += 1
        return np.full((len(test), 2), 0.5)

    y = np.random.default_rng(0).integers(0, 2, 1200)
    audit_sources(learner, y, [f"s{i % 40}" for i in range(1200)], classes=2, seed=0)
    assert trained == 15


def test_arguments_that_do_not_fit_are_refused() -> None:
    def learner(train: Any, test: Any) -> Any:
        raise AssertionError("nothing to train on")

    for y, sources in ((np.array([0, 2]), ["a", "b"]), (np.array([0]), ["a", "b"])):
        with pytest.raises(ValueError):
            audit_sources(learner, y, sources, classes=2, seed=0)
    assert audit_sources(learner, np.zeros(0), [], classes=2, seed=0).sources == ()
