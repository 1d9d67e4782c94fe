"""What a thousand predictions cost, as bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PARTS = ("champion", "challenger")


def energy_panel(report: Mapping[str, Any]) -> dict[str, Any]:
    """One bar for each model."""
    costs: Mapping[str, Any] = report.get("wh_per_1000", {})
    most = max((one["high"] for one in costs.values()), default=0.0) or 1.0
    return {
        "reason": report.get("reason"),
        "rows": report.get("rows", 0),
        "method": report.get("method"),
        "watts_per_core": report.get("watts_per_core"),
        "bars": [
            {"part": part, **costs[part], "width": round(100 * costs[part]["median"] / most, 2)}
            for part in _PARTS
            if part in costs
        ],
    }
