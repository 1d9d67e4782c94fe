"""What is done on a run of a forecasting project, where it differs from one that predicts rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from automl.search import Plan, SearchResult
from registry.records import NewModel, RunStatus
from service.bench import Bench
from service.conclusion import Challenger, Interruption, Judgement
from service.environment import environment
from service.registration import Refit
from service.stages.names import FORECAST_FILE

ENGINES = ("portfolio", "flaml")
_NO_PART: Mapping[str, Any] = {
    "seconds": 0.0,
    "trials": 0,
    "peak_mib": 0,
    "score": None,
    "estimator": None,
    "partial": None,
    "error": "it searches models for rows, not for series",
}
_OF_SNAPSHOT = ("cut", "trained_until", "hash", "train_rows", "holdout_rows", "series", "step", "season")


class ForecastBench(Bench):
    """A model is a mix of recipes, as JSON: it is fitted anew whenever it forecasts, so there is nothing to refit, to
    compile or to explain, and pseudo-labels would be the model's own words."""

    SNAPSHOT, SEARCH, JUDGE = "series", "forecast_search", "forecast_judge"

    @property
    def plan(self) -> Plan:
        """Of the engines asked for those that forecast; all of the budget is theirs. Raises Interruption where none does."""
        asked: Mapping[str, float] = self._run.plan["engines"]
        shares = {name: asked[name] for name in ENGINES if asked.get(name, 0) > 0}
        if not shares:
            raise Interruption(
                RunStatus.FAILED,
                f"search: of {', '.join(asked)} no engine forecasts series; ask for {' or '.join(ENGINES)}",
            )
        return Plan(budget_seconds=self._run.plan["budget_seconds"], shares=shares)

    def search(self, *, arm: str = "") -> SearchResult[Challenger]:
        found = super().search(arm=arm)
        for name, share in self._run.plan["engines"].items():
            if share > 0 and name not in ENGINES:
                self._outcomes[name] = _NO_PART
        self._log.describe(engines=self._outcomes)
        return found

    def search_with_pseudo_labels(self) -> Challenger | None:
        return None

    def refit(self, judgement: Judgement) -> Refit | None:
        return None

    def take_snapshot(self) -> Mapping[str, Any]:
        snapshot = super().take_snapshot()
        self._room.specify(coverage=self._policy.forecast.coverage)
        return snapshot

    def _rules(self, challenger: Challenger) -> dict[str, Any]:
        """No latency is asked of a model that is fitted anew for each call."""
        return {**super()._rules(challenger), "max_latency_ms": None}

    def _models(
        self, judgement: Judgement, pseudo_labels: Mapping[str, Any] | None, refit: Refit | None
    ) -> Sequence[NewModel]:
        challenger, verdict = judgement.challenger, judgement.verdict
        data = self._room.unsealed(FORECAST_FILE)
        details = {
            "task": self._project.task,
            "schema": self._project.schema,
            "metric": verdict["metric"],
            "score": verdict["challenger_score"],
            "cv_score": challenger.score,
            "requirements": {},
            "size_bytes": len(data),
            "partial": False,
            "outcome": judgement.outcome,
            "judged_against": self._project.champion,
            "environment": environment(),
            "interval_coverage": verdict["interval_coverage"],
            "spread": verdict["spread"],
            "not_estimated": "forecasts are scored as their actual values come",
            **{name: self._snapshot[name] for name in _OF_SNAPSHOT},
        }
        return (
            NewModel(
                blob=self._registry.blobs.put(data, at=self._log.now()),
                engine=challenger.engine,
                estimator=challenger.estimator,
                config=challenger.config,
                dataset_version=self._run.dataset_version,
                details=details,
            ),
        )
