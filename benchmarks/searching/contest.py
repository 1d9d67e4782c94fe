"""One contestant on one table, in a process of its own: ``python contest.py NAME FOLDER BUDGET SEED``.

Reads ``train.parquet``, ``test.parquet`` and ``facts.json`` from the folder; leaves ``answers.npy`` (probabilities in
the order of the classes, or numbers) and ``told.json``. Imports nothing of the project at the top, because
AutoGluon runs this file in an environment of its own.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

TARGET = "target"
Answer = Callable[[pd.DataFrame], Any]


def incumbent(
    train: pd.DataFrame,
    facts: dict[str, Any],
    budget: float,
    seed: int,
    shares: dict[str, float] | None = None,
) -> Answer:
    """The project's own search as a run does it; answers come from the compiled form where there is one."""
    import pyarrow as pa

    from automl.compiled import Compiled
    from automl.compiled.compiling import compile_pipeline
    from automl.engines.protocol import Problem
    from automl.engines.race import RaceRule, race
    from automl.schema import check, frame
    from automl.scoring import predictions
    from automl.snapshot import folds, other_folds

    schema, task = _read(train, facts)
    table = check(pa.Table.from_pandas(train, preserve_index=False), schema, task).table
    y = _labels(train, task)
    problem = Problem(
        task=task,
        schema=schema,
        X=frame(table, schema),
        y=y,
        folds=folds(y, task=task, seed=seed),
        again=other_folds(y, task=task, seed=seed),
    )
    rule = RaceRule(shares=shares or {"portfolio": 0.3, "flaml": 0.4, "tpot": 0.3}, at_once=2)
    found = race(problem, rule, budget_seconds=budget, seed=seed, report=lambda trial: None)
    facts["found"] = f"{found.candidate.engine}: {found.candidate.estimator}"
    facts["parts"] = {name: [part.trials, part.estimator, part.score] for name, part in found.parts.items()}
    facts["blend"] = dict(found.blend)
    compiled = compile_pipeline(found.candidate.pipeline, schema, task)
    facts["form"] = compiled.description if isinstance(compiled, Compiled) else compiled.reason

    def answer(rows: pd.DataFrame) -> Any:
        typed = check(pa.Table.from_pandas(rows, preserve_index=False), schema, task).table
        if isinstance(compiled, Compiled):
            return compiled.table(typed)
        return predictions(found.candidate.pipeline, frame(typed, schema), task)

    return answer


def portfolio(train: pd.DataFrame, facts: dict[str, Any], budget: float, seed: int) -> Answer:
    """The search without the two engines it did not write: what the others add."""
    return incumbent(train, facts, budget, seed, {"portfolio": 1.0})


def flaml(train: pd.DataFrame, facts: dict[str, Any], budget: float, seed: int) -> Answer:
    from flaml import AutoML

    rows, y, read = _plain(train)
    names = {"roc_auc": "roc_auc", "log_loss": "log_loss", "rmse": "rmse"}
    found = AutoML()
    kind = "regression" if facts["kind"] == "regression" else "classification"
    found.fit(
        rows, y, task=kind, metric=names[facts["metric"]], time_budget=budget, seed=seed, verbose=0, n_jobs=2
    )
    return _asked(found, facts, read)


def tpot(train: pd.DataFrame, facts: dict[str, Any], budget: float, seed: int) -> Answer:
    """On our features: it takes no categories as they are."""
    from tpot import TPOTClassifier, TPOTRegressor

    from automl.features import preprocessor
    from automl.schema import check, frame

    schema, task = _read(train, facts)
    import pyarrow as pa

    def typed(rows: pd.DataFrame) -> Any:
        return frame(check(pa.Table.from_pandas(rows, preserve_index=False), schema, task).table, schema)

    y = _labels(train, task)
    encode = preprocessor(schema, task, seed=seed)
    X = encode.fit_transform(typed(train), y)
    scorer = {"roc_auc": "roc_auc", "log_loss": "neg_log_loss", "rmse": "neg_root_mean_squared_error"}
    cls = TPOTRegressor if facts["kind"] == "regression" else TPOTClassifier
    found = cls(
        max_time_mins=budget / 60,
        max_eval_time_mins=budget / 120,
        scorers=[scorer[facts["metric"]]],
        n_jobs=2,
        random_state=seed,
        verbose=0,
    )
    found.fit(X, y)
    ask = found.predict if facts["kind"] == "regression" else found.predict_proba
    return lambda rows: ask(encode.transform(typed(rows)))


def lightgbm(train: pd.DataFrame, facts: dict[str, Any], budget: float, seed: int) -> Answer:
    """As it comes, categories as its own kind."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    rows, y, read = _plain(train)
    cls = LGBMRegressor if facts["kind"] == "regression" else LGBMClassifier
    return _asked(cls(n_jobs=2, random_state=seed, verbose=-1).fit(rows, y), facts, read)


def autogluon(
    train: pd.DataFrame, facts: dict[str, Any], budget: float, seed: int, preset: str = "good_quality"
) -> Answer:
    import tempfile

    from autogluon.tabular import TabularPredictor

    metric = {"roc_auc": "roc_auc", "log_loss": "log_loss", "rmse": "root_mean_squared_error"}[
        facts["metric"]
    ]
    found = TabularPredictor(
        label=TARGET, eval_metric=metric, problem_type=facts["kind"], path=tempfile.mkdtemp(), verbosity=0
    ).fit(train, time_limit=budget, presets=preset, num_cpus=2, num_gpus=0)
    facts["found"] = found.model_best
    if facts["kind"] == "regression":
        return lambda rows: found.predict(rows.drop(columns=TARGET)).to_numpy()
    return lambda rows: found.predict_proba(rows.drop(columns=TARGET))[facts["classes"]].to_numpy()


def autogluon_medium(train: pd.DataFrame, facts: dict[str, Any], budget: float, seed: int) -> Answer:
    return autogluon(train, facts, budget, seed, "medium_quality")


_ALL = (incumbent, portfolio, flaml, tpot, lightgbm, autogluon, autogluon_medium)
CONTESTANTS = {each.__name__: each for each in _ALL}


def _read(train: pd.DataFrame, facts: dict[str, Any]) -> Any:
    import pyarrow as pa

    from automl.schema import infer
    from automl.task import Task, TaskKind

    kind = TaskKind.REGRESSION if facts["kind"] == "regression" else TaskKind.CLASSIFICATION
    return infer(
        pa.Table.from_pandas(train, preserve_index=False),
        Task(kind=kind, target=TARGET, metric=facts["metric"]),
    )


def _labels(train: pd.DataFrame, task: Any) -> Any:
    if not task.is_classification:
        return train[TARGET].to_numpy(dtype=np.float64)
    place = {str(label): at for at, label in enumerate(task.classes)}
    return np.array([place[str(label)] for label in train[TARGET]], dtype=np.int64)


def _plain(train: pd.DataFrame) -> tuple[pd.DataFrame, Any, Callable[[pd.DataFrame], pd.DataFrame]]:
    """Texts as pandas categories of the training rows."""
    rows = train.drop(columns=TARGET)
    kinds = {
        name: pd.CategoricalDtype(sorted(rows[name].dropna().astype(str).unique()))
        for name in rows.columns
        if not pd.api.types.is_numeric_dtype(rows[name])
    }

    def read(given: pd.DataFrame) -> pd.DataFrame:
        out = given.drop(columns=TARGET, errors="ignore").copy()
        for name, kind in kinds.items():
            out[name] = out[name].astype(str).where(out[name].notna(), None).astype(kind)
        return out

    return read(train), train[TARGET].to_numpy(), read


def _asked(model: Any, facts: dict[str, Any], read: Callable[[pd.DataFrame], pd.DataFrame]) -> Answer:
    if facts["kind"] == "regression":
        return lambda rows: model.predict(read(rows))
    places = [[str(label) for label in model.classes_].index(name) for name in facts["classes"]]
    return lambda rows: model.predict_proba(read(rows))[:, places]


def main(name: str, folder: Path, budget: float, seed: int) -> None:
    train, test = (pd.read_parquet(folder / f"{part}.parquet") for part in ("train", "test"))
    facts = json.loads((folder / "facts.json").read_text())
    began = time.perf_counter()
    answer = CONTESTANTS[name](train, facts, budget, seed)
    took = time.perf_counter() - began
    many = test.head(1000)
    answer(many)
    timed = []
    for _ in range(3):
        began = time.perf_counter()
        answer(many)
        timed.append(time.perf_counter() - began)
    np.save(folder / f"{name}.npy", np.asarray(answer(test), dtype=np.float64))
    told = {"seconds": took, "thousand_rows_ms": 1000 * float(np.median(timed)) * 1000 / len(many)}
    told |= {key: facts[key] for key in ("found", "parts", "blend", "form") if key in facts}
    (folder / f"{name}.told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
