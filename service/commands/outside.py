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


def import_model(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A pickle, a .skops file or an MLflow model's folder.")
    ],
    project: Project = None,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="You know who made the file: reading a pickle runs its maker's code."),
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Have a scikit-learn or MLflow model from elsewhere judged as a challenger.

    The model is read here, checked against the project, signed into the registry, and judged by a run of the server on
    the same rows as any challenger. Exits 4 where it is refused. The API has no such call.
    """
    from datetime import UTC, datetime

    from automl.imported import Unfit
    from registry.errors import RegistryError
    from service.imported import challenge
    from service.mlflow_models.opening import Unreadable, Untrusted, opened, source

    with home_project(home, project) as (registry, chosen):
        _may_be_challenged(chosen)
        try:
            found = source(file)
            model = opened(found, trust=trust)
            run = challenge(registry, chosen, model, found, at=datetime.now(UTC))
        except Unreadable as error:
            raise CommandError(f"{error}.", remedy=error.remedy) from error
        except Untrusted as error:
            remedy = "Read it only if you know who made it and how it came here; then say --trust."
            raise CommandError(f"Not read: {error}.", remedy=remedy, code=Exit.REFUSED) from error
        except Unfit as error:
            remedy = f"See incumbent schema {chosen.name}, and train it on these columns and classes."
            raise CommandError(f"Refused: {error}.", remedy=remedy, code=Exit.REFUSED) from error
        except RegistryError as error:
            raise CommandError(f"{error}.", remedy="Try again when the active run has ended.") from error
    told = {"project": chosen.name, "run": run.number, "file": found.path.name, "sha256": found.sha256}
    note = "the rows it was trained on are unknown: if it has seen the newest rows, its judgement flatters it"
    show({**told, "status": run.status.value, "note": note}, as_json)


def _may_be_challenged(project: records.Project) -> None:
    """Raises CommandError for a project that no foreign model can stand in."""
    from service.forecasts.kind import is_forecasting

    if is_forecasting(project):
        raise CommandError(
            "A forecasting project takes no model from elsewhere.",
            remedy="Its models are recipes.",
            code=Exit.REFUSED,
        )
    if project.schema is None:
        raise CommandError(
            f"The project {project.name!r} has no data yet.",
            remedy=f"incumbent upload {project.name} FILE",
            code=Exit.REFUSED,
        )
