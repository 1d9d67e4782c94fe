"""``incumbent key``: API keys, made and revoked on the server's own home folder."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.console import CommandError, Exit, out, show, show_json, show_table
from service.commands.options import AsJson, Home, opened, settings

if TYPE_CHECKING:
    from registry.records import ApiKey

app = typer.Typer(help="API keys, made on the server's own home folder.", no_args_is_help=True)

SCOPES = ("predict", "data", "approve", "admin")


@app.command("create")
def create(
    scope: Annotated[list[str], typer.Option(help="predict, data, approve or admin; may be repeated.")],
    label: Annotated[str, typer.Option(help="What the key is for.")] = "",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show its secret, once."""
    unknown = [word for word in scope if word not in SCOPES]
    if unknown:
        raise CommandError(
            f"There is no scope {unknown[0]!r}.", remedy=f"Choose from {', '.join(SCOPES)}.", code=Exit.USAGE
        )
    with opened(settings(home=home)) as registry:
        key, secret = registry.keys.create(frozenset(scope), label=label, at=datetime.now(UTC))
    if as_json:
        show_json({**_facts(key), "secret": secret})
        return
    show({"key": key.prefix, "scopes": sorted(key.scopes), "secret": secret}, as_json=False)
    out().print(
        "Keep the secret now: only a hash of it is stored. Use it as INCUMBENT_KEY or --key.", style="dim"
    )


@app.command("list")
def list_(home: Home = None, as_json: AsJson = False) -> None:
    """List the keys, never their secrets."""
    with opened(settings(home=home)) as registry:
        found = [_facts(key) for key in registry.keys.list()]
    if as_json:
        show_json({"keys": found})
        return
    words = ("key", "label", "scopes", "created_at", "revoked_at")
    show_table(
        words,
        [[one[word] for word in words] for one in found],
        empty="No key yet. Make one: incumbent key create --scope admin",
    )


@app.command("revoke")
def revoke(
    prefix: Annotated[
        str, typer.Argument(metavar="KEY", help="Public part of the key, as 'key list' shows it.")
    ],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a key useless, at once."""
    from registry.errors import NotFound

    with opened(settings(home=home)) as registry:
        try:
            registry.keys.revoke(prefix, at=datetime.now(UTC))
        except NotFound as error:
            raise CommandError(
                str(error), remedy="'incumbent key list' shows the keys there are.", code=Exit.REFUSED
            ) from error
    show({"revoked": prefix}, as_json)


def _facts(key: ApiKey) -> dict[str, Any]:
    return {
        "key": key.prefix,
        "label": key.label,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at.isoformat(),
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
    }
