"""The records of the prediction log: whichever form they have, the tables get the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from small_house import NOW, open_registry
from wire_house import make, rows_of

from automl.schema import check, table_from_rows
from service.deployment import load
from service.log_reading import Logged, read_records
from service.log_records import column_record, table_record
from service.wire.bulk import new_ids
from service.wire.forms import Form

MICRO = int(NOW.timestamp() * 1_000_000)


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Form]]:
    registry = open_registry(tmp_path_factory.mktemp("records"))
    made = {}
    for kind in ("two", "three", "number"):
        make(registry, kind, compiled=True, kind=kind)
        project = registry.projects.get(kind)
        made[kind] = Form(load(registry, project, registry.models.get(project.id, 1)))
    yield made
    registry.close()


def asked(kind: str, count: int = 40) -> list[dict[str, Any]]:
    rows = rows_of(count, 3, classes=3 if kind == "three" else 2)
    plain: list[dict[str, Any]] = rows.drop_columns(["count" if kind == "number" else "ripe"]).to_pylist()
    for row in plain:
        if "ripe" in row:  # yes and no are booleans to a schema, but not at a glance
            row["ripe"] = row["ripe"] == "yes"
    plain[1].update(size=7, colour=None, note="NA")
    plain[2].update(size=1e300, stand=None)
    return plain


def both(form: Form, rows: list[dict[str, Any]]) -> tuple[list[Logged], list[Logged]]:
    values = form.convert(rows)
    assert values is not None
    deployment = form.deployment
    table = check(table_from_rows(rows), deployment.schema, deployment.unkeyed_task).table
    raw = deployment.raw(table)
    ids = [row["ref"] for row in rows]
    scores = deployment.answer(raw)
    plain = form.record(MICRO, ids, values, raw)
    return list(read_records([plain])), list(
        read_records([table_record(deployment, table, ids, scores, NOW)])
    )


@pytest.mark.parametrize("kind", ["two", "three", "number"])
def test_plain_records_become_the_rows_and_predictions_that_table_records_do(
    forms: dict[str, Form], kind: str
) -> None:
    [plain], [table] = both(forms[kind], asked(kind))
    assert plain.rows.schema.equals(table.rows.schema)
    assert plain.rows.equals(table.rows)
    assert plain.predictions.equals(table.predictions)
    assert (plain.project, plain.fresh, plain.records) == (table.project, False, 1)


def test_many_records_become_few_tables(forms: dict[str, Form]) -> None:
    form = forms["two"]
    rows = asked("two", 30)
    values = form.convert(rows)
    assert values is not None
    raw = np.tile([0.25, 0.75], (30, 1))
    records = [form.record(MICRO + at, [f"n{at}"], values[at : at + 1], raw[at : at + 1]) for at in range(30)]
    [gathered] = read_records(records)
    assert (gathered.records, gathered.rows.num_rows) == (30, 30)
    assert len(set(gathered.predictions["at"].to_pylist())) == 30
    pieces = list(read_records(records, most=10))
    assert [piece.rows.num_rows for piece in pieces] == [10, 10, 10]
    assert pa.concat_tables([piece.rows for piece in pieces]).equals(gathered.rows)


def test_records_of_whole_columns_are_like_those_of_rows(forms: dict[str, Form]) -> None:
    form = forms["three"]
    deployment = form.deployment
    table = check(table_from_rows(asked("three")), deployment.schema, deployment.unkeyed_task).table
    raw, ids = deployment.raw(table), new_ids(table.num_rows)
    [columns] = read_records([column_record(form.head, table, ids, raw, NOW)])
    [rows] = read_records([table_record(deployment, table, ids.to_pylist(), deployment.answer(raw), NOW)])
    assert columns.rows.equals(rows.rows)
    assert columns.predictions.equals(rows.predictions)


def test_records_of_an_earlier_version_are_read(forms: dict[str, Form], tmp_path: Path) -> None:
    form = forms["two"]
    deployment = form.deployment
    table = check(table_from_rows(asked("two")), deployment.schema, deployment.unkeyed_task).table
    raw = deployment.raw(table)
    ids = [f"id-{at}" for at in range(table.num_rows)]
    record = table_record(deployment, table, ids, deployment.answer(raw), NOW)
    with pa.ipc.open_stream(record) as reader:
        now = reader.read_all()
    meta = {key: value for key, value in now.schema.metadata.items() if key != b"fresh"}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, now.schema.with_metadata(meta)) as writer:
        writer.write_table(now.replace_schema_metadata(meta))
    [old] = read_records([sink.getvalue().to_pybytes()])
    [new] = read_records([record])
    assert old.rows.equals(new.rows)
    assert old.fresh is False
