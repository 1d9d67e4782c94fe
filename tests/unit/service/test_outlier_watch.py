"""Rows that came in are measured, the odd ones kept with their reasons, and only once each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from small_house import NOW, make_champion, make_model, make_project, open_registry, raw_rows

from automl.oddness import Oddness, measured
from automl.schema import Schema, check
from automl.task import Task
from registry import tables as t
from registry.records import BatchKind, Project
from registry.store import Registry
from service.metrics import Metrics
from service.outlier_watch import OutlierWatch
from service.outliers import ODDNESS, Measures
from service.policy import Outliers, Policy

RULE = Outliers()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(tmp_path)
    yield opened
    opened.close()


def watch_of(registry: Registry, metrics: Metrics | None = None) -> OutlierWatch:
    return OutlierWatch(
        registry, Measures(registry), clock=lambda: NOW + timedelta(hours=1), metrics=metrics or Metrics()
    )


def come_in(
    registry: Registry, project: Project, name: str, rows: pa.Table, source: str = "upload"
) -> list[str]:
    ids = [f"{name}-{number}" for number in range(rows.num_rows)]
    schema, task = Schema.from_json(project.schema or {}), Task.from_json(project.task)
    table = check(rows.drop_columns(["ripe"]), schema, task).table
    stamps = {
        "_row_id": pa.array(ids),
        "_source": pa.repeat(source, len(ids)),
        "_arrived_at": pa.repeat(pa.scalar(NOW, pa.timestamp("us", tz="UTC")), len(ids)),
    }
    for column, values in stamps.items():
        table = table.append_column(column, values)
    with registry.datasets.stage(project) as staging:
        staging.write_rows(table)
        registry.datasets.commit(staging, kind=BatchKind.UPLOAD, details={}, at=NOW)
    return ids


def spoilt(count: int, places: list[int], seed: int = 5) -> pa.Table:
    rows = raw_rows(count, seed)
    size = rows["size"].to_numpy().copy()
    size[places] = 1_000.0
    return rows.set_column(0, "size", pa.array(size))


def crowned(registry: Registry, project: Project) -> Project:
    """A champion that brings the measure of 1,000 rows it was trained on."""
    schema, task = Schema.from_json(project.schema or {}), Task.from_json(project.task)
    train = check(raw_rows(1_000, 0), schema, task).table
    oddness = Oddness.fit(train, measured(schema, task), seed=0)
    model = make_model(registry, project)
    blob = registry.blobs.put(oddness.to_bytes(), at=NOW)
    attachments: dict[str, Any] = {
        name: dataclasses.asdict(one) for name, one in {**model.attachments, ODDNESS: blob}.items()
    }
    with registry.db.write() as connection:
        connection.execute(
            t.models.update().where(t.models.c.version == model.version).values(attachments=attachments)
        )
    make_champion(registry, project, model.version)
    return registry.projects.get(project.name)


def test_planted_rows_are_kept_with_their_column_value_and_what_is_usual(registry: Registry) -> None:
    project = crowned(registry, make_project(registry))
    metrics = Metrics()
    come_in(registry, project, "live", spoilt(200, [3, 50]), source="prediction")
    watch_of(registry, metrics).look(project, RULE)
    first, second = registry.outliers.list(project.id, source="prediction")[:2]
    assert {first.row_id, second.row_id} == {"live-3", "live-50"}
    assert first.score == 1.0
    reason = first.reasons[0]
    assert (reason["column"], reason["value"]) == ("size", 1_000.0)
    assert -3 < reason["usual"][0] < reason["usual"][1] < 3
    look = registry.outliers.latest(project.id)
    assert look is not None
    assert (look.model_version, look.rows) == (project.champion, 320)
    share = metrics.registry.get_sample_value("incumbent_outlier_share", {"project": "fruit"})
    assert share == pytest.approx(look.odd / 320)


def test_each_row_is_looked_at_once_and_nothing_new_is_no_look(registry: Registry) -> None:
    project = crowned(registry, make_project(registry))
    watch = watch_of(registry)
    watch.look(project, RULE)
    watch.look(project, RULE)
    come_in(registry, project, "more", spoilt(40, [7]))
    watch.look(project, RULE)
    assert [look.rows for look in registry.outliers.looks(project.id)] == [40, 120]
    assert "more-7" in {row.row_id for row in registry.outliers.list(project.id)}


def test_without_a_champion_rows_are_measured_against_each_other(registry: Registry) -> None:
    project = make_project(registry)
    come_in(registry, project, "first", spoilt(300, [10, 200]))
    watch_of(registry).look(project, RULE)
    found = [row.row_id for row in registry.outliers.list(project.id, limit=2)]
    assert set(found) == {"first-10", "first-200"}
    look = registry.outliers.latest(project.id)
    assert look is not None
    assert (look.model_version, look.dataset_version) == (None, 2)


def test_a_measure_of_the_data_is_made_anew_once_there_are_twice_the_rows(registry: Registry) -> None:
    project = make_project(registry)
    watch = watch_of(registry)
    watch.look(project, RULE)
    come_in(registry, project, "a", raw_rows(60, 3))
    watch.look(project, RULE)
    come_in(registry, project, "b", raw_rows(100, 4))
    watch.look(project, RULE)
    looks = registry.outliers.looks(project.id)
    assert [(look.dataset_version, look.rows) for look in looks] == [(3, 280), (1, 60), (1, 120)]


def test_a_new_champion_measures_the_newest_rows_anew(registry: Registry) -> None:
    project = make_project(registry)
    come_in(registry, project, "first", spoilt(300, [10]))
    watch = watch_of(registry)
    watch.look(project, RULE)
    watch.look(crowned(registry, project), RULE)
    newest = registry.outliers.latest(project.id)
    assert newest is not None
    assert (newest.model_version, newest.rows) == (1, 420)
    assert {row.look for row in registry.outliers.list(project.id)} == {newest.number}


def test_too_few_rows_say_nothing_about_what_is_usual(registry: Registry) -> None:
    project = registry.projects.create(
        "small",
        task=make_project(registry).task,
        policy=Policy().model_dump(mode="json"),
        at=NOW,
    )
    project = registry.projects.update("small", schema=registry.projects.get("fruit").schema)
    come_in(registry, project, "few", raw_rows(19))
    watch_of(registry).look(project, RULE)
    assert registry.outliers.latest(project.id) is None


def test_a_look_waits_for_something_new_and_for_the_policys_pause(registry: Registry) -> None:
    project, now = crowned(registry, make_project(registry)), [NOW]
    watch = OutlierWatch(registry, Measures(registry), clock=lambda: now[0], metrics=Metrics())

    def looked() -> int:
        watch.look_at(project, Policy())
        if watch._looking is not None:
            watch._looking.result()
        return len(registry.outliers.looks(project.id))

    assert looked() == 1
    come_in(registry, project, "more", raw_rows(40))
    assert looked() == 1
    now[0] += timedelta(seconds=21)
    assert looked() == 2
    now[0] += timedelta(seconds=21)
    assert looked() == 2
    watch.look_at(project, Policy(outliers=None))
    watch.stop()


def test_a_small_upload_is_told_how_many_of_its_rows_are_odd(registry: Registry) -> None:
    project = make_project(registry)
    schema, task = Schema.from_json(project.schema or {}), Task.from_json(project.task)
    rows = check(spoilt(30, [1, 2]), schema, task).table
    measures = Measures(registry)
    assert measures.odd(project, rows) is None
    project = crowned(registry, project)
    found = measures.odd(project, rows)
    assert found is not None
    assert found[[1, 2]].all()
    assert found.sum() <= 4
    off = registry.projects.update("fruit", policy=Policy(outliers=None).model_dump(mode="json"))
    assert measures.odd(off, rows) is None


def test_a_look_that_must_stop_keeps_nothing_half_done(registry: Registry) -> None:
    project = crowned(registry, make_project(registry))
    watch = watch_of(registry)
    watch.stop()
    with pytest.raises(RuntimeError, match="stops"):
        watch.look(project, RULE)
    assert registry.outliers.latest(project.id) is None
