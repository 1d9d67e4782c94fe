"""How long the dashboard's pages take on a home with a long past: python benchmarks/dashboard.py [--quick]

What five open pages cost prediction calls, at half of what the server can answer: python -m benchmarks.dashboard --beside

A project with so many runs, models, decisions and logged predictions is made through the registry, then each page is asked
for in this process, without a socket. Printed is the median and the slowest of each page, in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import pickle
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fastapi.testclient import TestClient
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from automl.features import preprocessor
from automl.schema import check, frame, infer
from automl.task import Task, TaskKind
from registry.records import BatchKind, NewModel, NewPromotion, Project, PromotionKind, RunStatus, TrialRecord
from registry.store import Registry
from service.app import create_app
from service.policy import Policy
from service.quality_windows import WINDOW
from service.settings import Settings

BEGAN = datetime.now(UTC) - timedelta(days=30)
COLUMNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """How much there is."""

    runs: int
    models: int
    decisions: int
    predictions: int
    batches: int
    trials: int = 60


FULL = Past(runs=1_000, models=200, decisions=5_000, predictions=1_000_000, batches=1_000)
QUICK = Past(runs=50, models=20, decisions=200, predictions=20_000, batches=50)
PAGES = (
    "/projects",
    "/projects/shop",
    "/projects/shop/runs",
    "/projects/shop/runs/{runs}",
    "/projects/shop/models",
    "/projects/shop/models/1",
    "/projects/shop/models/compare?v=1&v=2",
    "/projects/shop/data",
    "/projects/shop/data/1",
    "/projects/shop/quarantine",
    "/projects/shop/schema",
    "/projects/shop/schema/histograms",
    "/projects/shop/predict",
    "/projects/shop/labeling",
    "/projects/shop/monitoring",
    "/projects/shop/settings",
    "/keys",
)


def table(count: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    numbers = {f"number {place}": random.normal(size=count) for place in range(COLUMNS)}
    target = np.where(numbers["number 0"] > 0, "yes", "no")
    return pa.table({**numbers, "bought": target})


def make(registry: Registry, past: Past) -> Project:
    task = Task(kind=TaskKind.CLASSIFICATION, target="bought", metric="auto")
    sample = table(2_000, 0)
    schema, task = infer(sample, task)
    registry.projects.create("shop", task=task.to_json(), policy=Policy().model_dump(mode="json"), at=BEGAN)
    project = registry.projects.update("shop", task=task.to_json(), schema=schema.to_json())
    checked = check(sample, schema, task)
    y = np.array([task.encode(schema.target.parse(label)) for label in checked.labels.to_pylist()])
    steps = preprocessor(schema, task, seed=0).steps
    pipeline = Pipeline([*steps, ("model", LogisticRegression())]).fit(frame(checked.table, schema), y)
    golden = checked.table.slice(0, 10)
    put = registry.blobs.put
    told = {"rows": golden.to_pylist(), "predictions": pipeline.predict_proba(frame(golden, schema)).tolist()}
    sink = pa.BufferOutputStream()
    pq.write_table(checked.table, sink)
    model = NewModel(
        blob=put(pickle.dumps(pipeline), at=BEGAN),
        engine="flaml",
        estimator="lrl1",
        config={f"setting {number}": number for number in range(30)},
        dataset_version=1,
        details={
            "task": task.to_json(),
            "schema": schema.to_json(),
            "requirements": {"scikit-learn": version("scikit-learn")},
            "trained_until": {"at": 0, "row_id": ""},
            "metric": "roc_auc",
            "score": 0.9,
            "holdout_rows": 400,
        },
        attachments={
            "golden": put(json.dumps(told).encode(), at=BEGAN),
            "reference": put(sink.getvalue().to_pybytes(), at=BEGAN),
        },
    )
    _predictions(registry, project, past, checked.table)
    _runs(registry, project, past, model)
    new = NewPromotion(
        expected_epoch=0, kind=PromotionKind.PROMOTION, reason="the benchmark", actor="benchmark"
    )
    registry.ledger.promote(project.id, past.models, new, at=BEGAN)
    _looks(registry, project, past)
    return registry.projects.get("shop")


def _predictions(registry: Registry, project: Project, past: Past, rows: pa.Table) -> None:
    each = past.predictions // past.batches
    for number in range(past.batches):
        at = BEGAN + timedelta(days=30) * (number / past.batches)
        ids = pa.array([f"{number}-{place}" for place in range(each)])
        values = rows.take(pa.array(np.arange(each) % len(rows)))
        answers = {
            "_row_id": ids,
            "model_version": pa.repeat(pa.scalar(past.models, pa.int32()), each),
            "value": pa.repeat("yes", each),
            "score": pa.repeat(0.9, each),
            "probabilities": pa.array([[0.1, 0.9]] * each, pa.list_(pa.float64())),
            "at": pa.repeat(pa.scalar(at, pa.timestamp("us", tz="UTC")), each),
        }
        with registry.datasets.stage(project) as staging:
            staging.write_rows(values.append_column("_row_id", ids))
            staging.write_predictions(pa.table(answers))
            registry.datasets.commit(staging, kind=BatchKind.PREDICTIONS, details={}, at=at)


def _runs(registry: Registry, project: Project, past: Past, model: NewModel) -> None:
    for number in range(1, past.runs + 1):
        at = BEGAN + timedelta(days=30) * (number / past.runs)
        plan = {"budget_seconds": 60.0, "truths": 100}
        run = registry.runs.enqueue(
            project.id,
            trigger={"kind": "new_labels"},
            reason="500 new labels",
            plan=plan,
            dataset_version=1,
            seed=0,
            at=at,
        )
        claimed = registry.runs.claim("benchmark", lease_seconds=3600, at=at)
        assert claimed is not None
        if number > past.runs - 5:
            registry.runs.add_trials(
                run.id, claimed.fence, [_trial(place, at) for place in range(1, past.trials + 1)]
            )
        registry.runs.conclude(
            run.id,
            claimed.fence,
            status=RunStatus.COMPLETED,
            verdict=_verdict(),
            models=(model,) if number <= past.models else (),
            at=at + timedelta(seconds=60),
        )


def _trial(number: int, at: datetime) -> TrialRecord:
    return TrialRecord(
        number=number,
        engine=("flaml", "portfolio", "tpot")[number % 3],
        estimator="lgbm",
        score=0.8 + number / 1000,
        seconds=0.5,
        config={f"setting {place}": place for place in range(10)},
        error=None,
        at=at + timedelta(seconds=number),
    )


def _verdict() -> Mapping[str, Any]:
    slices = [
        {
            "column": "number 1",
            "value": str(place),
            "sensitive": False,
            "rows": 100,
            "champion": 0.9,
            "challenger": 0.91,
        }
        for place in range(20)
    ]
    gates = [
        {"name": f"gate {place}", "passed": True, "reason": "so it is", "evidence": {}} for place in range(9)
    ]
    gates.append(
        {"name": "slices", "passed": True, "reason": "none is worse", "evidence": {"slices": slices}}
    )
    difference = {"estimate": 0.001, "lower": -0.01, "upper": 0.012, "alpha": 0.05}
    return {
        "outcome": "inconclusive",
        "reason": "Inconclusive: neither shown nor excluded.",
        "metric": "roc_auc",
        "champion_score": 0.9,
        "challenger_score": 0.901,
        "baseline_score": 0.5,
        "difference": difference,
        "min_effect": 0.002,
        "rows": 400,
        "rows_needed": None,
        "gates": gates,
    }


def _looks(registry: Registry, project: Project, past: Past) -> None:
    for number in range(past.decisions):
        registry.ledger.decide(
            project.id,
            outcome="refused",
            trigger="nothing_fired",
            reason=f"{number} of the 500",
            evidence={},
            at=BEGAN,
        )
    for number in range(min(1_000, past.predictions // 1_000)):
        at = BEGAN + timedelta(minutes=40 * number)
        report = {
            "metric": "roc_auc",
            "rows": 1000,
            "error": 0.01,
            "from": at.isoformat(),
            "to": at.isoformat(),
        }
        registry.quality.add(
            project.id,
            model_version=past.models,
            kind=WINDOW,
            score=0.9,
            reference=0.9,
            report={**report, "upto": 1, "truths": 1},
            at=at,
        )


def measure(http: TestClient, path: str, times: int) -> list[float]:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        answer = http.get(path, headers={"accept": "text/html"})
        taken.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
    return taken


def beside(seconds: float, rounds: int) -> None:
    """Windows without and with open pages in turn, in one run against one server."""
    from benchmarks.serving import disturbance

    with tempfile.TemporaryDirectory() as folder:
        found = disturbance.during_views(Path(folder) / "views", seconds=seconds, rounds=rounds)
    quiet = [round(one["p99_ms"], 2) for one in found["quiet"]]
    viewed = [round(one["p99_ms"], 2) for one in found["disturbed"]]
    print(
        f"{found['rate']:.0f} calls of 3 rows a second, {rounds} windows of {seconds:g} s with 5 open pages"
    )
    print(f"{'':14}{'p50 ms':>8}{'p99 ms':>8}  windows")
    print(f"{'no page':14}{found['quiet_p50_ms']:8.2f}{found['quiet_p99_ms']:8.2f}  {quiet}")
    print(f"{'5 open pages':14}{found['p50_ms']:8.2f}{found['p99_ms']:8.2f}  {viewed}")
    print(
        f"p99 {found['p99_ms'] / found['quiet_p99_ms']:.2f} times as long; pages looked again {found['looks']} times; "
        f"{found['failed']} of {found['requests']} calls failed"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short past")
    parser.add_argument("--home", type=Path, help="keep the home here, and use it again when it is there")
    parser.add_argument("--beside", action="store_true", help="the tail of predictions beside open pages")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each window (--beside)")
    parser.add_argument("--rounds", type=int, default=5, help="windows with open pages (--beside)")
    asked = parser.parse_args()
    if asked.beside:
        beside(asked.seconds, asked.rounds)
        return
    past = QUICK if asked.quick else FULL
    with tempfile.TemporaryDirectory() as folder:
        home = asked.home or Path(folder) / "home"
        if not home.exists():
            registry = Registry.open(home)
            began = time.perf_counter()
            make(registry, past)
            registry.close()
            print(f"{past} made in {time.perf_counter() - began:.0f} s\n", flush=True)
        print(f"{'page':44}{'median ms':>10}{'slowest':>10}")
        with TestClient(create_app(Settings(home=home, scheduler=False))) as http:
            for page in PAGES:
                path = page.format(runs=past.runs)
                taken = measure(http, path, 15)
                print(f"{path:44}{statistics.median(taken):10.0f}{max(taken):10.0f}", flush=True)


if __name__ == "__main__":
    main()
