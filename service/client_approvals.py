"""Approvals for both clients: one waits for what comes back, the other awaits it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from service.calls import get, given, listed, path
from service.client_words import Json
from service.transport import Call

One = TypeVar("One")
Many = TypeVar("Many")


class Approvals(Generic[One, Many]):
    """What waits for people, by project and number. A word sent twice counts once, so it is sent again when its answer
    was lost."""

    def __init__(self, send: Callable[[Call[Any]], Any]) -> None:
        self._send = send

    def list(self, project: str, *, status: str | None = None, limit: int = 50) -> Many:
        """Newest first; ``status``: open, approved, refused, expired or stale."""
        asked = urlencode(given(status=status, limit=limit))
        found: Many = self._send(listed(path(project, f"approvals?{asked}"), "approvals"))
        return found

    def get(self, project: str, number: int) -> One:
        """With its decision card: the verdict with all gates, and what the two models are."""
        return self._one(get(path(project, "approvals", number)))

    def approve(self, project: str, number: int, *, reason: str, version: int | None = None) -> One:
        """``version`` names the judged one where the refitted one is not wanted."""
        return self._one(_said(project, number, "approve", given(reason=reason, version=version)))

    def refuse(self, project: str, number: int, *, reason: str) -> One:
        return self._one(_said(project, number, "refuse", {"reason": reason}))

    def _one(self, call: Call[Json]) -> One:
        found: One = self._send(call)
        return found


def _said(project: str, number: int, word: str, body: dict[str, Any]) -> Call[Json]:
    url = path(project, "approvals", number, word)
    return Call(method="POST", url=url, body=body, read=_json, safe=True)


def _json(found: Any) -> Json:
    told: Json = found
    return told
