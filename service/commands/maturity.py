"""``incumbent doctor --maturity``: how far each project has come, by what really happened in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from service.commands.console import CommandError, show_json, show_table
from service.commands.options import opened, settings

_MARKS = {True: "yes", False: "NO", None: "unseen"}


def show_maturity(home: Path | None, project: str | None, *, as_json: bool) -> None:
    """All projects of the home folder, or one. Raises CommandError where there is none."""
    from registry.errors import NotFound
    from service.maturity.report import maturity

    wanted = settings(home=home)
    if wanted.database_url is None and not (wanted.home / "registry.db").exists():
        raise CommandError(
            f"There is no registry in {wanted.home}.", remedy="Say where with --home (INCUMBENT_HOME)."
        )
    with opened(wanted) as registry:
        try:
            chosen = registry.projects.list() if project is None else (registry.projects.get(project),)
        except NotFound as error:
            raise CommandError(f"{error}.", remedy="See incumbent project list.") from error
        if not chosen:
            raise CommandError(
                "There is no project yet.", remedy="incumbent project create NAME --target COLUMN"
            )
        found = [maturity(registry, one) for one in chosen]
    if as_json:
        show_json({"projects": found})
        return
    for one in found:
        for model in one["models"].values():
            _show(one["project"], model)


def _show(project: str, model: dict[str, Any]) -> None:
    lines = [
        (level["level"], one["requirement"], _MARKS[one["met"]], one["evidence"])
        for level in model["levels"]
        for one in level["requirements"]
    ]
    reached = model["reached"]
    standing = f"below level {model['levels'][0]['level']}" if reached is None else f"level {reached}"
    title = f"{project} by {model['name']}: {standing}"
    show_table(("level", "asks for", "met", "evidence"), lines, empty="", title=title)
    following = model["next"]
    if following is not None and following["missing"]:
        typer.echo(f"Level {following['level']} ({following['name']}) lacks:")
        for one in following["missing"]:
            typer.echo(f"  - {one['requirement']}. {one['remedy']}")
    if model["unseen"]:
        typer.echo(f"Not to be seen from here: {'; '.join(model['unseen'])}.")
    typer.echo(f"Source: {model['source']}\n")
