"""The degradation curves of two models as small pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.dashboard import words
from service.dashboard.pictures import Axis, axis

_WIDTH, _HEIGHT = 220.0, 96.0
_NAMES = {
    "noise": "Noise",
    "missing": "Missing values",
    "unseen": "Unseen categories",
    "units": "Wrong units",
    "time": "Later in time",
}
_PARTS = ("champion", "challenger")
_MOST_COLUMNS = 8


def robustness_panel(report: Mapping[str, Any]) -> dict[str, Any]:
    """The curves, all drawn on one scale of scores so that they can be compared."""
    clean = report["clean"]
    every = [
        score
        for curve in report["curves"]
        for part in _PARTS
        for score in (clean.get(part), *curve.get(part, ()))
        if score is not None
    ]
    up = axis(every, _HEIGHT)
    return {
        "rows": report["rows"],
        "not_measured": report.get("not_measured"),
        "columns_not_measured": report["columns"].get("not_measured"),
        "metric": report["metric"],
        "parts": [part for part in _PARTS if part in clean],
        "curves": [_drawn(curve, clean, up) for curve in report["curves"]],
        "columns": _columns(report["columns"]),
        "unit_errors": report["unit_errors"],
        "label_noise": _label_noise(report["label_noise"]),
        "slices": report["worst_slices"],
    }


def _columns(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The columns whose absence costs the challenger most, each with what another unit in it costs."""
    units = {one["column"]: one for one in found["units"]}
    return [
        {
            "column": one["column"],
            "missing": {part: one[part]["estimate"] for part in _PARTS if part in one},
            "units": {part: units[one["column"]][part]["estimate"] for part in _PARTS if part in one}
            if one["column"] in units
            else None,
        }
        for one in found["missing"][:_MOST_COLUMNS]
    ]


def _label_noise(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What is told of training on flipped labels; None where the policy didn't ask."""
    if found is None:
        return None
    pairs = zip(found["levels"], found["scores"], strict=True)
    return {
        "rows": found["rows"],
        "not_measured": found["not_measured"],
        "scores": [{"level": f"{level:.0%}", "score": score} for level, score in pairs],
    }


def _drawn(curve: Mapping[str, Any], clean: Mapping[str, float | None], up: Axis) -> dict[str, Any]:
    levels = [0.0, *curve["levels"]]
    step = _WIDTH / (len(levels) - 1)
    lines = [
        {"part": part, "points": _points([clean.get(part), *curve[part]], step, up)}
        for part in _PARTS
        if part in curve
    ]
    judged = curve["levels"].index(curve["judged"])
    return {
        "name": _NAMES[curve["kind"]],
        "said": curve["said"],
        "width": _WIDTH,
        "height": _HEIGHT,
        "lines": lines,
        "ticks": [
            {"x": round(place * step, 2), "label": _label(curve["kind"], level)}
            for place, level in enumerate(levels)
        ],
        "judged": round((judged + 1) * step, 2),
        "scores": [
            {"part": part, "before": clean.get(part), "after": curve[part][judged]}
            for part in _PARTS
            if part in curve
        ],
        "label": "; ".join(
            f"{part}: {words.score(clean.get(part))} on clean rows, then "
            + ", ".join(words.score(score) for score in curve[part])
            for part in _PARTS
            if part in curve
        ),
    }


def _points(scores: Sequence[float | None], step: float, up: Axis) -> str:
    """A line through the scores that there are."""
    return " ".join(
        f"{round(place * step, 2)},{round(_HEIGHT - up(score), 2)}"
        for place, score in enumerate(scores)
        if score is not None
    )


def _label(kind: str, level: float) -> str:
    if kind == "noise":
        return f"{level:g}"
    return f"{level:g} d" if kind == "time" else f"{level:.0%}"
