"""``incumbent project``: make, list, show, change and delete projects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from service.commands.console import CommandError, Exit, out, show, show_json, show_table
from service.commands.options import AsJson, Key, ProjectName, Url, connect, given

app = typer.Typer(help="Make, list, show, change and delete projects.", no_args_is_help=True)

PolicyText = Annotated[
    str | None, typer.Option("--policy", help="Policy as JSON, or @FILE that holds it.", metavar="JSON|@FILE")
]
_NOT_YET = ("policy", "epoch", "schema_version")
"""What says nothing of a project that was made this moment; ``project show`` has it."""
Metric = Annotated[str | None, typer.Option(help="roc_auc, log_loss, accuracy, rmse, mae, …")]


@app.command("create")
def create(
    name: ProjectName,
    target: Annotated[str, typer.Option(help="Column to predict.")],
    task: Annotated[str, typer.Option(help="classification, regression or forecasting.")] = "classification",
    metric: Metric = None,
    classes: Annotated[
        str | None,
        typer.Option(help="All classes, parted by commas: rows may then come before any label does."),
    ] = None,
    labels_later: Annotated[
        bool, typer.Option("--labels-later", help="Regression: rows may come before any label does.")
    ] = False,
    time_column: Annotated[str | None, typer.Option(help="Column that orders the rows.")] = None,
    id_column: Annotated[str | None, typer.Option(help="Column with the rows' own ids.")] = None,
    entity_column: Annotated[str | None, typer.Option(help="Column that a split never divides.")] = None,
    sensitive: Annotated[
        list[str] | None, typer.Option(help="Column kept for auditing, never learnt from; may be repeated.")
    ] = None,
    horizon: Annotated[int | None, typer.Option(help="Forecasting: steps ahead.")] = None,
    series_column: Annotated[str | None, typer.Option(help="Forecasting: whose value a row is.")] = None,
    covariate: Annotated[
        list[str] | None, typer.Option(help="Forecasting: column known ahead of its time; may be repeated.")
    ] = None,
    policy: PolicyText = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Make a project."""
    more = given(
        metric=metric,
        classes=None if classes is None else [name.strip() for name in classes.split(",")],
        labels_later=labels_later or None,
        time_column=time_column,
        id_column=id_column,
        entity_column=entity_column,
        sensitive=sensitive or None,
        horizon=horizon,
        series_column=series_column,
        covariates=covariate or None,
        policy=policy_of(policy),
    )
    with connect(url, key) as server:
        made = server.create_project(name, task=task, target=target, **more)
    if as_json:
        show_json(made)
        return
    show(
        {word: held for word, held in made.items() if word not in _NOT_YET and held not in (None, [])}, False
    )
    out().print(f"Next: incumbent upload {name} FILE --watch", markup=False)


@app.command("list")
def list_(url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """List the projects."""
    with connect(url, key) as server:
        found = server.projects()
    if as_json:
        show_json({"projects": found})
        return
    words = ("name", "task", "target", "metric", "champion", "created_at")
    show_table(
        words,
        [[one.get(word) for word in words] for one in found],
        empty="No project yet. Make one: incumbent project create NAME --target COLUMN",
    )


@app.command("show")
def show_one(name: ProjectName, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Show one project."""
    with connect(url, key) as server:
        show(server.project(name), as_json)


@app.command("set")
def set_(
    name: ProjectName,
    policy: PolicyText = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Change parts of a project's policy; what isn't named stays."""
    changes = given(policy=policy_of(policy))
    if not changes:
        raise CommandError("Nothing to change.", remedy="Give --policy.", code=Exit.USAGE)
    with connect(url, key) as server:
        show(server.update_project(name, **changes), as_json)


@app.command("delete")
def delete(
    name: ProjectName,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Delete a project; its name becomes free."""
    if not yes:
        typer.confirm(f"Delete project {name} with its data and models?", abort=True)
    with connect(url, key) as server:
        server.delete_project(name)
    show({"deleted": name}, as_json)


def policy_of(text: str | None) -> Any:
    """The policy written as JSON, or in the file named after an ``@``. Raises CommandError otherwise."""
    if text is None:
        return None
    try:
        return json.loads(Path(text[1:]).read_text() if text.startswith("@") else text)
    except OSError as error:
        raise CommandError(
            f"The policy file can't be read: {error}.", remedy="Check the path.", code=Exit.USAGE
        ) from error
    except ValueError as error:
        remedy = """Write it like '{"cooldown": "PT10M"}'."""
        raise CommandError(f"The policy is not JSON: {error}.", remedy=remedy, code=Exit.USAGE) from error
