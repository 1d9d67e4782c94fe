"""The gate vector: what a challenger has to keep beside its score. Each check has a field, null turns it off."""

from __future__ import annotations

from typing import Any

from service.policy_part import Part
from service.trust_data_health import DataHealth
from service.trust_energy import EnergyCost
from service.trust_explanation import Explanation
from service.trust_fairness import Fairness
from service.trust_robustness import Robustness


class Trust(Part):
    """Checks of both models on the same rows of the holdout, made in every run.

    Each has a ``mode``: ``hard`` (a limit the challenger has to keep), ``non_inferior`` (it may not be worse than the
    champion by more than ``margin``) or ``report`` (it is told, and blocks nothing).
    """

    robustness: Robustness | None = Robustness()
    fairness: Fairness | None = Fairness()
    explanation: Explanation | None = Explanation()
    data_health: DataHealth | None = DataHealth()
    energy: EnergyCost | None = EnergyCost()

    def rules(self) -> dict[str, Any]:
        """What :func:`automl.trust.vector.examined` is asked, as JSON."""
        return self.model_dump(mode="json")
