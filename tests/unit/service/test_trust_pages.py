"""What the gate vector found of a model's leanings and of its rows, on its pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from dashboard_house import HOSTILE, SCRIPT, site
from hostile_trust import hostile_reports

from service.dashboard.trust import panels


@pytest.mark.parametrize("page", ["/projects/fruit/runs/1", "/projects/fruit/models/2"])
def test_what_was_found_stands_on_the_pages_of_run_and_model_and_its_names_are_only_text(
    tmp_path: Path, page: str
) -> None:
    with site(tmp_path) as at:
        html = at.get(page).text
    assert "What it leans on" in html
    assert "Data health" in html
    assert "Labels to look at" in html
    assert "Demographic parity" in html
    assert "surely beyond" in html
    assert "Energy of 1,000 predictions" in html
    assert "No two groups have the 100 rows" in html
    assert SCRIPT not in html
    assert "<img src=x" not in html


def test_a_check_that_failed_has_no_panel() -> None:
    reports = hostile_reports(HOSTILE, "x")
    every = {"robustness", "fairness", "explanation", "data_health", "energy"}
    assert set(panels(reports)) == every
    assert set(panels({**reports, "explanation": {"failed": "MemoryError"}})) == every - {"explanation"}
    assert set(panels({**reports, "fairness": {}})) == every - {"fairness"}  # no column is audited
    assert panels(None) == {}


def test_a_first_model_has_one_bar_a_column_and_one_that_was_not_measured_says_why() -> None:
    report = hostile_reports("a", "b")["explanation"]
    alone = {**report, "columns": [{"column": "a", "challenger": report["columns"][0]["challenger"]}]}
    shown = panels({"explanation": alone})["explanation"]
    assert [bar["part"] for bar in shown["columns"][0]["bars"]] == ["challenger"]
    assert shown["columns"][0]["bars"][0]["width"] == 100.0
    slow = panels({"explanation": {"reason": "not measured: too slow"}})["explanation"]
    assert (slow["columns"], slow["curves"], slow["reason"]) == ([], [], "not measured: too slow")
