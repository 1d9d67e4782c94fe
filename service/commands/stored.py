"""``incumbent batches``, ``quarantine`` and ``schema``: what was stored, what was refused, and what rows are held to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.commands.console import show_json, show_table
from service.commands.options import AsJson, Key, ProjectName, Url, connect


def batches(project: ProjectName, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """List what was stored, newest first: uploads, logged predictions, feedback."""
    with connect(url, key) as server:
        found = server.batches(project)
    words = ("batch", "kind", "rows", "labelled", "quarantined", "odd", "dataset_version", "created_at")
    _listed(
        "batches", found, words, "Nothing is stored yet. Send rows: incumbent upload PROJECT FILE", as_json
    )


def quarantine(project: ProjectName, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """List the rows that were refused, with their reasons."""
    with connect(url, key) as server:
        found = server.quarantine(project)
    words = ("batch", "line", "column", "code", "message")
    _listed("rows", found, words, "No row was refused.", as_json)


def schema(project: ProjectName, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Show the columns that rows are held to, and the target."""
    with connect(url, key) as server:
        found = server.schema(project)
    if as_json:
        show_json(found)
        return
    lines = [
        (column["name"], column["kind"], column["optional"], _categories(column))
        for column in found["columns"]
    ]
    target = found["target"]
    classes = ", ".join(map(str, target["classes"])) or "a number"
    title = f"schema version {found['schema_version']}; the target is {classes}"
    show_table(("column", "kind", "optional", "categories"), lines, empty="", title=title)


def _categories(column: Mapping[str, Any]) -> str | None:
    names = column.get("categories") or ()
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") if names else None


def _listed(
    name: str, found: list[dict[str, Any]], words: tuple[str, ...], empty: str, as_json: bool
) -> None:
    if as_json:
        show_json({name: found})
        return
    shown = [word for word in words if any(one.get(word) is not None for one in found)]
    lines = [[one.get(word) for word in shown] for one in found]
    show_table([word.replace("_", " ") for word in shown], lines, empty=empty)
