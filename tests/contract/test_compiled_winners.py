"""What the engines end with compiles: nine of ten winners at least, each with its pipeline's answers."""

from __future__ import annotations

from typing import Any

import engine_kinds
import numpy as np
import pyarrow as pa
import pytest

from automl.candidate import Candidate
from automl.columns import ColumnKind
from automl.compiled import NotCompiled
from automl.compiled.compiling import compile_pipeline
from automl.compiled.parity import parity
from automl.engines import engine
from automl.engines.contract import problems
from automl.engines.protocol import Problem, Start

pytestmark = pytest.mark.slow

ENGINES = ("flaml", "portfolio", "sklearn", "tpot")
PROBLEMS = (problems.binary, problems.multiclass, problems.regression, problems.mixed)


def typed(problem: Problem) -> pa.Table:
    """The problem's rows as a check would have left them."""
    arrays = []
    for column in problem.schema.columns:
        values: Any = problem.X[column.name]
        if column.kind is ColumnKind.BOOLEAN:
            values = [None if np.isnan(number) else bool(number) for number in values]
        arrays.append(pa.Array.from_pandas(values, type=column.arrow_type))
    return pa.Table.from_arrays(arrays, schema=problem.schema.arrow_schema())


def search(name: str, problem: Problem, *, start: Start | None = None, budget: float = 3.0) -> Candidate:
    return engine(name, max_trials=1 if start else None).search(
        problem,
        budget_seconds=budget,
        seed=5,
        report=lambda trial: None,
        starts=() if start is None else (start,),
    )


def fault(candidate: Candidate, problem: Problem) -> str | None:
    """Why the winner is not served compiled."""
    compiled = compile_pipeline(candidate.pipeline, problem.schema, problem.task)
    if isinstance(compiled, NotCompiled):
        return compiled.reason
    if compiled.own is not None:
        return compiled.own
    found = parity(compiled, candidate.pipeline, typed(problem), problem.schema, problem.task)
    assert found.unsettled == 0
    return None if found.equal else f"{compiled.description}: {found}"


@pytest.mark.parametrize("name", ENGINES)
def test_winners_of_real_searches_compile(name: str) -> None:
    asked = [make() for make in PROBLEMS]
    faults = [fault(search(name, problem), problem) for problem in asked]
    assert faults == [None] * len(faults)


@pytest.mark.parametrize("name", ENGINES)
def test_nine_of_ten_kinds_of_winners_compile(name: str) -> None:
    problem = problems.mixed()
    starts = engine_kinds.kinds(name, problem)
    faults = [fault(search(name, problem, start=start, budget=60), problem) for start in starts]
    lacking = [reason for reason in faults if reason is not None]
    assert len(lacking) <= 0.1 * len(faults), lacking
