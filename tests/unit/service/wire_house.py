"""A real server on a real socket, in a thread of the test's process, on a home with projects of the same model, served in
its compiled form or by its pipeline."""

from __future__ import annotations

import json
import pickle
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import uvicorn
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline
from small_house import NOW, make_champion, open_registry

from automl.features import preprocessor
from automl.schema import Schema, check, frame, infer
from automl.task import Task, TaskKind
from registry.records import NewModel
from registry.store import Registry
from service.app import Application, create_app
from service.policy import Policy
from service.settings import Settings
from service.wire.protocol import WireProtocol


def rows_of(count: int, seed: int = 0, *, classes: int = 2) -> pa.Table:
    """Every kind of column, with an id that callers give and a column that may be absent."""
    random = np.random.default_rng(seed)
    size = random.normal(size=count).round(3)
    days = np.datetime64("2026-01-01T06:00:00") + random.integers(0, 400_000, count).astype("timedelta64[m]")
    words = np.array(["ripe", "sour", "from the hill", "of the north", "sweet", "étrange"])
    kinds = np.array(["never", "rarely", "often"])
    return pa.table(
        {
            "ref": [f"r-{seed}-{number}" for number in range(count)],
            "size": pa.array([None if at % 17 == 3 else value for at, value in enumerate(size.tolist())]),
            "count": random.integers(-3, 40, count),
            "fresh": random.integers(0, 2, count).astype(bool),
            "picked": pa.array([f"{day}Z" for day in days]),
            "colour": [["red", "green", "blue", None][number] for number in random.integers(0, 4, count)],
            "note": [" ".join(random.choice(words, 6)) + f" {at}" for at in range(count)],
            "stand": [["A", "B"][number] for number in random.integers(0, 2, count)],
            "ripe": kinds[random.integers(0, 3, count)] if classes == 3 else np.where(size > 0, "yes", "no"),
        }
    )


class Unknown(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A step that changes nothing and that no compiler knows."""

    def fit(self, X: Any, y: object = None) -> Unknown:
        return self

    def transform(self, X: Any) -> Any:
        return X

    def __sklearn_is_fitted__(self) -> bool:
        return True


def make(
    registry: Registry,
    name: str,
    *,
    compiled: bool,
    kind: str = "two",
    named: bool = True,
    unknown: bool = False,
) -> None:
    """A project with a LightGBM champion; ``kind`` is two, three (classes) or number. With an ``unknown`` step only its
    preprocessing is compiled."""
    table = rows_of(300, classes=3 if kind == "three" else 2)
    target = "count" if kind == "number" else "ripe"
    task = Task(
        kind=TaskKind.REGRESSION if kind == "number" else TaskKind.CLASSIFICATION,
        target=target,
        metric="auto",
        id_column="ref" if named else None,
    )
    if not named:
        table = table.drop_columns(["ref"])
    schema, task = infer(table, task)
    schema = _with_optional(schema, "stand")
    registry.projects.create(name, task=task.to_json(), policy=Policy().model_dump(mode="json"), at=NOW)
    project = registry.projects.update(name, task=task.to_json(), schema=schema.to_json())
    checked = check(table, schema, task)
    labels = checked.labels.to_pylist()
    y: Any = [schema.target.parse(label) for label in labels]
    y = np.array(y if kind == "number" else [task.encode(label) for label in y])
    model: Any = LGBMRegressor if kind == "number" else LGBMClassifier
    steps = preprocessor(schema, task, seed=0).steps
    between = [("unknown", Unknown())] if unknown else []
    pipeline = Pipeline([*steps, *between, ("model", model(n_estimators=20, n_jobs=1, verbose=-1))])
    pipeline.fit(frame(checked.table, schema), y)
    golden = checked.table.slice(0, 10)
    asked = frame(golden, schema)
    answers = pipeline.predict(asked) if kind == "number" else pipeline.predict_proba(asked)
    put = registry.blobs.put
    told = {"rows": golden.to_pylist(), "predictions": answers.tolist()}
    new = NewModel(
        blob=put(pickle.dumps(pipeline), at=NOW),
        engine="flaml",
        estimator="lgbm",
        config={},
        dataset_version=1,
        details={
            "task": task.to_json(),
            "schema": schema.to_json(),
            "requirements": {"scikit-learn": version("scikit-learn")},
            "trained_until": {"at": 0, "row_id": ""},
            "compiled": {"passed": compiled, "reason": "a test says so"},
        },
        attachments={"golden": put(json.dumps(told, default=str).encode(), at=NOW)},
    )
    registry.models.register(project.id, new, at=NOW)
    make_champion(registry, project, 1)


class House:
    """The running server, and a client of it."""

    def __init__(self, app: Application, url: str, server: uvicorn.Server) -> None:
        self._server = server
        self.app = app
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=30)

    def stop(self) -> None:
        """Asks the server to end in good order; doesn't wait for it."""
        self._server.should_exit = True

    def predict(self, project: str, body: Any, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.post(
            f"/v1/projects/{project}/predict",
            content=content,
            headers={k.replace("_", "-"): v for k, v in headers.items()},
        )


@contextmanager
def serving(
    folder: Path, projects: Mapping[str, Mapping[str, Any]], *, keep_alive: int = 60, **settings: Any
) -> Iterator[House]:
    registry = open_registry(folder)
    for name, wanted in projects.items():
        make(registry, name, **wanted)
    registry.close()
    app = create_app(Settings(home=folder / "home", scheduler=False, **settings))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app,
            timeout_keep_alive=keep_alive,
            log_level="warning",
            loop="uvloop",
            http=WireProtocol,
            access_log=False,
            proxy_headers=False,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        house = House(app, f"http://127.0.0.1:{listening.getsockname()[1]}", server)
        try:
            _wait(house, set(projects))
            yield house
        finally:
            house.http.close()
            server.should_exit = True
            thread.join()


def _wait(house: House, projects: set[str]) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            ready = house.http.get("/readyz").json()
        except httpx.TransportError:
            ready = {}
        if projects <= set(ready.get("champions", {})):
            return
        time.sleep(0.05)
    raise AssertionError("the server did not get ready")


def _with_optional(schema: Schema, name: str) -> Schema:
    told = schema.to_json()
    for column in told["columns"]:
        column["optional"] = column["name"] == name
    return Schema.from_json(told)
