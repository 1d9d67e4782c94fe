"""How a docstring and a value are said in Markdown."""

from __future__ import annotations

import inspect
import json
import re
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

MADE = "<!-- made by python -m service.reference -->\n"
_ROLE = re.compile(r":\w+:`~?([^`]+)`")


def prose(docstring: str | None) -> str:
    """A docstring as Markdown: code in single backticks, roles as their names, each paragraph on one line."""
    told = _ROLE.sub(lambda role: f"`{role[1].rpartition('.')[2]}`", inspect.cleandoc(docstring or ""))
    told = told.partition(">>>")[0].replace("``", "`")
    return "\n\n".join(" ".join(part.split()) for part in told.split("\n\n") if part.strip())


def value(held: Any) -> str:
    """A default as it is written in JSON."""
    if isinstance(held, timedelta):
        return f"`{json.dumps(_iso(held))}`"
    if isinstance(held, BaseModel):
        return "see below"
    return f"`{json.dumps(held, default=str, ensure_ascii=False)}`"


def cell(text: str) -> str:
    """Text inside of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def _iso(span: timedelta) -> str:
    days, seconds = divmod(int(span.total_seconds()), 86_400)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    parts = [(hours, "H"), (minutes, "M"), (seconds, "S")]
    clock = "".join(f"{count}{unit}" for count, unit in parts if count)
    return (
        "P"
        + (f"{days}D" if days else "")
        + (f"T{clock}" if clock or not days else "")
        + ("" if days or clock else "0S")
    )
