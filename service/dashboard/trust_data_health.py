"""What was found of the rows of a run, check by check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.dashboard import words

_REVIEWED = 8
_COLUMNS = 8


def data_health_panel(report: Mapping[str, Any]) -> dict[str, Any]:
    """Each check in a line, labels to look at, columns that changed."""
    failed: Mapping[str, str] = report["failed_checks"]
    labels, twice, odd = report["label_errors"], report["duplicates"], report["outliers"]
    told = {
        "leakage": _leaks(report["leaks"]),
        "label_errors": _labels(labels),
        "duplicates": _twice(twice),
        "missing": "no column is missing surely more than before",
        "schema": "the newest values are like those trained on",
        "outliers": "there is nothing to measure by"
        if odd is None
        else f"{words.share(odd['odd'] / max(odd['rows'], 1))} of the newest rows lie far out; 1% would by chance",
    }
    changed = [one for one in report["columns"] if one["risen"] or (one["unseen"] or 0) > 0]
    return {
        "checks": [
            {"name": name, "failed": name in failed, "text": failed.get(name, text)}
            for name, text in told.items()
        ],
        "review": [] if labels is None else labels["review"][:_REVIEWED],
        "suspected": 0 if labels is None else labels["suspected"],
        "changed": changed[:_COLUMNS],
        "new": report["columns_new"],
        "gone": report["columns_gone"],
    }


def _leaks(leaks: list[Mapping[str, Any]]) -> str:
    return "; ".join(leak["reason"] for leak in leaks) or "no column says the label alone"


def _twice(twice: Mapping[str, Any]) -> str:
    told = f"{twice['shared']:,} of {twice['held']:,} rows that judged are equal to rows trained on"
    if twice["shared"] and not twice["telling"]:
        told += ", as rows of so few different values are by chance"
    more = f"{twice['repeated']:,} training rows are there twice" if twice["repeated"] else ""
    against = f"{twice['conflicting']:,} are equal but for the label" if twice["conflicting"] else ""
    return "; ".join(part for part in (told, more, against) if part)


def _labels(labels: Mapping[str, Any] | None) -> str:
    if labels is None:
        return "not looked at: too few rows to learn from"
    told = f"{words.share(labels['share'])} of the labels of which a model is surest are denied"
    return f"{told}; {labels['suspected']:,} of {labels['rows']:,} are to be looked at"
