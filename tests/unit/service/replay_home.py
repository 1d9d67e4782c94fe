"""A small stream whose meaning turns round in the middle, as a file and in a project."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
from fastapi import FastAPI
from fastapi.testclient import TestClient

from registry.store import Registry
from service.api import data, projects, replays
from service.api.context import Context
from service.problems import install_problems
from service.replay.room import ReplayRoom
from service.settings import Settings

QUICK: dict[str, Any] = {
    "window": "P7D",
    "delay": "P1D",
    "looks": 2,
    "warm_up": 3,
    "policies": ["never", "every", "own"],
    "policy": {
        "triggers": {"schedule": None, "new_labels": {"count": 150}},
        "min_fresh_labels": 50,
        "search": {"budget_seconds": 10},
        "refit": False,
    },
}


def stream_csv(rows: int = 700, *, seed: int = 3) -> str:
    """Ten rows a day; ``wet`` follows ``cloud`` and, from the middle on, its opposite."""
    random = np.random.default_rng(seed)
    out = io.StringIO()
    out.write("day,cloud,place,wet\n")
    start = datetime(2025, 1, 1, tzinfo=UTC)
    for number in range(rows):
        cloud = float(random.normal())
        turned = -cloud if number > rows // 2 else cloud
        wet = turned + random.normal(0, 0.3) > 0
        at = start + timedelta(days=number // 10, minutes=number % 10)
        place = random.choice(["hill", "shore"])
        out.write(f"{at:%Y-%m-%dT%H:%M:%SZ},{cloud:.3f},{place},{'yes' if wet else 'no'}\n")
    return out.getvalue()


class Nudged:
    def nudge(self) -> None: ...


class ReplayHome:
    """Projects, data and replays over HTTP, without a scheduler: a test carries replays on itself."""

    def __init__(self, home: Path) -> None:
        self.registry = Registry.open(home)
        self.settings = Settings(home=home, lease_seconds=30)
        self.room = ReplayRoom(self.registry, self.settings, clock=self.now)
        app = FastAPI()
        install_problems(app)
        for module in (projects, data, replays):
            app.include_router(module.router, prefix="/v1/projects")
        app.state.context = Context(
            settings=self.settings,
            registry=self.registry,
            clock=self.now,
            serving=cast(Any, Nudged()),
            shadow=cast(Any, None),
            observation=cast(Any, None),
            scheduler=cast(Any, Nudged()),
            metrics=cast(Any, None),
            approving=cast(Any, None),
            keys_required=False,
            replays=self.room,
        )
        self.http = TestClient(app, raise_server_exceptions=False)

    @staticmethod
    def now() -> datetime:
        return datetime.now(UTC)

    def project(self, *, rows: int = 700) -> None:
        body = {"name": "rain", "task": "classification", "target": "wet", "time_column": "day"}
        assert self.http.post("/v1/projects", json=body).status_code == 201
        if rows:
            sent = self.http.post("/v1/projects/rain/data", files={"file": ("rain.csv", stream_csv(rows))})
            assert sent.status_code == 201, sent.text

    def folders(self) -> list[str]:
        place = self.settings.home / "replays"
        return [path.name for path in place.iterdir()] if place.exists() else []
