"""Answers as they stand in a table and in a file."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from service.calls import predict
from service.commands.answer_cells import BECAUSE, OTHERWISE, cell, write
from service.commands.console import CommandError

PARTS = [
    {"column": "bill", "value": 90, "contribution": 1.25},
    {"column": "months", "value": 3, "contribution": -0.5},
]


def answer(counterfactual: Any = None) -> dict[str, Any]:
    explanation = {"contributions": PARTS, "counterfactual": counterfactual}
    return {"id": "a", "value": "yes", "probabilities": {"no": 0.2, "yes": 0.8}, "explanation": explanation}


FOUND = {"class": "no", "changes": [{"column": "bill", "from": 90.0, "to": 61.5}], "distance": 0.2}


def test_the_columns_that_moved_most_come_with_their_values() -> None:
    assert cell(answer(), BECAUSE) == "+1.250  bill = 90\n-0.500  months = 3"


def test_what_would_have_been_otherwise_is_a_sentence() -> None:
    assert cell(answer(FOUND), OTHERWISE) == "no with bill 90 -> 61.5"
    two = [*FOUND["changes"], {"column": "plan", "from": None, "to": "gold"}]
    assert (
        cell(answer({**FOUND, "changes": two}), OTHERWISE) == "no with bill 90 -> 61.5, plan nothing -> gold"
    )
    assert cell(answer(None), OTHERWISE) == "nothing near"


def test_a_csv_has_a_column_for_each_class_contribution_and_what_would_be_otherwise(tmp_path: Path) -> None:
    write(tmp_path / "answers.csv", [answer(FOUND), answer(None)])
    first, second = csv.DictReader((tmp_path / "answers.csv").open(encoding="utf-8"))
    assert first["probability_yes"] == "0.8"
    assert first["contribution_bill"] == "1.25"
    assert first[OTHERWISE] == "no with bill 90 -> 61.5"
    assert second[OTHERWISE] == "nothing near"


def test_plain_answers_have_no_such_columns(tmp_path: Path) -> None:
    write(tmp_path / "answers.csv", [{"id": "a", "value": 3.5}])
    assert (tmp_path / "answers.csv").read_text().split() == ["id,value", "a,3.5"]


def test_a_path_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="can't be written"):
        write(tmp_path / "no" / "answers.csv", [])


@pytest.mark.parametrize(
    ("explain", "counterfactual", "asked"),
    [
        (False, False, "/v1/projects/churn/predict"),
        (True, False, "/v1/projects/churn/predict?explain=true"),
        (False, True, "/v1/projects/churn/predict?explain=true&counterfactual=true"),
    ],
)
def test_a_counterfactual_is_asked_for_with_its_explanation(
    explain: bool, counterfactual: bool, asked: str
) -> None:
    call = predict("churn", [{"bill": 90}], explain=explain, counterfactual=counterfactual)
    assert call.url == asked
