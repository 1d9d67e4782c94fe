"""What models lean on as bars, and how their answers move with a column as small pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.dashboard.pictures import Axis, axis

_WIDTH, _HEIGHT = 220.0, 96.0
_COLUMNS = 8
_OWN = 12
_LONGEST = 12
_PARTS = ("champion", "challenger")


def explanation_panel(report: Mapping[str, Any]) -> dict[str, Any]:
    """The foremost columns with each model's share, and a picture for each column that has curves."""
    columns = report.get("columns", ())
    parts = [part for part in _PARTS if columns and part in columns[0]]
    most = max((one[part]["share"] for one in columns for part in parts), default=0) or 1
    return {
        "parts": parts,
        "rows": report.get("rows", 0),
        "reason": report.get("reason"),
        "change": report.get("change"),
        "max_change": report.get("max_change"),
        "others": max(len(columns) - _COLUMNS, 0),
        "columns": [
            {
                "column": one["column"],
                "bars": [
                    {
                        "part": part,
                        "share": one[part]["share"],
                        "width": round(100 * one[part]["share"] / most, 2),
                    }
                    for part in parts
                ],
            }
            for one in columns[:_COLUMNS]
        ],
        "curves": [_drawn(curve) for curve in report.get("dependence", ())],
        "curves_not_measured": report.get("dependence_not_measured"),
        "contributions": report.get("contributions"),
    }


def _drawn(curve: Mapping[str, Any]) -> dict[str, Any]:
    models: Mapping[str, Any] = curve["models"]
    up = axis(
        [value for one in models.values() for line in (one["mean"], *one["rows"][:_OWN]) for value in line],
        _HEIGHT,
    )
    last = "challenger" if "challenger" in models else next(iter(models))
    grid: Sequence[Any] = curve["grid"]
    return {
        "column": curve["column"],
        "class": curve["class"],
        "width": _WIDTH,
        "height": _HEIGHT,
        "own": [_line(row, up) for row in models[last]["rows"][:_OWN]],
        "lines": [
            {"part": part, "points": _line(models[part]["mean"], up)} for part in _PARTS if part in models
        ],
        "ticks": [{"x": 0, "label": _label(grid[0])}, {"x": _WIDTH, "label": _label(grid[-1])}],
        "label": "; ".join(
            f"{part}: from {models[part]['mean'][0]:.3g} to {models[part]['mean'][-1]:.3g}"
            for part in _PARTS
            if part in models
        ),
        "low": f"{min(min(one['mean']) for one in models.values()):.3g}",
        "high": f"{max(max(one['mean']) for one in models.values()):.3g}",
    }


def _line(values: Sequence[float], up: Axis) -> str:
    step = _WIDTH / max(len(values) - 1, 1)
    return " ".join(
        f"{round(at * step, 2)},{round(_HEIGHT - up(value), 2)}" for at, value in enumerate(values)
    )


def _label(value: Any) -> str:
    if isinstance(value, str):
        return value[:10] if value[:4].isdigit() and "T" in value else value[:_LONGEST]
    return f"{value:.4g}"
