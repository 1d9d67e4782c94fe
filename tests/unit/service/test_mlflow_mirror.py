"""Runs on a tracking server: what is sent are MLflow's own messages, and a run told twice is one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from small_house import NOW, make_project, open_registry

from registry.records import RunStatus, TrialRecord
from registry.store import Registry
from service.conclusion import ended_event
from service.lineage.mlflow_mirror import mirror
from service.settings import Settings

pb = pytest.importorskip(
    "mlflow.protos.service_pb2", reason="mlflow is not installed: pip install 'incumbent[mlflow]'"
)
json_format = pytest.importorskip("google.protobuf.json_format")

MESSAGES = {
    "experiments/get-by-name": pb.GetExperimentByName,
    "experiments/create": pb.CreateExperiment,
    "runs/search": pb.SearchRuns,
    "runs/create": pb.CreateRun,
    "runs/log-batch": pb.LogBatch,
    "runs/update": pb.UpdateRun,
}


class Tracking(BaseHTTPRequestHandler):
    """Keeps what it is told, and refuses what MLflow's messages do not know."""

    runs: dict[str, Any]
    experiments: list[str]
    keys: set[str | None]
    broken: set[str]

    def do_GET(self) -> None:
        self._take({name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()})

    def do_POST(self) -> None:
        self._take(json.loads(self.rfile.read(int(self.headers["content-length"]))))

    def _take(self, body: dict[str, Any]) -> None:
        path = urlsplit(self.path).path.removeprefix("/api/2.0/mlflow/")
        if path in self.broken:
            self._say(503, {})
            return
        json_format.ParseDict(body, MESSAGES[path]())
        self.keys.add(self.headers["authorization"])
        self._say(*getattr(self, "_" + path.replace("/", "_").replace("-", "_"))(body))

    def _say(self, status: int, told: Any) -> None:
        data = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _experiments_get_by_name(self, body: Any) -> Any:
        known = body["experiment_name"] in self.experiments
        return (200, {"experiment": {"experiment_id": "7"}}) if known else (404, {})

    def _experiments_create(self, body: Any) -> Any:
        self.experiments.append(body["name"])
        return 200, {"experiment_id": "7"}

    def _runs_search(self, body: Any) -> Any:
        wanted = body["filter"].partition("= ")[2].strip("'")
        found = [
            {"info": {"run_id": name}}
            for name, run in self.runs.items()
            if {"key": "incumbent.run_id", "value": wanted} in run["tags"]
        ]
        return 200, {"runs": found} if found else {}

    def _runs_create(self, body: Any) -> Any:
        name = f"run-{len(self.runs)}"
        self.runs[name] = {**body, "metrics": [], "params": []}
        return 200, {"run": {"info": {"run_id": name}}}

    def _runs_log_batch(self, body: Any) -> Any:
        for part in ("metrics", "params", "tags"):
            self.runs[body["run_id"]][part] += body.get(part, [])
        return 200, {}

    def _runs_update(self, body: Any) -> Any:
        self.runs[body["run_id"]] |= {"status": body["status"], "end_time": body["end_time"]}
        return 200, {}

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def tracking() -> Iterator[tuple[str, type[Tracking]]]:
    words = {"runs": {}, "experiments": [], "keys": set(), "broken": set()}
    kind = type("One", (Tracking,), words)
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", kind
    server.shutdown()
    server.server_close()


def test_a_run_is_mirrored_once_with_its_parameters_trials_and_verdict(
    registry: Registry, tracking: tuple[str, type[Tracking]]
) -> None:
    url, server = tracking
    project = make_project(registry)
    times = [NOW]
    settings = Settings(home=registry.home, mlflow_tracking_url=url, mlflow_tracking_token="secret")
    told = mirror(registry, settings, clock=lambda: times[-1])
    assert told is not None
    told.look()
    plan = {"budget_seconds": 5.0, "engines": {"portfolio": 1.0}}
    registry.runs.enqueue(
        project.id, trigger={"kind": "manual"}, reason="asked", plan=plan, dataset_version=1, seed=3, at=NOW
    )
    run = registry.runs.claim("test", lease_seconds=60, at=NOW)
    assert run is not None
    told.look()
    assert [one["run_name"] for one in server.runs.values()] == ["run 1"]
    trials = [
        TrialRecord(
            number=at,
            engine="portfolio",
            estimator="ridge",
            score=score,
            seconds=1,
            config={},
            error=None,
            at=NOW,
        )
        for at, score in ((1, 0.5), (2, None), (3, 0.7))
    ]
    registry.runs.add_trials(run.id, run.fence, trials)
    verdict = {
        "outcome": "promoted",
        "reason": "better " * 200,
        "metric": "roc_auc",
        "challenger_score": 0.9,
        "champion_score": None,
        "gates": [{"name": "improvement", "passed": True}, {"name": "latency", "passed": None}],
        "difference": {"estimate": 0.1, "lower": 0.05, "upper": float("inf")},
    }
    server.broken.add("runs/update")
    registry.runs.conclude(
        run.id,
        run.fence,
        status=RunStatus.COMPLETED,
        verdict={**verdict, "difference": {"estimate": 0.1, "lower": 0.05, "upper": None}},
        events=(ended_event(project.name, run, "promoted", "better"),),
        at=NOW + timedelta(seconds=9),
    )
    told.look()  # it breaks off at the last step
    server.broken.clear()
    times.append(NOW + timedelta(hours=2))
    told.look()
    (kept,) = server.runs.values()
    assert (kept["status"], kept["experiment_id"], server.experiments) == (
        "FINISHED",
        "7",
        ["incumbent/fruit"],
    )
    metrics = {(one["key"], one["step"]): one["value"] for one in kept["metrics"]}
    assert metrics == {
        ("challenger_score", 0): 0.9,
        ("gain_estimate", 0): 0.1,
        ("gain_lower", 0): 0.05,
        ("gate/improvement", 0): 1.0,
        ("trial/portfolio", 1): 0.5,
        ("trial/portfolio", 3): 0.7,
    }
    params = {one["key"]: one["value"] for one in kept["params"]}
    assert (params["seed"], params["dataset_version"], params["metric"]) == ("3", "1", "roc_auc")
    tags = {one["key"]: one["value"] for one in kept["tags"]}
    assert (tags["incumbent.outcome"], len(tags["incumbent.verdict"])) == ("promoted", 500)
    assert server.keys == {"Bearer secret"}


def test_without_an_address_nobody_is_told(registry: Registry) -> None:
    assert mirror(registry, Settings(home=registry.home), clock=lambda: NOW) is None
