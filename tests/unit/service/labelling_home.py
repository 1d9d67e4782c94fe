"""A service with a real registry and a real champion, and only the endpoints around labels."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from small_house import NOW, make_champion, make_model, make_project, open_registry, raw_rows

from automl.schema import Schema, check
from automl.task import Task
from registry.records import BatchKind, LabelSource, Project
from service.admission import label_table
from service.api import label_sources, labeling, labels
from service.api.context import Context
from service.problems import install_problems
from service.settings import Settings


class LabellingHome:
    """``now`` moves only when a test moves it."""

    def __init__(
        self, folder: Path, *, policy: Mapping[str, Any] | None = None, champion: bool = True
    ) -> None:
        self.registry = open_registry(folder)
        make_project(self.registry, policy=policy)
        if champion:
            make_champion(self.registry, self.project, make_model(self.registry, self.project).version)
        self.now: datetime = NOW + timedelta(hours=1)
        self.app = FastAPI()
        install_problems(self.app)
        for module in (labels, labeling, label_sources):
            self.app.include_router(module.router, prefix="/v1/projects")
        self.app.state.context = Context(
            settings=Settings(home=folder / "home"),
            registry=self.registry,
            clock=lambda: self.now,
            serving=cast(Any, None),
            observation=cast(Any, None),
            shadow=cast(Any, None),
            scheduler=cast(Any, None),
            metrics=cast(Any, None),
            keys_required=False,
            approving=cast(Any, None),
        )
        self.http = TestClient(self.app, raise_server_exceptions=False)

    @property
    def project(self) -> Project:
        return self.registry.projects.get("fruit")

    def pass_time(self, **time: float) -> None:
        self.now += timedelta(**time)

    def unlabelled(
        self, count: int, *, name: str = "open", seed: int = 7, size: float | None = None
    ) -> list[str]:
        """Add rows without labels, all of one ``size`` or of usual ones; their ids."""
        ids = [f"{name}-{number:04d}" for number in range(count)]
        schema, task = Schema.from_json(self.project.schema or {}), Task.from_json(self.project.task)
        raw = raw_rows(count, seed)
        raw = (
            raw
            if size is None
            else raw.set_column(0, "size", pa.array([size * (1 + n) for n in range(count)]))
        )
        checked = check(raw, schema, task)
        with self.registry.datasets.stage(self.project) as staging:
            staging.write_rows(checked.table.append_column("_row_id", pa.array(ids)))
            self.registry.datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=self.now)
        return ids

    def tell(
        self, ids: list[str], labels_: list[str], *, origin: str, source: LabelSource = LabelSource.HUMAN
    ) -> int:
        table = label_table(
            pa.array(ids, pa.string()), pa.array(labels_), source=source, at=self.now, origin=origin
        )
        with self.registry.datasets.stage(self.project) as staging:
            staging.write_labels(table)
            batch = self.registry.datasets.commit(staging, kind=BatchKind.FEEDBACK, details={}, at=self.now)
        return batch.dataset_version

    def ask(self, annotator: str = "anna", limit: int = 5) -> dict[str, Any]:
        answer = self.http.get(f"/v1/projects/fruit/labeling?limit={limit}&annotator={annotator}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def answer(self, annotator: str, *answers: tuple[str, str | None]) -> Response:
        body = [
            {"id": row, "skip": True} if label is None else {"id": row, "label": label}
            for row, label in answers
        ]
        return self.http.post("/v1/projects/fruit/labeling", json={"annotator": annotator, "answers": body})

    def answered(self, annotator: str, *answers: tuple[str, str | None]) -> dict[str, Any]:
        response = self.answer(annotator, *answers)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def held(self) -> dict[str, tuple[str, str, str | None]]:
        """Label, source and origin of each labelled row."""
        version = self.registry.datasets.facts(self.project.id).version
        table = self.registry.datasets.read(self.project.id, version)
        columns = (
            table[name].to_pylist() for name in ("_row_id", "_label", "_label_source", "_label_origin")
        )
        return {row: (label, source, origin) for row, label, source, origin in zip(*columns, strict=True)}

    def close(self) -> None:
        self.registry.close()


def row_ids(answer: Mapping[str, Any]) -> list[str]:
    return [row["id"] for row in answer["rows"]]
