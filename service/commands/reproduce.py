"""``incumbent reproduce``: does a model's record make the same model again?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.cards import Project, only
from service.commands.console import CommandError, Exit, show_json, show_table
from service.commands.options import AsJson, Home, opened, settings

if TYPE_CHECKING:
    from registry import records
    from registry.store import Registry
    from service.settings import Settings

Versions = Annotated[list[int] | None, typer.Argument(metavar="VERSION...", help="Model versions.")]
_WORDS = {
    "hash": "snapshot (SHA-256)",
    "train_rows": "rows trained on",
    "holdout_rows": "rows judged on",
    "cut": "where it was split",
    "score": "score",
    "golden_rows": "golden rows",
}


def reproduce(
    versions: Versions = None,
    project: Project = None,
    every: Annotated[bool, typer.Option("--all", help="All versions, oldest first.")] = False,
    tolerance: Annotated[
        float | None,
        typer.Option(min=0, help="Most that answers may differ, relative above 1. Default: 1e-9"),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Rebuild models from their snapshot, seed and configuration, and compare score and golden rows.

    Exits 1 when one differs, 4 when one can't be rebuilt (imported, a forecast, older than its record). Works on the
    home folder, also beside a running server, and changes nothing.
    """
    from service.reproduction import TOLERANCE

    if bool(versions) == every:
        raise CommandError("Which versions?", remedy="Give their numbers, or --all.", code=Exit.USAGE)
    wanted = settings(home=home)
    if wanted.database_url is None and not (wanted.home / "registry.db").exists():
        raise CommandError(
            f"There is no registry in {wanted.home}.", remedy="Say where with --home (INCUMBENT_HOME)."
        )
    with opened(wanted) as registry:
        chosen = _project(registry, project)
        asked = versions or [model.version for model in registry.models.list(chosen.id)][::-1]
        tried = [
            _tried(registry, wanted, chosen, version, TOLERANCE if tolerance is None else tolerance)
            for version in dict.fromkeys(asked)
        ]
    if as_json:
        show_json({"project": chosen.name, "versions": tried})
    else:
        _show(chosen.name, tried)
    if any(one["equal"] is False for one in tried):
        raise typer.Exit(Exit.FAULT)
    if any(one["equal"] is None for one in tried):
        raise typer.Exit(Exit.REFUSED)


def _project(registry: Registry, name: str | None) -> records.Project:
    from registry.errors import NotFound

    chosen = name or only([one.name for one in registry.projects.list()])
    try:
        return registry.projects.get(chosen)
    except NotFound as error:
        raise CommandError(f"{error}.", remedy="See incumbent project list.") from error


def _tried(
    registry: Registry, wanted: Settings, project: records.Project, version: int, tolerance: float
) -> dict[str, Any]:
    """What came of it; ``equal`` is None where the record is not enough, with the ``reason``."""
    from registry.errors import NotFound
    from service.reproduction import CannotReproduce, reproduced

    try:
        return reproduced(registry, wanted, project, version, tolerance=tolerance).to_json()
    except NotFound as error:
        raise CommandError(f"{error}.", remedy=f"See incumbent models {project.name}.") from error
    except CannotReproduce as error:
        return {"version": version, "equal": None, "reason": str(error), "checks": [], "differences": []}


def _show(project: str, tried: list[dict[str, Any]]) -> None:
    lines: list[tuple[Any, ...]] = []
    for one in tried:
        if one["equal"] is None:
            lines.append((one["version"], "can't be rebuilt", "", "", "", one["reason"]))
        for check in one["checks"]:
            equal = "equal" if check["equal"] else "DIFFERS"
            gap = None if check["gap"] is None else f"{check['gap']:.3g}"
            kept, found = (_short(check[name]) for name in ("kept", "found"))
            lines.append((one["version"], _WORDS[check["check"]], kept, found, gap, equal))
    heads = ("version", "check", "kept", "found", "gap", "")
    show_table(heads, lines, empty="There is no model yet.", title=f"{project}, made again")
    for one in tried:
        for told in one["differences"]:
            typer.echo(f"version {one['version']} was trained with other libraries: {told}")
    sound = sum(one["equal"] is True for one in tried)
    typer.echo(f"{sound} of {len(tried)} equal" + _within(tried))


def _within(tried: list[dict[str, Any]]) -> str:
    tolerances = {one["tolerance"] for one in tried if "tolerance" in one}
    return f" within {max(tolerances):g}" if tolerances else ""


def _short(value: Any) -> Any:
    return f"{value[:24]}…" if isinstance(value, str) and len(value) > 25 else value
