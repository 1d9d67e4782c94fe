"""Answers are written quickly, and as they are told: to the byte."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from service.wire.telling import encode_answer, teller

IDS = ["a", "é", 'say "so"', ""]


@pytest.mark.parametrize(
    "classes",
    [
        ("no", "yes"),
        ("true", "false", "0", "1"),
        ("", " ", "naïve", "東京", "\U0001f642", "</script>"),
        ('with "quotes"', "back\\slash"),
        ("line\nbreak", "tab\t", "id", "value"),
        ("self", "class", "c1", "c0"),
    ],
)
def test_probabilities_of_any_classes_are_written_as_they_are_told(classes: tuple[str, ...]) -> None:
    shares = np.random.default_rng(3).random((len(IDS), len(classes))).tolist()
    shares[1][0], shares[2][0] = 1e-320, math.nan
    values: list[Any] = [classes[0], True, 7, 0.5]
    assert teller(4, classes)(IDS, values, shares) == encode_answer(4, IDS, values, shares, classes)


def test_numbers_are_written_as_they_are_told() -> None:
    values = [1.5, -0.0, 1e300, math.inf]
    assert teller(4, None)(IDS, values, None) == encode_answer(4, IDS, values, None, ())


def test_answers_that_do_not_fit_each_other_are_not_written() -> None:
    with pytest.raises(ValueError, match="zip"):
        teller(4, ("no", "yes"))(IDS, ["no"] * 4, [[0.5, 0.5]] * 3)
    with pytest.raises(TypeError):
        teller(4, ("no", "yes"))(IDS, ["no"] * 4, [[0.5, 0.25, 0.25]] * 4)
