"""Where the reports of the gate vector are kept."""

from __future__ import annotations

import json
from typing import Any

from registry.records import Model
from registry.store import Registry

TRUST = "trust"
"""The attachment of a model with what the checks of the gate vector found of it."""
TRUST_FILE = "trust.json"
"""The file in which a run's judge leaves the same."""


def trust_report(registry: Registry, model: Model) -> dict[str, Any] | None:
    """What was found of a model when it was judged; None of one that was not examined."""
    kept = model.attachments.get(TRUST)
    if kept is None:
        return None
    report: dict[str, Any] = json.loads(registry.blobs.open(kept.digest))
    return report
