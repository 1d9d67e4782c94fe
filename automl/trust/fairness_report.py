"""What is told of each group, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from automl.trust.figures import Measured
from automl.trust.gaps import judged_groups, large_groups
from automl.trust.groups import Grouping


def column_report(grouping: Grouping, models: Mapping[str, Measured], least: int) -> dict[str, Any]:
    """One sensitive column: its groups with each model's figures and their 95% intervals.

    A group that is not ``judged`` has too few rows, or entities; a figure of one that is may still rest on too few rows.
    """
    first = next(iter(models.values()))  # all are of the same rows
    large = large_groups(first, grouping, least)
    bounds = {name: found.interval() for name, found in models.items()}
    return {
        "column": grouping.name,
        "columns": list(grouping.columns),
        "edges": None if grouping.edges is None else list(grouping.edges),
        "binned": grouping.edges is not None,
        "groups": [
            {
                "group": group,
                "rows": int(grouping.counts[place]),
                "units": int(first.units[place]),
                "judged": bool(large[place]),
                **{
                    name: _figures(found, bounds[name], grouping, place, least)
                    for name, found in models.items()
                },
            }
            for place, group in enumerate(grouping.names)
        ],
    }


def _figures(
    found: Measured, bounds: tuple[Any, Any], grouping: Grouping, group: int, least: int
) -> list[dict[str, Any]]:
    low, high = bounds
    return [
        {
            "figure": one.name,
            "label": one.label,
            "value": _number(found.values[place, group]),
            "low": _number(low[place, group]),
            "high": _number(high[place, group]),
            "rests_on": int(found.rests_on[place, group]),
            "judged": bool(judged_groups(found, grouping, place, least)[group]),
        }
        for place, one in enumerate(found.figures)
    ]


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
