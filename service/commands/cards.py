"""``incumbent card``: what is recorded of a model, to read or to hand on."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.console import CommandError, Exit
from service.commands.options import Key, Url, connect

if TYPE_CHECKING:
    from service.client import Incumbent

FORMS = ("md", "json", "bom")
Version = Annotated[int, typer.Argument(metavar="VERSION", help="Model version.")]
Project = Annotated[
    str | None, typer.Option("--project", "-p", help="Its project; not needed where there is one only.")
]


def card(
    version: Version,
    project: Project = None,
    form: Annotated[str, typer.Option("--format", "-f", help="md, json, or bom (CycloneDX).")] = "md",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; else standard output.")
    ] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show the model card of a version."""
    if form not in FORMS:
        raise CommandError(f"There is no format {form!r}.", remedy="Take md, json or bom.", code=Exit.USAGE)
    with connect(url, key) as server:
        name = project or _only(server)
        text = _text(server, name, version, form)
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(
            f"{out} can't be written: {error}.", remedy="Give another path with --out."
        ) from error


def _text(server: Incumbent, project: str, version: int, form: str) -> str:
    if form == "md":
        return server.cards.markdown(project, version)
    found = server.cards.facts(project, version) if form == "json" else server.cards.bom(project, version)
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _only(server: Incumbent) -> str:
    """The project, where there is but one."""
    return only([str(one["name"]) for one in server.projects()])


def only(names: list[str]) -> str:
    """The one name. Raises CommandError where there are none or several."""
    if len(names) == 1:
        return names[0]
    told = f"there are {', '.join(sorted(names))}" if names else "there is none"
    raise CommandError(
        f"Which project? {told[0].upper()}{told[1:]}.", remedy="Say --project NAME.", code=Exit.USAGE
    )
