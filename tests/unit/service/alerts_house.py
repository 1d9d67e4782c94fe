"""The service with its real database, room of alerts and receivers; only time is told by the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from small_house import NOW, make_project

from registry.records import Project
from registry.store import Registry
from service.alerts.room import AlertRoom
from service.alerts.storage_watch import StorageWatch
from service.api.context import Context
from service.app import create_app
from service.metrics import Metrics
from service.settings import Settings

CHANNELS = "/v1/alerts/channels"


class AlertsHouse:
    """The application of one process, which looks for alerts when it is told to."""

    def __init__(self, http: TestClient, context: Context, *, project: bool = True) -> None:
        self.http = http
        self.context = context
        self.registry: Registry = context.registry
        assert context.alerts is not None
        self.room: AlertRoom = context.alerts
        self.project: Project = (
            make_project(self.registry) if project else self.registry.projects.get("fruit")
        )
        self.now = NOW

    def add(self, **channel: Any) -> dict[str, Any]:
        answer = self.http.post(CHANNELS, json={"kind": "webhook", **channel})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def promoted(self, to: int = 1) -> None:
        data = {"project": "fruit", "from": None, "to": to, "kind": "promotion", "reason": "better"}
        self.registry.ledger.emit("incumbent.champion.changed", data, project_id=self.project.id, at=self.now)

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def look(self) -> None:
        """One look of the room, and everything that it began has ended."""
        self.room.look()
        self.room.settle()

    def another_room(self) -> AlertRoom:
        """That of another server on the same database."""
        storage = StorageWatch(
            self.registry,
            self.registry.home,
            node="other",
            clock=lambda: self.now,
            least_free=0,
            log_bytes=lambda: 0,
            most_log_bytes=1,
        )
        settings = self.context.settings.model_copy(update={"node": "other"})
        return AlertRoom(self.registry, settings, clock=lambda: self.now, metrics=Metrics(), storage=storage)

    def deliveries(self, name: str = "team") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get(f"{CHANNELS}/{name}/deliveries").json()["deliveries"]
        return found


@contextmanager
def house(folder: Path, *, project: bool = True, **settings: Any) -> Iterator[AlertsHouse]:
    told: list[AlertsHouse] = []
    words: dict[str, Any] = {"alert_hosts": "127.0.0.0/8", "alert_retry_seconds": 10.0, **settings}
    app = create_app(
        Settings(home=folder / "home", scheduler=False, **words),
        clock=lambda: told[0].now if told else NOW,
    )
    with TestClient(app) as http:
        told.append(AlertsHouse(http, app.state.context, project=project))
        yield told[0]
