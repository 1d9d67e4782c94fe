"""Where it is kept what a run's judge found of a model beside its score."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a run's child needs the names alone, and no database
    from registry.records import Model
    from registry.store import Registry

TRUST = "trust"
"""The attachment of a model with what the checks of the gate vector found of it."""
TRUST_FILE = "trust.json"
"""The file in which a run's judge leaves the same."""
CERTAINTY = "certainty"
"""The attachment with the errors that a model made on the rows that judged it (:mod:`automl.conformal`)."""
CERTAINTY_FILE = "certainty.json"
"""The file of the same."""


def trust_report(registry: Registry, model: Model) -> dict[str, Any] | None:
    """What was found of a model when it was judged; None of one that was not examined."""
    kept = model.attachments.get(TRUST)
    if kept is None:
        return None
    report: dict[str, Any] = json.loads(registry.blobs.open(kept.digest))
    return report
