"""Where OpenLineage events go: a file, one JSON a line, or an HTTP endpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx

from service.lineage.follower import Unsent

SECONDS = 10.0
_FINAL = frozenset({400, 413, 422})
"""A receiver that answers so will not take the same event later either."""

Send = Callable[[Mapping[str, Any]], None]


def sink(url: str, key: str | None) -> Send:
    """The way to a ``file:`` or ``http(s):`` address. What it raises is Unsent."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return lambda event: _append(Path(unquote(parts.path)), event)
    return lambda event: _post(url, key, event)


def _append(path: Path, event: Mapping[str, Any]) -> None:
    """As one write, so that lines of several processes do not mix."""
    line = json.dumps(event, ensure_ascii=False).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Unsent(f"{path} can't be written: {error}") from error


def _post(url: str, key: str | None, event: Mapping[str, Any]) -> None:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    try:
        answer = httpx.post(url, json=event, headers=headers, timeout=SECONDS)
    except httpx.HTTPError as error:
        raise Unsent(f"{_place(url)} is out of reach: {type(error).__name__}") from error
    if not answer.is_success:
        said = answer.text[:200].replace("\n", " ")
        raise Unsent(
            f"{_place(url)} answered {answer.status_code}: {said}", final=answer.status_code in _FINAL
        )


def _place(url: str) -> str:
    """The address without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}"
