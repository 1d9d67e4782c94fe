"""An exported version, served by MLflow itself, answers as the version does."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
import yaml
from live_server import free_port
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "service"))
from small_house import make_model, make_project, open_registry, raw_rows

from automl.schema import Schema, check, frame
from automl.task import Task
from service.cli import app

MLFLOW = shutil.which("mlflow", path=str(Path(sys.executable).parent))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(MLFLOW is None, reason="mlflow is not installed: pip install 'incumbent[mlflow]'"),
]
ROWS = 1_000


@contextmanager
def served(model: Path, folder: Path) -> Iterator[str]:
    """``mlflow models serve`` of the folder, in a process group of its own."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [str(MLFLOW), "models", "serve", "-m", str(model), "--env-manager", "local", "-p", str(port)]
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_TRACKING_URI": f"file://{folder / 'mlruns'}",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }
    log = folder / "mlflow.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            command, cwd=folder, env=env, stdout=out, stderr=out, start_new_session=True
        )
    try:
        end = time.monotonic() + 120
        while not _answers(address):
            assert server.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < end, log.read_text()[-3000:]
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/ping", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_mlflow_serves_an_exported_version_with_the_same_answers_on_a_thousand_rows(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    try:
        project = make_project(registry)
        model = make_model(registry, project)
        pipeline = pickle.loads(registry.blobs.open(model.blob.digest))
    finally:
        registry.close()
    folder = tmp_path / "exported"
    words = ["export", "1", "--mlflow", str(folder), "--home", str(tmp_path / "home")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output

    rows = [
        {"size": row["size"] if place % 9 else None, "colour": row["colour"]}
        for place, row in enumerate(raw_rows(ROWS, seed=5).to_pylist())
    ]
    with served(folder, tmp_path) as address:
        sent = {
            "dataframe_split": {"columns": ["size", "colour"], "data": [list(row.values()) for row in rows]}
        }
        split = httpx.post(f"{address}/invocations", json=sent, timeout=60)
        records = httpx.post(f"{address}/invocations", json={"dataframe_records": rows[:50]}, timeout=60)
        example = (folder / "serving_input_example.json").read_text()
        tried = httpx.post(
            f"{address}/invocations",
            content=example,
            headers={"content-type": "application/json"},
            timeout=60,
        )
        wrong = httpx.post(f"{address}/invocations", json={"dataframe_records": [{"size": 1.0}]}, timeout=60)

    assert split.status_code == 200, split.text
    answered: list[dict[str, Any]] = split.json()["predictions"]
    schema, task = Schema.from_json(project.schema or {}), Task.from_json(project.task)
    table = check(pa.Table.from_pylist(rows), schema, task).table
    expected = pipeline.predict_proba(frame(table, schema))
    found = np.array([[one["probability_no"], one["probability_yes"]] for one in answered])
    assert len(found) == ROWS
    np.testing.assert_array_equal(found, expected)
    assert [one["value"] for one in answered] == [("no", "yes")[at] for at in expected.argmax(axis=1)]
    assert records.json()["predictions"] == answered[:50]
    assert len(tried.json()["predictions"]) == 5
    assert (wrong.status_code, "colour" in wrong.text) == (400, True)
    told = yaml.safe_load((folder / "MLmodel").read_text())
    assert told["metadata"]["incumbent_sha256"] == model.blob.digest


def test_an_export_never_writes_over_anything_and_says_what_it_lacks(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    make_model(registry, make_project(registry))
    registry.close()
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")

    def refused(*words: str) -> str:
        done = CliRunner().invoke(app, ["export", *words])
        assert done.exit_code == 1, done.output
        return " ".join(done.output.split())

    home = ["--home", str(tmp_path / "home")]
    assert "not empty" in refused("1", "--mlflow", str(full), *home)
    assert "no model version 7" in refused("7", "--mlflow", str(tmp_path / "a"), *home)
    assert "There is no registry" in refused(
        "1", "--mlflow", str(tmp_path / "a"), "--home", str(tmp_path / "none")
    )
    assert sorted(path.name for path in full.iterdir()) == ["mine.txt"]
    assert not (tmp_path / "a").exists()
