"""Examples of events that are shown where kinds of alert are listed: those that are long, or stand for several kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CHANGE: Mapping[str, Any] = {
    "project": "flights",
    "run": 12,
    "version": 5,
    "from": 3,
    "to": 5,
    "kind": "promotion",
    "reason": "Promoted: roc_auc 0.7412 against 0.7208 of the champion.",
}
PROBATION: Mapping[str, Any] = {
    "project": "flights",
    "probation": 4,
    "mode": "previous",
    "champion": 5,
    "other": 3,
    "status": "annotated",
    "reason": "Worse, and by policy only noted: version 5 loses 0.03 more a row than version 3.",
}
GROUPS: Mapping[str, Any] = {
    "project": "flights",
    "model_version": 5,
    "column": "sex",
    "measure": "demographic_parity_difference",
    "figure": "selection_rate",
    "class": "true",
    "groups": ["m", "f"],
    "gap": 0.24,
    "at_least": 0.15,
    "limit": 0.1,
    "rows": 2000,
    "reason": "on the newest 2,000 answers with truth by sex the selection rate of true is 0.24 higher "
    "for m than for f, surely at least 0.15 where 0.1 is allowed",
}
