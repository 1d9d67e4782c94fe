"""A compiled form that was kept as bytes answers to the last bit as the one that was made."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from compiled_cases import case
from sklearn.linear_model import LogisticRegression
from test_compiled_scorers import CASES

from automl.columns import ColumnKind
from automl.compiled import packing
from automl.compiled.packing import pack, unpack
from automl.compiled.parity import json_rows
from automl.compiled.unknown import Unknown


@pytest.mark.parametrize(
    ("target", "name", "make"), CASES, ids=lambda part: part if isinstance(part, str) else ""
)
def test_every_form_comes_back_with_the_same_bits(target: str, name: str, make: Any) -> None:
    problem = case(target)
    made = problem.compiled(problem.pipeline(*make()))
    packed = pack(made)
    assert packed is not None
    rests: list[None] = []
    back = unpack(packed, lambda: rests.append(None))
    assert back is not None
    assert (back.columns, back.description, back.tolerance) == (
        made.columns,
        made.description,
        made.tolerance,
    )
    rows = json_rows(made.columns, problem.table)
    for some in (rows[:1], rows[:20], rows):
        assert np.array_equal(np.asarray(back.quick(some)), np.asarray(made.quick(some)))
    assert np.array_equal(back.table(problem.table), made.table(problem.table))
    assert rests or name != "lightgbm"


def test_a_form_reads_rows_by_the_schema_and_the_task_of_the_day() -> None:
    problem = case("two")
    made = problem.compiled(problem.pipeline(LogisticRegression(max_iter=1000)))
    unkeyed = made.reading(problem.schema, replace(problem.task, id_column=None))
    assert {column.name for column in unkeyed.columns} - {column.name for column in made.columns} == {"key"}
    assert np.array_equal(unkeyed.table(problem.table), made.table(problem.table))
    used, kind = made.reader.blocks.fitted_on[0]
    other = ColumnKind.NUMERIC if kind is ColumnKind.TEXT else ColumnKind.TEXT
    changed = replace(
        problem.schema,
        columns=tuple(
            replace(column, kind=other) if column.name == used else column
            for column in problem.schema.columns
        ),
    )
    with pytest.raises(Unknown, match=f"'{used}' is no longer"):
        made.reading(changed, problem.task)


def test_what_another_release_packed_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = case("two")
    packed = pack(problem.compiled(problem.pipeline(LogisticRegression(max_iter=1000))))
    assert packed is not None
    monkeypatch.setattr(packing, "_head", lambda: b"incumbent-compiled of tomorrow\n")
    assert unpack(packed) is None


def test_what_serves_imports_neither_scikit_learn_nor_scipy_nor_lightgbm() -> None:
    code = "import sys, automl.compiled.packing, automl.compiled.lightgbm_form; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"sklearn", "scipy.special", "scipy.stats", "lightgbm"} & set(told.split())
