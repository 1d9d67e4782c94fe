"""Options that several commands share, and how they reach the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.console import CommandError, Exit

if TYPE_CHECKING:
    from registry.store import Registry
    from service.client import Incumbent
    from service.settings import Settings

Url = Annotated[str | None, typer.Option("--url", envvar="INCUMBENT_URL", help="Address of the server.")]
Key = Annotated[str | None, typer.Option("--key", envvar="INCUMBENT_KEY", help="API key.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Home = Annotated[
    Path | None,
    typer.Option("--home", help="Folder that holds everything; else INCUMBENT_HOME, else .incumbent."),
]


def _known_projects(ctx: typer.Context, incomplete: str) -> list[str]:
    """For the shell: the projects of the server that the line so far, or the environment, names. Says nothing where
    it can't be asked quickly."""
    from service.client import Incumbent, IncumbentError

    words = ctx.params
    try:
        with Incumbent(words.get("url"), words.get("key"), timeout=2.0, retries=0) as server:
            names = [str(project["name"]) for project in server.projects()]
    except IncumbentError:
        return []
    return [name for name in names if name.startswith(incomplete)]


ProjectName = Annotated[
    str,
    typer.Argument(metavar="PROJECT", help="Name of the project.", autocompletion=_known_projects),
]


def connect(url: str | None, key: str | None) -> Incumbent:
    from service.client import Incumbent

    return Incumbent(url, key)


def given(**words: Any) -> dict[str, Any]:
    """The words that were said."""
    return {word: value for word, value in words.items() if value is not None}


def settings(**words: Any) -> Settings:
    """The server's settings: what the command says, else ``INCUMBENT_*``, else the defaults."""
    from pydantic import ValidationError

    from service.settings import Settings

    try:
        return Settings(**given(**words))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "setting"
        raise CommandError(
            f"{name}: {first['msg']}.",
            remedy=f"Set --{name.replace('_', '-')} or INCUMBENT_{name.upper()} to something else.",
            code=Exit.USAGE,
        ) from error


@contextmanager
def opened(wanted: Settings) -> Iterator[Registry]:
    """The registry that these settings name, also beside a server. Raises CommandError if it can't."""
    from registry.errors import RegistryError
    from registry.store import Registry

    try:
        registry = Registry.open(wanted.home, database_url=wanted.database_url)
    except (RegistryError, ValueError, OSError) as error:
        raise CommandError(
            f"The registry in {wanted.home} can't be opened: {error}.",
            remedy="Check --home (INCUMBENT_HOME) and INCUMBENT_DATABASE_URL.",
        ) from error
    try:
        yield registry
    finally:
        registry.close()
