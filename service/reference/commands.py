"""The commands' part of docs/command-line.md, from the commands themselves."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import typer
from typer.models import ArgumentInfo, OptionInfo

BEGIN, END = "<!-- from here on made by python -m service.reference -->\n", "<!-- to here -->\n"
SHARED = frozenset({"url", "key", "as_json"})
"""Options that nearly every command has: they are told once, at the top of the page."""
_KINDS: Mapping[type, str] = {str: "TEXT", int: "INTEGER", float: "NUMBER", Path: "PATH"}


def reference() -> str:
    """Every command with its arguments and options, as Markdown."""
    from service.cli import app

    return "\n".join(_commands(app, "incumbent")) + "\n"


def rewritten(page: str) -> str:
    """The page with a fresh reference between its two marks."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + "\n" + reference() + "\n" + END + rest.split(END)[1]


def _commands(app: typer.Typer, under: str) -> Iterator[str]:
    for command in app.registered_commands:
        assert command.callback is not None
        yield from _command(f"{under} {command.name or command.callback.__name__}", command.callback)
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from _commands(group.typer_instance, f"{under} {group.name}")


def _command(called: str, callback: Callable[..., Any]) -> Iterator[str]:
    hints = get_type_hints(callback, include_extras=True)
    arguments, options = [], []
    for name, parameter in inspect.signature(callback).parameters.items():
        kind, info = get_args(hints[name])[:2]
        if isinstance(info, ArgumentInfo):
            arguments.append((name, parameter, info))
        elif name not in SHARED:
            options.append((name, parameter, kind, info))
    named = "".join(f" {_argument(*one)}" for one in arguments)
    yield f"### `{called}{named}`\n"
    yield f"{inspect.getdoc(callback)}\n"
    lines = [f"- `{_argument(*one)}` {one[2].help}" for one in arguments if one[2].metavar != "PROJECT"]
    lines += [
        f"- `{_option(name, kind, info)}` {info.help}{_default(one)}" for name, one, kind, info in options
    ]
    if lines:
        yield "\n".join(lines) + "\n"


def _argument(name: str, parameter: inspect.Parameter, info: ArgumentInfo) -> str:
    called = info.metavar or name.upper()
    return called if parameter.default is inspect.Parameter.empty else f"[{called}]"


def _option(name: str, kind: Any, info: OptionInfo) -> str:
    # Beside an annotation Typer takes the first of the names for the default, until the command is made.
    words = (str(word) for word in (info.default, *(info.param_decls or ())))
    said = [word for word in words if word.startswith("-")]
    names = ", ".join(said or [f"--{name.replace('_', '-')}"])
    plain = _plain(kind)
    return names if plain is bool else f"{names} {info.metavar or _KINDS[plain]}"


def _plain(kind: Any) -> type:
    """The type of one value: of ``list[str] | None`` that is str."""
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(part for part in get_args(kind) if part is not types.NoneType)
    plain: type = get_args(kind)[0] if get_origin(kind) is list else kind
    return plain


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is inspect.Parameter.empty:
        return " Must be given."
    told = parameter.default
    return "" if told is None or told == "" or isinstance(told, bool) else f" Default: {told}."
