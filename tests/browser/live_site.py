"""The application on a real socket, over a home of hostile names with a history to draw."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import uvicorn
from dashboard_house import hostile_home
from small_house import make_champion, make_model, make_project, open_registry

from registry.store import Registry
from service.app import create_app
from service.quality_windows import WINDOW
from service.settings import Settings


class LiveSite:
    """Its address, and the registry behind it."""

    def __init__(self, url: str, registry: Registry) -> None:
        self.url = url
        self.registry = registry


def with_history(registry: Registry) -> None:
    """Forty windows of live quality of the hostile project's champion, and an ordinary project beside it."""
    project = registry.projects.get("fruit")
    now = datetime.now(UTC)
    for number in range(40):
        at = now - timedelta(hours=40 - number)
        registry.quality.add(
            project.id,
            model_version=1,
            kind=WINDOW,
            score=0.8 + 0.01 * (number % 5),
            reference=0.82,
            report={
                "metric": "roc_auc",
                "rows": 1000,
                "error": 0.01,
                "from": at.isoformat(),
                "to": (at + timedelta(minutes=50)).isoformat(),
                "upto": 1,
                "truths": 120,
            },
            at=at,
        )
    plain = make_project(registry, name="plain")
    make_champion(registry, plain, make_model(registry, plain).version)


@contextmanager
def live_site(folder: Path) -> Iterator[LiveSite]:
    registry = open_registry(folder)
    hostile_home(registry)
    with_history(registry)
    app = create_app(Settings(home=folder / "home", scheduler=False))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            _wait(url)
            yield LiveSite(url, registry)
        finally:
            app.state.closing = True
            server.should_exit = True
            thread.join()
            registry.close()


def _wait(url: str) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("the server did not get ready")
