"""The one word about a project, its reason, and the geometry of the small pictures."""

from __future__ import annotations

import doctest
from dataclasses import replace

import pytest

from service.dashboard import latency, overview, pictures, words
from service.dashboard.health import Signs, State, health

WELL = Signs(
    name="p",
    target="y",
    champion=3,
    served=3,
    truths=500,
    metric="roc_auc",
    live=0.82,
    promised=0.81,
    sure_drop=-0.02,
    allowed=0.02,
)


def test_a_champion_that_answers_as_promised_is_healthy_and_says_so_in_numbers() -> None:
    found = health(WELL)
    assert found.state is State.HEALTHY
    assert "ROC AUC 0.8200 live, 0.8100 at its promotion" in found.reason


@pytest.mark.parametrize(
    ("change", "state", "said"),
    [
        ({"champion": None, "served": None, "has_schema": False}, State.EMPTY, "Upload rows that hold y"),
        ({"champion": None, "served": None, "truths": 40}, State.EMPTY, "60 more labelled rows"),
        ({"champion": None, "served": None, "running": 1}, State.LEARNING, "Run 1 looks for the first"),
        ({"approval_run": 4, "challenger": 5}, State.NEEDED, "waits for your approval"),
        ({"served": 2, "load_error": "a pickle of another library"}, State.NEEDED, "version 2 still answers"),
        ({"served": 2}, State.WATCH, "being loaded"),
        ({"broken": "'temp' moved by 40"}, State.NEEDED, "Nothing is learnt while"),
        ({"failed_run": 9, "failure": "out of memory"}, State.NEEDED, "Run 9 failed: out of memory"),
        (
            {"champion": None, "served": None, "truths": 40, "unlabelled": 9},
            State.EMPTY,
            "60 more labelled rows",
        ),
        ({"live": 0.7, "sure_drop": 0.05}, State.WATCH, "surely down"),
        ({"live": 0.7, "sure_drop": 0.05, "looked_run": 7}, State.WATCH, "run 7 looked and found nothing"),
        ({"sure_drop": 0.05}, State.HEALTHY, "as well as promised: ROC AUC 0.8200 live"),
        (
            {"live": 0.7, "sure_drop": 0.05, "retrains_on_decay": False},
            State.NEEDED,
            "does not retrain for that",
        ),
        ({"estimate_decayed": True, "estimate": 0.7}, State.WATCH, "estimated at 0.7000"),
        (
            {"drift_share": 0.5, "drift_limit": 0.3, "drifted": ("a", "b", "c", "d")},
            State.WATCH,
            "a, b, c and 1 more",
        ),
        ({"on_probation": True}, State.HEALTHY, "on probation"),
        ({"live": None}, State.HEALTHY, "shows once truth comes back"),
        ({"rolled_back": True}, State.WATCH, "was rolled back"),
    ],
)
def test_every_state_has_its_reason(change: dict[str, object], state: State, said: str) -> None:
    found = health(replace(WELL, **change))  # type: ignore[arg-type]
    assert found.state is state
    assert said in found.reason


@pytest.mark.parametrize(
    ("rows", "page"),
    [
        ({"unlabelled": 0}, "/data"),
        ({"unlabelled": 5}, "/labeling"),
        ({"unlabelled": 5, "labelling": False}, "/data"),
    ],
)
def test_missing_labels_are_asked_of_people_where_there_are_rows_to_label(
    rows: dict[str, object], page: str
) -> None:
    found = health(replace(WELL, champion=None, served=None, truths=40, **rows))  # type: ignore[arg-type]
    assert found.needs[0].page == page


def test_what_a_person_has_to_do_outranks_what_to_keep_an_eye_on() -> None:
    found = health(replace(WELL, sure_drop=0.05, failed_run=2, failure="x", approval_run=3, challenger=4))
    assert [need.page for need in found.needs] == ["/runs/3", "/runs/2"]


def test_words_hold_what_their_examples_say() -> None:
    for module in (words, latency, overview):
        assert doctest.testmod(module).failed == 0


def test_the_interval_is_better_only_where_it_lies_wholly_beyond_the_minimum_effect() -> None:
    def state(lower: float, upper: float) -> str:
        drawn = pictures.interval({"lower": lower, "estimate": (lower + upper) / 2, "upper": upper}, 0.01)
        assert drawn is not None
        assert 0 <= drawn["lower"] <= drawn["estimate"] <= drawn["upper"] <= drawn["width"]
        return str(drawn["state"])

    assert state(0.011, 0.03) == "better"
    assert state(0.005, 0.03) == "unsure"
    assert state(-0.03, -0.01) == "worse"
    assert pictures.interval(None, 0.01) is None


def test_a_waterfall_ends_at_base_plus_contributions_however_many_there_are() -> None:
    parts = [
        {"column": f"c{number}", "value": number, "contribution": (-1) ** number * number}
        for number in range(30)
    ]
    drawn = pictures.waterfall(0.5, parts, most=10)
    assert len(drawn["steps"]) == 11
    assert drawn["total"] == pytest.approx(0.5 + sum(part["contribution"] for part in parts))
    assert drawn["steps"][-1]["end"] == drawn["end"]


def test_pictures_of_nothing_and_of_one_value_are_drawn_without_a_division_by_nothing() -> None:
    assert pictures.sparkline([]) is None
    assert pictures.sparkline([0.5], level=0.5) is not None
    assert pictures.bars([])["bars"] == []
    assert pictures.bars([0, 0])["bars"][0]["height"] == 0
