"""The events of a run as they come over the wire (server-sent events)."""

from __future__ import annotations

import json

from service.client_words import RunEvent


class EventReader:
    """Takes a stream line by line. One that is read again from the start gives each trial once."""

    def __init__(self) -> None:
        self._name = "message"
        self._data: list[str] = []
        self._trials = 0
        self._status: object = None

    def take(self, line: str) -> RunEvent | None:
        """The event that the line completes."""
        if line.startswith(":"):
            return None
        if line:
            word, _, rest = line.partition(":")
            rest = rest.removeprefix(" ")
            if word == "event":
                self._name = rest
            elif word == "data":
                self._data.append(rest)
            return None
        name, data = self._name, "\n".join(self._data)
        self._name, self._data = "message", []
        return self._fresh(RunEvent(name, json.loads(data))) if data else None

    def _fresh(self, event: RunEvent) -> RunEvent | None:
        if event.name == "trial":
            if event.data["number"] <= self._trials:
                return None
            self._trials = event.data["number"]
        if event.name == "status":
            if event.data["status"] == self._status:
                return None
            self._status = event.data["status"]
        return event

    def restart(self) -> None:
        """The connection was lost; what was half read is gone."""
        self._name, self._data = "message", []
