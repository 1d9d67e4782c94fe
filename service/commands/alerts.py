"""``incumbent alerts``: who is told of what happens, and whether it was."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.console import CommandError, Exit, out, show, show_json, show_table
from service.commands.options import AsJson, Key, Url, connect

if TYPE_CHECKING:
    from service.client import Incumbent

app = typer.Typer(help="Who is told of what happens: by webhook, Slack or e-mail.", no_args_is_help=True)

Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="Name of the channel.")]
_WAIT_SECONDS = 20.0


@app.command("add")
def add(
    channel: Channel,
    webhook: Annotated[str | None, typer.Option(help="Address that takes signed CloudEvents.")] = None,
    slack: Annotated[
        str | None, typer.Option(help="Incoming webhook of Slack or of what takes the same.")
    ] = None,
    email: Annotated[list[str] | None, typer.Option(help="A recipient; may be repeated.")] = None,
    on: Annotated[
        list[str] | None, typer.Option(help="Kind of event; may be repeated. Default: the usual ones.")
    ] = None,
    project: Annotated[str | None, typer.Option(help="Only what happens in this project.")] = None,
    secret: Annotated[
        str | None,
        typer.Option(envvar="INCUMBENT_ALERT_SECRET", help="Signs a webhook; one is made if left out."),
    ] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Have somebody told: give one of --webhook, --slack and --email. A secret that is made is shown once."""
    kind, where = _kind(webhook, slack, email)
    with connect(url, key) as server:
        made = server.alerts.add(
            channel, kind=kind, **where, events=on or None, project=project, secret=secret
        )
    show(_facts(made) | {name: made[name] for name in ("secret",) if name in made}, as_json)
    if "secret" in made and not as_json:
        out().print(
            "Keep the secret now: it is not shown again. The receiver checks calls with it.", style="dim"
        )


@app.command("list")
def list_(url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """List the channels, never their secrets."""
    with connect(url, key) as server:
        found = server.alerts.channels()
    if as_json:
        show_json({"channels": found})
        return
    lines = [
        (
            one["name"],
            one["kind"],
            one["project"] or "all",
            one.get("address") or one.get("to"),
            len(one["events"]),
            "on" if one["enabled"] else "paused",
        )
        for one in found
    ]
    empty = "Nobody is told anything. Make a channel: incumbent alerts add NAME --webhook URL"
    show_table(("channel", "kind", "project", "to", "kinds", ""), lines, empty=empty)


@app.command("show")
def show_(channel: Channel, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Show one channel with the kinds of event it wants."""
    with connect(url, key) as server:
        show(_facts(server.alerts.channel(channel)), as_json)


@app.command("kinds")
def kinds(url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """List the kinds of event there are; the usual ones are those of a channel that names none."""
    with connect(url, key) as server:
        found = server.alerts.kinds()
    if as_json:
        show_json({"kinds": found})
        return
    lines = [(one["kind"], "usual" if one["usual"] else "", one["means"]) for one in found]
    show_table(("kind", "", "told when"), lines, empty="There are none.")


@app.command("pause")
def pause(channel: Channel, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Tell a channel nothing for now; what failed before waits."""
    with connect(url, key) as server:
        show(_facts(server.alerts.change(channel, enabled=False)), as_json)


@app.command("resume")
def resume(channel: Channel, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Go on telling a channel."""
    with connect(url, key) as server:
        show(_facts(server.alerts.change(channel, enabled=True)), as_json)


@app.command("secret")
def secret_(channel: Channel, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Make a new signing secret and show it, once; the old one is signed with for another day."""
    with connect(url, key) as server:
        show(server.alerts.renew_secret(channel), as_json)


@app.command("test")
def try_(channel: Channel, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Send a test and wait for what comes of it; exits 1 when it was not delivered."""
    with connect(url, key) as server:
        told = _outcome(server, channel, server.alerts.test(channel)["delivery"])
    words = ("delivery", "status", "attempts", "note")
    show(told if as_json else {word: told[word] for word in words}, as_json)
    if told["status"] != "delivered":
        raise typer.Exit(Exit.FAULT)


@app.command("deliveries")
def deliveries(
    channel: Channel,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, the newest.")] = 20,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List what a channel was told in the last 30 days, newest first."""
    with connect(url, key) as server:
        found = server.alerts.deliveries(channel, limit=limit)
    if as_json:
        show_json({"deliveries": found})
        return
    words = ("delivery", "created_at", "kind", "status", "attempts", "note")
    show_table(words, [[one[word] for word in words] for one in found], empty="It was told nothing yet.")


@app.command("remove")
def remove(channel: Channel, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Forget a channel with its address and secret."""
    with connect(url, key) as server:
        server.alerts.remove(channel)
    show({"removed": channel}, as_json)


def _kind(webhook: str | None, slack: str | None, email: list[str] | None) -> tuple[str, dict[str, Any]]:
    asked = {"webhook": webhook, "slack": slack, "email": email or None}
    given = [(kind, where) for kind, where in asked.items() if where is not None]
    if len(given) != 1:
        raise CommandError(
            "A channel leads to one place.",
            remedy="Give one of --webhook URL, --slack URL and --email ADDRESS.",
            code=Exit.USAGE,
        )
    kind, where = given[0]
    return kind, {"to": where} if kind == "email" else {"url": where}


def _outcome(server: Incumbent, channel: str, delivery: int) -> dict[str, Any]:
    """The delivery once it was tried, or as it stands when it takes long."""
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        found = next(
            one for one in server.alerts.deliveries(channel, limit=500) if one["delivery"] == delivery
        )
        tried = found["status"] != "pending" or (found["attempts"] and found["note"])
        if tried or time.monotonic() > until:
            return found
        time.sleep(0.2)


def _facts(channel: dict[str, Any]) -> dict[str, Any]:
    words = ("name", "kind", "project", "address", "to", "enabled", "events")
    return {word: channel[word] for word in words if channel.get(word) is not None}
