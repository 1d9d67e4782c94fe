"""The command ``incumbent``. Heavy imports wait inside the commands, so that its help is quick."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from service.commands import (
    alerts,
    approvals,
    cards,
    energy,
    fairness,
    forecasts,
    keys,
    labels,
    models,
    monitoring,
    outside,
    projects,
    replay,
    reproduce,
    rows,
    stored,
    watching,
)
from service.commands.console import CommandError, Exit, show_fault, show_json, show_refusal, show_table
from service.commands.options import AsJson, Home, Key, Url


class OneLineFaults(TyperGroup):
    """Turns every known fault into one line with its remedy, and into its exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CommandError as fault:
            show_fault(str(fault), fault.remedy)
            raise typer.Exit(fault.code) from fault
        except Exception as error:
            from service.client import IncumbentError

            if not isinstance(error, IncumbentError):
                raise
            raise typer.Exit(show_refusal(error)) from error


app = typer.Typer(
    name="incumbent",
    cls=OneLineFaults,
    help="Keeps a model in production true: it serves a champion, learns from what comes in, and promotes "
    "only what proves better.",
    epilog="Exit codes: 0 done, 1 fault, 2 wrong call, 3 server out of reach, 4 refused, 5 server failed, "
    "6 run failed or cancelled.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 picks a free one. Default: 8000")] = None,
    home: Home = None,
    log_level: Annotated[str, typer.Option(help="critical, error, warning, info or debug.")] = "warning",
    as_json: AsJson = False,
) -> None:
    """Run everything in one process: API, scheduler and searches."""
    from service.commands.server import start

    start(host=host, port=port, home=home, log_level=log_level, as_json=as_json)


@app.command()
def demo(
    fast: Annotated[bool, typer.Option("--fast", help="Thinned to end in under 90 seconds.")] = False,
    keep_serving: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Stay up at the end, or exit 0 instead.")
    ] = True,
    home: Home = None,
    port: Annotated[int, typer.Option(help="Port of the service; 0 picks a free one.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Play a year of real flights against a real server, and show what continuous training was worth."""
    from service.demo.plan import FAST, FULL
    from service.demo.play import play

    play(FAST if fast else FULL, home=home, port=port, keep_serving=keep_serving, as_json=as_json)


@app.command()
def doctor(
    maturity: Annotated[
        bool,
        typer.Option("--maturity", help="Instead: how far projects are by Google's and Microsoft's models."),
    ] = False,
    project: cards.Project = None,
    url: Url = None,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Check this machine, the home folder and the server; exits 1 when something is wrong."""
    if maturity:
        from service.commands.maturity import show_maturity

        show_maturity(home, project, as_json=as_json)
        return
    from service.commands.doctor import examine

    findings = examine(home, url, key)
    if as_json:
        show_json({"checks": [finding.to_json() for finding in findings]})
    else:
        lines = [(finding.mark, finding.check, finding.detail, finding.remedy) for finding in findings]
        show_table(("", "check", "found", "remedy"), lines, empty="Nothing to check.")
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(Exit.FAULT)


app.add_typer(projects.app, name="project")
app.command()(rows.upload)
app.command()(rows.predict)
app.command()(forecasts.forecast)
app.command()(rows.feedback)
app.command()(labels.label)
app.command()(labels.labels)
app.command()(stored.batches)
app.command()(stored.quarantine)
app.command()(stored.schema)
app.command()(models.retrain)
app.command()(models.cancel)
app.command()(models.runs)
app.command()(models.decisions)
app.command()(models.models)
app.command()(cards.card)
app.command()(reproduce.reproduce)
app.command()(outside.export)
app.command("import-model")(outside.import_model)
app.command()(models.promote)
app.command()(models.rollback)
app.command()(approvals.approvals)
app.command()(approvals.approve)
app.command()(approvals.refuse)
app.command()(models.promotions)
app.command()(watching.status)
app.command()(watching.drift)
app.command()(watching.outliers)
app.command()(watching.performance)
app.command()(energy.energy)
app.command()(fairness.fairness)
app.command()(replay.replay)
app.add_typer(alerts.app, name="alerts")
app.add_typer(monitoring.app, name="monitoring")
app.add_typer(keys.app, name="key")


def main() -> None:
    app(prog_name="incumbent")


if __name__ == "__main__":
    main()
