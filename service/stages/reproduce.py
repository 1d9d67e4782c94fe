"""A model once more, from its snapshot, seed and construction, and compared with what was kept of it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.pipeline import Pipeline

from automl.engines.blended import weighed
from automl.engines.construction import constructed
from automl.engines.evaluation import prepare
from automl.engines.plain import plain
from automl.engines.trials import quiet
from automl.metrics import metric
from automl.refit import trained_anew
from automl.schema import Schema, check, frame, table_from_rows
from automl.scoring import answer_gap, predictions
from automl.snapshot import Mark
from automl.task import Task
from service.desk import Desk
from service.stages import snapshot
from service.stages.refit import to_train_on
from service.stages.rows import encoded_labels
from service.stages.search import problem_of

_SAME = ("hash", "train_rows", "holdout_rows")


def run(desk: Desk, detail: str) -> None:
    """Leaves ``reproduced.json``: what was found beside what was kept, check by check.

    ``wanted`` of the specification says what was kept and whether the model was trained on the holdout as well.
    """
    snapshot.run(desk, "")
    wanted: dict[str, Any] = desk.spec["wanted"]
    task, schema = Task.from_json(desk.spec["task"]), Schema.from_json(desk.spec["schema"])
    found = json.loads((desk.folder / "snapshot.json").read_text())
    checks = [_same(name, wanted["snapshot"][name], found[name]) for name in _SAME]
    checks.append(_same("cut", _place(wanted["snapshot"]["cut"]), _place(found["cut"])))
    holdout = pq.read_table(desk.folder / "holdout.parquet")
    fitted = _on_a_fold(desk, wanted) if wanted["partial"] else _on_rows(desk, wanted, holdout)
    tolerance = wanted["tolerance"]
    answers = predictions(fitted, frame(holdout, schema), task)
    score = float(metric(wanted["metric"]).score(encoded_labels(holdout, schema, task), answers))
    checks.append(_near("score", wanted["score"], score, tolerance))
    questions = json.loads((desk.folder / "golden.json").read_text())
    table = check(table_from_rows(questions["rows"]), schema, task.without_ids).table
    expected = np.asarray(questions["predictions"], dtype=np.float64)
    gap = answer_gap(predictions(fitted, frame(table, schema), task), expected)
    checks.append(
        {
            "check": "golden_rows",
            "kept": len(expected),
            "found": len(table),
            "gap": gap if np.isfinite(gap) else None,
            "equal": bool(gap <= tolerance),
        }
    )
    (desk.folder / "reproduced.json").write_text(json.dumps({"checks": checks}))


def _on_rows(desk: Desk, wanted: dict[str, Any], holdout: pa.Table) -> Pipeline:
    """As the search did, on all training rows; ``on_all_rows`` as the refit did, on those that judged as well."""
    task, schema = Task.from_json(desk.spec["task"]), Schema.from_json(desk.spec["schema"])
    train = pq.read_table(desk.folder / "train.parquet")
    again = wanted["on_all_rows"]
    rows, weights = to_train_on(desk, pa.concat_tables([train, holdout]) if again else train)
    return trained_anew(
        constructed(
            wanted["construction"], schema=schema, task=task, seed=desk.spec["seed"], rounds=not again
        ),
        frame(rows, schema),
        encoded_labels(rows, schema, task),
        n_classes=len(task.classes) if task.is_classification else 0,
        weights=weights,
    )


def _on_a_fold(desk: Desk, wanted: dict[str, Any]) -> Pipeline:
    """As a search that was ended early left it: trained on the last of the folds in use."""
    problem = problem_of(desk, pseudo=desk.spec["refit_with_pseudo"])
    seed, task = desk.spec["seed"], problem.task
    prepared = prepare(problem, seed=seed)
    fold = prepared.folds[-1]
    whole = constructed(wanted["construction"], schema=problem.schema, task=task, seed=seed, rounds=True)
    model = Pipeline(whole.steps[2:])
    with quiet():
        model.fit(fold.train.X, fold.train.y, **weighed(model, fold.train.weights))
    return plain(fold.preprocessing, model, present=fold.train.present, n_classes=prepared.n_classes)


def _place(mark: dict[str, Any]) -> str:
    told = Mark.from_json(mark)
    return f"{told.at} {told.row_id}"


def _same(name: str, kept: Any, found: Any) -> dict[str, Any]:
    return {"check": name, "kept": kept, "found": found, "gap": None, "equal": kept == found}


def _near(name: str, kept: float | None, found: float, tolerance: float) -> dict[str, Any]:
    gap = None if kept is None else abs(found - kept) / (1 + abs(kept))
    return {
        "check": name,
        "kept": kept,
        "found": found,
        "gap": gap,
        "equal": gap is not None and gap <= tolerance,
    }
