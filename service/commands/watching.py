"""``incumbent status``, ``drift``, ``outliers`` and ``performance``: what a project's rows and answers look like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from service.commands.console import CommandError, Exit, out, show_facts, show_json, show_table
from service.commands.options import AsJson, Key, ProjectName, Url, connect

Limit = Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")]


def status(project: ProjectName, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Show one page: what serves, what came in, and whether a run is due."""
    with connect(url, key) as server:
        found = server.monitoring(project)
    if as_json:
        show_json(found)
        return
    words = ("champion", "served", "rows", "labelled", "predictions", "last_row_at", "last_truth_at")
    drift, odd = found.get("drift") or {}, found.get("outliers") or {}
    facts = {word: found.get(word) for word in words}
    facts |= {
        "drift": f"{drift['share']:.0%} of the features moved" if drift else None,
        "odd rows": f"{odd['odd']} of the newest {odd['rows']}" if odd else None,
        "probation": (found.get("probation") or {}).get("status"),
        "next scheduled run": found.get("next_scheduled_at"),
        "a run is due": found.get("due"),
        "because": found.get("because"),
    }
    show_facts(facts)


def drift(
    project: ProjectName, limit: Limit = 10, url: Url = None, key: Key = None, as_json: AsJson = False
) -> None:
    """Show the newest drift report column by column, and those before it."""
    with connect(url, key) as server:
        reports = server.drift(project)["reports"][:limit]
    if as_json:
        show_json({"reports": reports})
        return
    lines = [
        (
            one["at"],
            one["model_version"],
            f"{one['share']:.0%}",
            ", ".join(one["drifted"]) or None,
            _joint(one),
        )
        for one in reports
    ]
    empty = "No drift report yet: one is made of each full window of predictions."
    show_table(("at", "model", "share", "drifted", "joint AUC"), lines, empty=empty)
    if not reports:
        return
    names = ("name", "method", "score", "threshold", "drifted")
    columns = [[column.get(name) for name in names] for column in reports[0]["columns"]]
    show_table(names, columns, empty="", title="the newest, by column")


def _joint(report: Mapping[str, Any]) -> Any:
    return (report.get("joint") or {}).get("auc")


def outliers(
    project: ProjectName,
    limit: Limit = 20,
    source: Annotated[str | None, typer.Option(help="upload or prediction: only rows that came so.")] = None,
    batch: Annotated[int | None, typer.Option(help="Only rows of this batch.")] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List the rows most unlike those trained on, and the columns that make them so."""
    if source not in (None, "upload", "prediction"):
        raise CommandError(
            f"There is no source {source!r}.", remedy="Choose upload or prediction.", code=Exit.USAGE
        )
    with connect(url, key) as server:
        found = server.outliers(project, limit=limit, source=source, batch=batch)
    if as_json:
        show_json(found)
        return
    lines = [
        (one["id"], one["score"], one["times"], one["source"], one["batch"], _because(one["columns"]))
        for one in found["rows"]
    ]
    empty = f"No odd row: {found['reason']}." if found["reason"] else "No odd row."
    show_table(("id", "score", "times", "source", "batch", "because"), lines, empty=empty)
    if found["share"] is not None:
        out().print(f"{found['share']:.1%} of the newest rows are odd; by chance {found['expected']:.1%}")


def _because(columns: list[dict[str, Any]]) -> str:
    return "\n".join(
        f"{one['column']} = {one['value']}"
        + (f" (usually {one['usual'][0]:.4g} to {one['usual'][1]:.4g})" if one["usual"] else "")
        for one in columns
    )


def performance(project: ProjectName, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Show the live metric on answers whose truth has come, by model version and by window."""
    with connect(url, key) as server:
        found = server.performance(project)
    if as_json:
        show_json(found)
        return
    show_facts({word: found.get(word) for word in ("metric", "rows", "score")})
    versions = [(one["version"], one["rows"], one["score"]) for one in found["by_version"]]
    show_table(("version", "rows", "score"), versions, empty="No answer has its truth yet.")
    windows = [(one["from"], one["to"], one["rows"], one["score"]) for one in found["windows"]]
    if windows:
        show_table(("from", "to", "rows", "score"), windows, empty="", title="by window")
