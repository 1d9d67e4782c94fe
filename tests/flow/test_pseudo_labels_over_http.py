"""Rows without truth train where that proves better: three arms, the judge between them, the labels in the ledger."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from live_server import Server
from problems_at_hand import FAST, csv
from sklearn.datasets import make_moons
from typer.testing import CliRunner

from service.cli import app

pytestmark = pytest.mark.slow

POLICY: dict[str, Any] = {
    **FAST,
    "search": {"budget_seconds": 3, "engines": {"flaml": 1}},
    "triggers": {"schedule": None, "new_labels": None, "drift": None},
    "lookback_window": "P30D",
    "holdout": {"min_rows": 300},
    # lenient, because the holdout is small
    "gates": {"max_latency_ms": 2000, "alpha": 0.4},
    "pseudo_labels": {"mode": "judged", "threshold": 0.8, "floor": 0.7, "max_spread": 0.5},
}
UNLABELLED = 1000


def test_what_the_champion_knows_trains_a_third_arm_and_is_kept_only_where_that_proves_better(
    server: Server,
) -> None:
    server.post(
        "/v1/projects",
        201,
        json={
            "name": "moons",
            "task": "classification",
            "target": "side",
            "metric": "log_loss",
            "time_column": "at",
            "id_column": "id",
            "policy": POLICY,
        },
    )
    upload(server, moons(1500, begin="2026-01-01", seed=0))
    first = server.ended_run("moons", 1)
    assert first["verdict"]["outcome"] == "promoted", first["verdict"]
    assert "arms" not in first["verdict"]  # nobody could teach yet

    # Months later: 60 rows with a label to train on and 300 to judge by, and many without. What the champion
    # learnt from is out of the lookback window; it can only be handed on by its word.
    later = moons(UNLABELLED + 360, begin="2026-06-01", seed=1)
    truth = later["side"].copy()
    later.loc[: UNLABELLED - 1, "side"] = None
    upload(server, later)
    second = run(server)
    arms = second["verdict"]["arms"]
    assert arms["selection"]["rows"] > 300
    assert arms["selection"]["source"] == "champion"
    if arms["challenger"] == "true_only":  # what a search of three seconds finds is not the same each time
        assert arms["reason"].startswith(("Pseudo-labels are not used", "Pseudo-labels are refused")), arms
        kinds = {batch["kind"] for batch in server.get("/v1/projects/moons/data")["batches"]}
        assert "pseudo_labels" not in kinds
        return
    assert arms["scores"]["with_pseudo"] < arms["scores"]["true_only"]
    assert arms["reason"].startswith("Pseudo-labels are used")
    assert second["engines"].keys() >= {"flaml", "flaml-pseudo"}
    told = server.get(f"/v1/projects/moons/models/{second['challenger']}")["pseudo_labels"]
    assert (told["teacher"], told["source"]) == (1, "champion")
    assert told["rows"] == arms["selection"]["rows"] > 300
    (batch,) = [
        one for one in server.get("/v1/projects/moons/data")["batches"] if one["kind"] == "pseudo_labels"
    ]
    assert (batch["batch"], batch["rows"], batch["labelled"]) == (told["batch"], 0, 0)
    assert server.get("/v1/projects/moons/monitoring")["labelled"] == 1500 + 360

    made_again(server, second["challenger"])
    # A model that learnt from a model's word does not teach; what its teacher said is still in force, but for
    # the rows whose truth has come.
    server.post(f"/v1/projects/moons/models/{second['challenger']}/promote", 200, json={"reason": "a test"})
    known = [{"id": later["id"][row], "label": truth[row]} for row in range(0, UNLABELLED, 2)]
    assert server.post("/v1/projects/moons/feedback", 200, json={"labels": known})["accepted"] == 500
    third = run(server)
    selection = third["verdict"]["arms"]["selection"]
    assert (selection["source"], selection["teacher"]) == ("ledger", second["challenger"])
    assert 0.3 * told["rows"] < selection["rows"] < 0.7 * told["rows"]


def run(server: Server) -> Any:
    number = server.post("/v1/projects/moons/runs", 202, json={"reason": "a test"})["run"]
    ended = server.ended_run("moons", number)
    assert ended["status"] == "completed", ended
    return ended


def made_again(server: Server, version: int) -> None:
    """What a model's word taught is taught again."""
    words = ["reproduce", str(version), "--project", "moons", "--home", str(server.home)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output


def moons(rows: int, *, begin: str, seed: int) -> pd.DataFrame:
    """Two classes that cross over, a row every minute."""
    X, y = make_moons(rows, noise=0.2, random_state=seed)
    return pd.DataFrame(
        {
            "id": [f"{begin}-{number}" for number in range(rows)],
            "x": X[:, 0].round(4),
            "y": X[:, 1].round(4),
            "at": pd.date_range(begin, periods=rows, freq="min", tz="UTC").astype(str),
            "side": np.where(y == 1, "upper", "lower"),
        }
    )


def upload(server: Server, frame: pd.DataFrame) -> Any:
    return server.post("/v1/projects/moons/data", 201, files={"file": ("rows.csv", csv(frame), "text/csv")})
