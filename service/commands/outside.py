"""``incumbent export`` and ``incumbent import-model``: models to and from other systems, on the server's own machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.cards import Project, Version, only
from service.commands.console import CommandError, Exit, show
from service.commands.options import AsJson, Home, opened, settings

if TYPE_CHECKING:
    from registry import records
    from registry.store import Registry


def export(
    version: Version,
    mlflow: Annotated[Path, typer.Option("--mlflow", metavar="DIR", help="Folder to write; new or empty.")],
    project: Project = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write a version as an MLflow model, which `mlflow models serve` answers from as this server does.

    Works on the home folder, because it hands out a pickle: the API never does.
    """
    from registry.errors import RegistryError
    from service.mlflow_models.folder import NotExportable
    from service.mlflow_models.folder import export as written

    with home_project(home, project) as (registry, chosen):
        try:
            folder = written(registry, chosen, version, mlflow)
        except NotExportable as error:
            raise CommandError(f"Not exported: {error}.", remedy="Give another version or folder.") from error
        except RegistryError as error:
            raise CommandError(f"{error}.", remedy=f"See incumbent models {chosen.name}.") from error
    serve = f"mlflow models serve -m {folder} --env-manager local"
    show({"project": chosen.name, "version": version, "folder": str(folder), "serve_with": serve}, as_json)


@contextmanager
def home_project(home: Path | None, project: str | None) -> Iterator[tuple[Registry, records.Project]]:
    """The registry in the home folder and a project of it. Raises CommandError where there is no such thing."""
    from registry.errors import NotFound

    wanted = settings(home=home)
    if wanted.database_url is None and not (wanted.home / "registry.db").exists():
        raise CommandError(
            f"There is no registry in {wanted.home}.", remedy="Say where with --home (INCUMBENT_HOME)."
        )
    with opened(wanted) as registry:
        name = project or only([one.name for one in registry.projects.list()])
        try:
            chosen = registry.projects.get(name)
        except NotFound as error:
            raise CommandError(f"{error}.", remedy="See incumbent project list.", code=Exit.FAULT) from error
        yield registry, chosen
