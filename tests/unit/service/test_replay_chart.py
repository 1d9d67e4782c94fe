from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from service.replay.chart import chart
from service.replay.telling import gain

SVG = "{http://www.w3.org/2000/svg}"


def result(scores: list[float | None], name: str = "own", reason: str = "better") -> dict[str, Any]:
    promotions = [{"window": 0, "reason": reason}]
    policy = {"name": name, "window_scores": scores, "mean_window_score": 0.5, "promotions": promotions}
    windows = [{"until": "2025-01-08T00:00:00+00:00"} for _ in scores]
    return {"metric": "roc_auc", "windows": windows, "policies": [policy]}


@given(scores=st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=60), name=st.text(min_size=1))
def test_every_result_draws_a_well_formed_picture(scores: list[float | None], name: str) -> None:
    plain = "".join(letter for letter in name if letter.isprintable())
    root = ElementTree.fromstring(chart(result(scores, plain)))
    assert root.tag == f"{SVG}svg"
    known = sum(score is not None for score in scores)
    points = sum(len(line.attrib["points"].split()) for line in root.iter(f"{SVG}polyline"))
    assert points == known


def test_names_and_reasons_are_text_and_never_markup() -> None:
    drawn = chart(result([0.5, 0.6], "<script>alert(1)</script>", "</title><script>"))
    root = ElementTree.fromstring(drawn)
    assert not list(root.iter(f"{SVG}script"))
    assert "<script>alert(1)</s" in "".join(root.itertext())


def test_a_promotion_is_a_dot_in_the_window_that_it_answers() -> None:
    root = ElementTree.fromstring(chart(result([0.5, 0.6, 0.7])))
    assert len(list(root.iter(f"{SVG}circle"))) == 1


def test_gains_are_told_with_their_interval_and_the_windows_won() -> None:
    paired = {"gain": 0.01234, "lower": 0.005, "upper": 0.0197, "won": 8, "lost": 2}
    assert gain(paired) == "+0.0123 ± 0.0074 (8:2)"
    assert gain(None) == "–"
