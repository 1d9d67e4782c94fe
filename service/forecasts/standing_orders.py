"""What a policy says of a forecasting project where nobody said anything else."""

from __future__ import annotations

from collections.abc import Mapping

from automl.task import Task
from service.policy import NewLabels, Policy

LEAST_MORE = 8
"""Steps beyond the horizon that a first run waits for: one series gives the judge as many origins."""


def forecasting_policy(policy: Policy, task: Task) -> Policy:
    """``policy`` with defaults for series in all parts that its author left alone.

    A run waits for a horizon and 8 values, not for 100 rows, and starts after a tenth more; the first run is a full one,
    for a quick one saves no time; watchers of predicted rows and probation are off
    (see :data:`service.forecasts.kind.NOT_WATCHED`).
    """
    assert task.horizon is not None
    triggers = {
        "new_labels": NewLabels(count=None, share=0.1),
        "estimated_decay": None,
        "prediction_drift": None,
        "drift": None,
    }
    parts = {
        "min_fresh_labels": task.horizon + LEAST_MORE,
        "min_fresh_share": 0.0,
        "probation": None,
        "shadow": None,
        "outliers": None,
        "attributions": None,
        "refit": False,
        "triggers": policy.triggers.model_copy(update=_untold(policy.triggers, triggers)),
        "search": policy.search.model_copy(update=_untold(policy.search, {"first_seconds": None})),
    }
    merged = {"triggers", "search"}
    update = {
        name: value for name, value in parts.items() if name in merged or name not in policy.model_fields_set
    }
    return policy.model_copy(update=update)


def _untold(part: object, defaults: Mapping[str, object]) -> dict[str, object]:
    told: set[str] = getattr(part, "model_fields_set", set())
    return {name: value for name, value in defaults.items() if name not in told}
