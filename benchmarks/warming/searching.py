"""One search on one snapshot, in a process of its own, as a run's search stage does it."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.warming.streams import STREAMS, TARGET, TIME


def search(stream: str, at: int, budget: float, seed: int, starts: list[dict[str, Any]]) -> dict[str, Any]:
    """What it found, and when: seconds count from the beginning of the budget, ``before`` are those until then."""
    began = time.perf_counter()
    from automl.engines.protocol import Start
    from automl.engines.race import RaceRule, race

    begun, late = list[float](), [0.0]

    def begin() -> None:
        begun.append(time.perf_counter())
        _watch(late)

    problem = _problem(stream, at, seed)
    found = race(
        problem,
        RaceRule(shares={"portfolio": 0.3, "flaml": 0.4, "tpot": 0.3}, at_once=2),
        budget_seconds=budget,
        seed=seed,
        report=lambda trial: None,
        starts=[Start(**start) for start in starts],
        begin=begin,
    )
    candidate, seconds, stalled = found.candidate, time.perf_counter() - begun[0], max(late)
    return {
        "score": candidate.score,
        "seconds": seconds,
        "unseen": _unseen(stream, at, problem, candidate),
        "before": begun[0] - began,
        "blend": found.blend["reason"],
        "stalled": stalled,
        "winner": [dict(one) for one in candidate.recipe],
        "trials": sum(part.trials for part in found.parts.values()),
        "progress": [[one.seconds, one.score, one.engine, one.estimator] for one in found.progress],
    }


def _unseen(stream: str, at: int, problem: Any, candidate: Any) -> float:
    """Of what was found, on the rows that came next."""
    from automl.metrics import metric
    from automl.scoring import predictions

    X, y = _rows(STREAMS[stream].following(at), problem.schema, problem.task)
    return metric(problem.task.metric).score(y, predictions(candidate.pipeline, X, problem.task))


def _watch(late: list[float]) -> None:
    """Write down by how many seconds a sleep of a tenth is late, over and over while the process lives.

    From where the search begins: reading a stream's rows keeps the interpreter for seconds.
    """

    def look() -> None:
        while True:
            began = time.perf_counter()
            time.sleep(0.1)
            late.append(time.perf_counter() - began - 0.1)

    threading.Thread(target=look, daemon=True).start()


def _problem(stream: str, at: int, seed: int) -> Any:
    from automl.engines.protocol import Problem
    from automl.schema import check, infer
    from automl.snapshot import folds, row_order
    from automl.task import Task, TaskKind

    asked = STREAMS[stream]
    given = pa.Table.from_pandas(asked.snapshot(at), preserve_index=False)
    schema, task = infer(
        given, Task(kind=TaskKind(asked.kind), target=TARGET, metric=asked.metric, time_column=TIME)
    )
    X, y = _rows(asked.snapshot(at), schema, task)
    order = row_order(check(given, schema, task).table, task)
    return Problem(task=task, schema=schema, X=X, y=y, folds=folds(y, task=task, order=order, seed=seed))


def _rows(rows: Any, schema: Any, task: Any) -> tuple[Any, Any]:
    """As the schema reads them, and their encoded labels."""
    from automl.schema import check, frame

    given = pa.Table.from_pandas(rows, preserve_index=False)
    X, labels = frame(check(given, schema, task).table, schema), given[TARGET].to_pylist()
    if task.is_classification:
        return X, np.array([task.classes.index(label) for label in labels], dtype=np.int64)
    return X, np.array(labels, dtype=np.float64)
