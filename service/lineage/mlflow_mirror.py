"""Runs and their metrics on an MLflow tracking server (its REST API 2.0), for those who look there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx

from registry.records import Project, Run, RunStatus, TrialRecord
from registry.store import Registry
from service.alerts.envelope import installation
from service.clock import Clock
from service.lineage.follower import Follower, Tell, Unsent
from service.settings import Settings

NAME = "mlflow"
SECONDS = 10.0
RUN_TAG = "incumbent.run_id"
_STATUS = {RunStatus.COMPLETED: "FINISHED", RunStatus.FAILED: "FAILED", RunStatus.CANCELLED: "KILLED"}
_LONGEST = 500
"""Characters of a parameter that every version of MLflow takes."""
_BATCH = 900
"""Its servers take 1,000 metrics at once."""
_FINAL = frozenset({400, 413, 422})
_SCORES = ("challenger_score", "champion_score", "baseline_score", "min_effect", "alpha_spent", "rows")


def mirror(registry: Registry, settings: Settings, *, clock: Clock) -> Follower | None:
    """None where ``INCUMBENT_MLFLOW_TRACKING_URL`` is not set."""
    if settings.mlflow_tracking_url is None:
        return None
    token = settings.mlflow_tracking_token
    server = Tracking(settings.mlflow_tracking_url, None if token is None else token.get_secret_value())
    return Follower(NAME, registry, settings, teller(registry, server), clock=clock)


class Tracking:
    """The few calls of the REST API that it takes. What they raise is Unsent."""

    def __init__(self, url: str, token: str | None) -> None:
        self._base = f"{url.rstrip('/')}/api/2.0/mlflow/"
        self._headers = {} if token is None else {"authorization": f"Bearer {token}"}

    def experiment(self, name: str) -> str:
        """The id of the experiment of that name, made where there is none."""
        found = self._ask("GET", "experiments/get-by-name", {"experiment_name": name}, missing=404)
        if found is None:
            return str(self.call("experiments/create", name=name)["experiment_id"])
        return str(found["experiment"]["experiment_id"])

    def call(self, path: str, **body: Any) -> dict[str, Any]:
        found = self._ask("POST", path, body)
        return found or {}

    def _ask(
        self, method: str, path: str, words: Mapping[str, Any], missing: int | None = None
    ) -> dict[str, Any] | None:
        sent: dict[str, Any] = {"params": words} if method == "GET" else {"json": words}
        try:
            answer = httpx.request(method, self._base + path, headers=self._headers, timeout=SECONDS, **sent)
        except httpx.HTTPError as error:
            raise Unsent(f"the tracking server is out of reach: {type(error).__name__}") from error
        if answer.status_code == missing:
            return None
        if not answer.is_success:
            said = answer.text[:200].replace("\n", " ")
            raise Unsent(f"{path} answered {answer.status_code}: {said}", final=answer.status_code in _FINAL)
        try:
            found: dict[str, Any] = answer.json()
        except ValueError as error:
            raise Unsent(f"{path} answered something that is no JSON") from error
        return found


def teller(registry: Registry, server: Tracking) -> Tell:
    origin = installation(registry.signing_key)

    def tell(project: Project, run: Run, ended: bool) -> None:
        experiment = server.experiment(f"incumbent/{project.name}")
        told = _run_of(server, experiment, project, run, f"{origin}-{run.id}")
        if not ended:
            return
        for batch in _batches(run, registry.runs.trials(run.id)):
            server.call("runs/log-batch", run_id=told, metrics=batch)
        server.call(
            "runs/log-batch", run_id=told, params=_pairs(_parameters(run)), tags=_pairs(_outcome(run))
        )
        end = run.finished_at or run.created_at
        server.call("runs/update", run_id=told, status=_STATUS[run.status], end_time=_millis(end))

    return tell


def _run_of(server: Tracking, experiment: str, project: Project, run: Run, name: str) -> str:
    """Its id there: told twice, it is one run."""
    found = server.call(
        "runs/search", experiment_ids=[experiment], filter=f"tags.`{RUN_TAG}` = '{name}'", max_results=1
    )
    for one in found.get("runs", ()):
        return str(one["info"]["run_id"])
    tags = {RUN_TAG: name, "incumbent.project": project.name, "incumbent.reason": run.reason}
    made = server.call(
        "runs/create",
        experiment_id=experiment,
        run_name=f"run {run.number}",
        start_time=_millis(run.started_at or run.created_at),
        tags=_pairs(tags),
    )
    return str(made["run"]["info"]["run_id"])


def _batches(run: Run, trials: Sequence[TrialRecord]) -> Iterator[list[dict[str, Any]]]:
    metrics = [*_metrics(run, trials)]
    for start in range(0, len(metrics), _BATCH):
        yield metrics[start : start + _BATCH]


def _metrics(run: Run, trials: Sequence[TrialRecord]) -> Iterator[dict[str, Any]]:
    """The verdict's numbers, and each trial's score as a step of its engine."""
    at, verdict = _millis(run.finished_at or run.created_at), run.verdict or {}
    values = {name: verdict.get(name) for name in _SCORES}
    gain = verdict.get("difference") or {}
    values |= {f"gain_{name}": gain.get(name) for name in ("estimate", "lower", "upper")}
    for gate in verdict.get("gates", ()):
        if gate["passed"] is not None:
            values[f"gate/{gate['name']}"] = float(gate["passed"])
    for name, value in values.items():
        if isinstance(value, int | float) and math.isfinite(value):
            yield {"key": name, "value": float(value), "timestamp": at, "step": 0}
    for trial in trials:
        if trial.score is not None and math.isfinite(trial.score):
            key = f"trial/{trial.engine}"
            yield {"key": key, "value": trial.score, "timestamp": _millis(trial.at), "step": trial.number}


def _parameters(run: Run) -> dict[str, Any]:
    snapshot, plan = run.snapshot or {}, run.plan
    return {
        "seed": run.seed,
        "dataset_version": run.dataset_version,
        "snapshot_sha256": snapshot.get("hash"),
        "train_rows": snapshot.get("train_rows"),
        "holdout_rows": snapshot.get("holdout_rows"),
        "budget_seconds": plan.get("budget_seconds"),
        "engines": plan.get("engines"),
        "metric": (run.verdict or {}).get("metric"),
        "challenger": run.challenger,
    }


def _outcome(run: Run) -> dict[str, Any]:
    verdict = run.verdict or {}
    outcome = verdict.get("outcome") or run.status.value
    return {"incumbent.outcome": outcome, "incumbent.verdict": verdict.get("reason") or run.error}


def _pairs(values: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {"key": name, "value": str(value)[:_LONGEST]} for name, value in values.items() if value is not None
    ]


def _millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)
