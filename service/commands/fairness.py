"""``incumbent fairness``: how the champion treats the groups of sensitive columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.commands.console import out, show_json, show_table
from service.commands.options import AsJson, Key, ProjectName, Url, connect


def fairness(project: ProjectName, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Show rates or errors by group and the gaps between groups: live, or as the champion was judged."""
    with connect(url, key) as server:
        found = server.fairness(project)
    if as_json:
        show_json(found)
        return
    report, model, when = _shown(found)
    if report is None:
        out().print(f"Nothing to show: {found['because']}.", markup=False)
        return
    for column in report["columns"]:
        figures = [_figure(one) for one in column["groups"][0][model]]
        lines = [
            (one["group"], one["rows"], *(_value(told) for told in one[model])) for one in column["groups"]
        ]
        title = f"{column['column']}, {when} on {report['rows']:,} rows"
        show_table(("group", "rows", *figures), lines, empty="", title=title)
        gaps = [_gap(one, model) for one in column["gaps"]]
        nothing = f"No two groups have the {report['min_rows']:,} rows that each needs to be judged."
        show_table(
            ("gap", "figure", "between", "surely at least", "width", "limit", "exceeds"), gaps, empty=nothing
        )
    if found["because"]:
        out().print(f"Not seen live yet: {found['because']}.", markup=False)


def _shown(found: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str, str]:
    """The report to show, whose figures in it, and when they were taken."""
    if found["live"] is not None:
        return found["live"], "champion", "live"
    return found["judged"], "challenger", "as judged"


def _figure(one: Mapping[str, Any]) -> str:
    of = "" if one["label"] is None else f" ({one['label']})"
    return str(one["figure"]).replace("_", " ") + of


def _value(one: Mapping[str, Any]) -> str | None:
    """A figure; in brackets where it rests on too few rows to be judged."""
    if one["value"] is None:
        return None
    return f"{one['value']:.3g}" if one["judged"] else f"({one['value']:.3g})"


def _gap(one: Mapping[str, Any], model: str) -> tuple[Any, ...]:
    gap = one[model]
    high, low = gap["widest"]["groups"]
    name = one["measure"].removesuffix("_difference").replace("_", " ")
    return (
        name,
        _figure(gap["widest"]),
        f"{high} – {low}",
        gap["low"],
        gap["value"],
        one["limit"],
        one["exceeds"],
    )
