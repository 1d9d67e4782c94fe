"""A model from elsewhere is read on the command line alone, judged by a run like any challenger, and serves when it wins."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import joblib
import pytest
from live_server import Server
from problems_at_hand import FAST, csv, rows, tumours
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from typer.testing import CliRunner

from service.cli import app

pytestmark = pytest.mark.slow

POLICY = {
    **FAST,
    "triggers": {"schedule": None, "new_labels": None, "drift": None},
    "search": {"budget_seconds": 3, "engines": {"portfolio": 1}},
    "gates": {"max_latency_ms": 5000, "alpha": 0.4},
    "holdout": {"min_rows": 100},
    "min_fresh_labels": 100_000,  # nothing starts by itself
}


class Runs:
    """A file that does something when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def import_model(server: Server, file: Path, *words: str, expect: int = 0) -> Any:
    env = {"COLUMNS": "400", "INCUMBENT_HOME": str(server.home)}
    done = CliRunner().invoke(app, ["import-model", str(file), "--project", "tumours", *words], env=env)
    assert done.exit_code == expect, done.output
    return json.loads(done.stdout) if expect == 0 else " ".join(done.stderr.split())


def test_a_foreign_model_is_judged_on_the_rows_of_the_project_and_serves_when_it_is_better(
    server: Server, tmp_path: Path
) -> None:
    frame = tumours()
    body = {"name": "tumours", "task": "classification", "target": "diagnosis", "policy": POLICY}
    server.post("/v1/projects", 201, json=body)
    server.post("/v1/projects/tumours/data", 201, files={"file": ("one.csv", csv(frame[:400]), "text/csv")})
    X, y = frame[:300].drop(columns="diagnosis"), frame[:300]["diagnosis"]
    numbers = make_column_transformer((SimpleImputer(), make_column_selector(dtype_include="number")))
    model = make_pipeline(numbers, RandomForestClassifier(50, random_state=0)).fit(X, y)
    file = tmp_path / "forest.joblib"
    joblib.dump(model, file)

    trap, touched = tmp_path / "trap.pkl", tmp_path / "touched"
    trap.write_bytes(pickle.dumps(Runs(touched)))
    assert "a pickle runs code of whoever made it" in import_model(server, trap, expect=4)
    assert not touched.exists()
    other = tmp_path / "other.pkl"
    other.write_bytes(pickle.dumps(LogisticRegression().fit(X[["mean radius"]].rename(columns=str.upper), y)))
    assert "does not have: MEAN RADIUS" in import_model(server, other, "--trust", expect=4)

    told = import_model(server, file, "--trust", "--json")
    assert "its judgement flatters it" in told["note"]
    run = server.ended_run("tumours", told["run"])
    assert (run["status"], run["verdict"]["outcome"]) == ("completed", "promoted"), run
    version = server.get("/v1/projects/tumours/models")["models"][0]
    assert (version["engine"], version["estimator"], version["cv_score"]) == ("imported", "Pipeline", None)
    assert version["refit_of"] is None
    card = server.get(f"/v1/projects/tumours/models/{version['version']}/card")
    assert card["model"]["imported"]["sha256"] == told["sha256"]

    server.wait_for(lambda: server.get("/v1/projects/tumours/champion")["served"] == version["version"])
    asked = frame[400:420].drop(columns="diagnosis")
    answered = server.post("/v1/projects/tumours/predict?explain=true", 200, json={"rows": rows(asked)})
    found = [one["probabilities"]["malignant"] for one in answered["predictions"]]
    expected = model.predict_proba(asked)[:, list(model.classes_).index("malignant")]
    assert max(abs(a - b) for a, b in zip(found, expected, strict=True)) < 1e-12

    words = ["reproduce", str(version["version"]), "--project", "tumours", "--home", str(server.home)]
    cannot = CliRunner().invoke(app, words)
    assert (cannot.exit_code, "was imported" in cannot.output) == (4, True)
    # the next search goes on from it as from any champion
    again = server.post("/v1/projects/tumours/runs", 202, json={})["run"]
    assert "imported" not in str(server.ended_run("tumours", again)["error"])
