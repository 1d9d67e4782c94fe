"""Model cards for both clients: one waits for what comes back, the other awaits it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from service.calls import get, path
from service.transport import Call

One = TypeVar("One")
Text = TypeVar("Text")


class Cards(Generic[One, Text]):
    """What is recorded of one version, in three forms."""

    def __init__(self, send: Callable[[Call[Any]], Any]) -> None:
        self._send = send

    def facts(self, project: str, version: int) -> One:
        found: One = self._send(get(path(project, "models", version, "card")))
        return found

    def markdown(self, project: str, version: int) -> Text:
        """With the metadata that Hugging Face reads before it."""
        url = path(project, "models", version, "card")
        call = Call(method="GET", url=url, read=_text, safe=True, media_type="text/markdown")
        found: Text = self._send(call)
        return found

    def bom(self, project: str, version: int) -> One:
        """As a CycloneDX bill of materials."""
        found: One = self._send(get(path(project, "models", version, "bom")))
        return found


def _text(found: Any) -> str:
    return bytes(found).decode()
