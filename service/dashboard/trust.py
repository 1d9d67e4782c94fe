"""The gate vector on a page: one panel for each check that was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from service.dashboard.trust_data_health import data_health_panel
from service.dashboard.trust_energy import energy_panel
from service.dashboard.trust_explanation import explanation_panel
from service.dashboard.trust_fairness import fairness_panel
from service.dashboard.trust_robustness import robustness_panel

Report = Mapping[str, Any]

PANELS: Mapping[str, Callable[[Report], dict[str, Any]]] = {
    "robustness": robustness_panel,
    "fairness": fairness_panel,
    "explanation": explanation_panel,
    "data_health": data_health_panel,
    "energy": energy_panel,
}
"""What each check's template, ``trust_<name>.html``, is handed of its report; ``trust.html`` includes them."""


def panels(report: Report | None) -> dict[str, dict[str, Any]]:
    """The panels of a model's report. A check that failed, or has nothing to tell, is in no panel."""
    found = report or {}
    return {
        name: make(found[name])
        for name, make in PANELS.items()
        if found.get(name) and "failed" not in found[name]
    }
