"""Rates and errors by group, and the gaps between groups, as small pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.dashboard import words
from service.dashboard.pictures import Axis, axis

_WIDTH = 100.0
_PARTS = ("champion", "challenger")
_FIGURES = {
    "selection_rate": "Answered",
    "true_positive_rate": "True positives",
    "false_positive_rate": "False positives",
    "calibration": "Too high by",
    "error": "Mean error",
    "bias": "Bias",
}
_GAPS = {
    "demographic_parity_difference": "Demographic parity",
    "equalized_odds_difference": "Equalized odds",
    "calibration_difference": "Calibration",
    "error_difference": "Error",
    "bias_difference": "Bias",
}
_OF_NUMBERS = frozenset({"error", "bias"})

Json = Mapping[str, Any]


def fairness_panel(report: Json, where: str = "rows that judged") -> dict[str, Any]:
    """Each audited column with a picture of every figure by group. Of several classes those are shown between which the
    widest gaps are."""
    parts = [part for part in _PARTS if any(part in one["groups"][0] for one in report["columns"])]
    return {
        "rows": report["rows"],
        "where": where,
        "min_rows": report["min_rows"],
        "mode": report["mode"],
        "parts": parts,
        "columns": [_column(one, parts) for one in report["columns"]],
        "many": any(len(_labels(one, parts[-1])) > 1 for one in report["columns"]),
    }


def _column(column: Json, parts: Sequence[str]) -> dict[str, Any]:
    shown = _shown(column, parts[-1])
    scales = [_scale(column, parts, place) for place in shown]
    first = column["groups"][0][parts[-1]]
    return {
        "name": column["column"],
        "binned": column["binned"],
        "figures": [_name(first[place]) for place in shown],
        "groups": [
            {
                "name": group["group"],
                "rows": group["rows"],
                "judged": group["judged"],
                "cells": [
                    _cell([(part, group[part][place]) for part in parts], scale)
                    for place, scale in zip(shown, scales, strict=True)
                ],
            }
            for group in column["groups"]
        ],
        "gaps": [_gap(one, parts) for one in column["gaps"]],
    }


def _labels(column: Json, part: str) -> list[str | None]:
    return list(dict.fromkeys(one["label"] for one in column["groups"][0][part]))


def _shown(column: Json, part: str) -> list[int]:
    """The places of the figures to show."""
    every = column["groups"][0][part]
    wide = {one[part]["widest"]["label"] for one in column["gaps"]} or {every[0]["label"]}
    return [place for place, one in enumerate(every) if one["label"] in wide]


def _scale(column: Json, parts: Sequence[str], place: int) -> Axis:
    """One that holds a figure of all groups with their intervals, so that they can be compared."""
    told = [group[part][place] for group in column["groups"] for part in parts]
    return axis(
        [one[word] for one in told for word in ("low", "value", "high") if one[word] is not None], _WIDTH
    )


def _name(one: Json) -> str:
    if one["label"] is None:
        return _FIGURES[one["figure"]]
    between = " " if one["figure"] == "selection_rate" else ", "
    return f"{_FIGURES[one['figure']]}{between}{one['label']}"


def _cell(told: Sequence[tuple[str, Json]], scale: Axis) -> dict[str, Any]:
    """A figure of one group: its value by the model that is judged, and every model's with its interval as a picture."""
    ours = told[-1][1]
    return {
        "value": _said(ours),
        "judged": ours["judged"],
        "label": "; ".join(_label(part, one) for part, one in told),
        "marks": [
            {"part": part, "x": scale(one["value"]), **_span(one, scale)}
            for part, one in told
            if one["value"] is not None
        ],
    }


def _span(one: Json, scale: Axis) -> dict[str, float]:
    if one["low"] is None or one["high"] is None:
        return {"low": scale(one["value"]), "high": scale(one["value"])}
    return {"low": scale(one["low"]), "high": scale(one["high"])}


def _said(one: Json, word: str = "value") -> str:
    return words.score(one[word]) if one["figure"] in _OF_NUMBERS else words.share(one[word])


def _label(part: str, one: Json) -> str:
    if one["low"] is None:
        return f"{part} {_said(one)}, on {one['rests_on']:,} rows"
    return f"{part} {_said(one)}, {_said(one, 'low')} to {_said(one, 'high')}, on {one['rests_on']:,} rows"


def _gap(one: Json, parts: Sequence[str]) -> dict[str, Any]:
    ours = one[parts[-1]]
    theirs = one.get(parts[0]) if len(parts) > 1 else None
    limit = one["limit"]
    scale = Axis(low=0.0, high=max(ours["high"], limit or 0.0, 1e-9) * 1.05, length=_WIDTH)
    return {
        "name": _GAPS[one["measure"]],
        "between": list(ours["widest"]["groups"]),
        "figure": _name(ours["widest"]),
        "value": ours["value"],
        "low": ours["low"],
        "high": ours["high"],
        "champion": None if theirs is None else theirs["value"],
        "limit": limit,
        "state": _state(one, ours),
        "x": scale(ours["value"]),
        "from": scale(ours["low"]),
        "to": scale(ours["high"]),
        "mark": None if limit is None else scale(limit),
    }


def _state(one: Json, ours: Json) -> str:
    if one["limit"] is None:
        return "told"
    if one["exceeds"]:
        return "beyond"
    return "unsure" if ours["high"] > one["limit"] else "within"
