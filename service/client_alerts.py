"""Alert channels for both clients: one waits for what comes back, the other awaits it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from service.calls import get, given, listed, post
from service.client_words import Json
from service.transport import Call

One = TypeVar("One")
Many = TypeVar("Many")
Done = TypeVar("Done")
_CHANNELS = "/v1/alerts/channels"


class Alerts(Generic[One, Many, Done]):
    """Channels of the whole installation and of single projects, by name. ``events`` are kinds, see :meth:`kinds`."""

    def __init__(self, send: Callable[[Call[Any]], Any]) -> None:
        self._send = send

    def add(
        self,
        name: str,
        *,
        kind: str,
        url: str | None = None,
        to: Sequence[str] | None = None,
        project: str | None = None,
        events: Sequence[str] | None = None,
        secret: str | None = None,
    ) -> One:
        """The channel; a ``secret`` in it was made for it and can't be had again."""
        body = given(name=name, kind=kind, url=url, to=to, project=project, events=events, secret=secret)
        return self._one(post(_CHANNELS, body, _json))

    def channels(self) -> Many:
        return self._many(listed(_CHANNELS, "channels"))

    def channel(self, name: str) -> One:
        return self._one(get(_path(name)))

    def change(self, name: str, **changes: Any) -> One:
        """``url``, ``to``, ``events``, ``enabled``: what isn't named stays."""
        return self._one(Call(method="PATCH", url=_path(name), body=changes, read=_json, safe=False))

    def renew_secret(self, name: str) -> One:
        return self._one(post(_path(name, "/secret"), {}, _json))

    def remove(self, name: str) -> Done:
        done: Done = self._send(Call(method="DELETE", url=_path(name), read=lambda _: None, safe=True))
        return done

    def test(self, name: str) -> One:
        """The delivery of a test, which is told like any alert."""
        return self._one(post(_path(name, "/test"), {}, _json))

    def deliveries(self, name: str, *, limit: int = 50) -> Many:
        """What the channel was told, newest first."""
        return self._many(listed(_path(name, f"/deliveries?limit={limit}"), "deliveries"))

    def kinds(self) -> Many:
        """The kinds of event there are, with examples."""
        return self._many(listed("/v1/alerts/kinds", "kinds"))

    def _one(self, call: Call[Json]) -> One:
        found: One = self._send(call)
        return found

    def _many(self, call: Call[list[Json]]) -> Many:
        found: Many = self._send(call)
        return found


def _path(name: str, more: str = "") -> str:
    return f"{_CHANNELS}/{quote(name, safe='')}{more}"


def _json(found: Any) -> Json:
    told: Json = found
    return told
