"""The process AutoGluon works in: rows go there as Parquet, what it found comes back line by line."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from automl.engines.autogluon_python import VARIABLE, fault, python
from automl.engines.evaluation import Fold, Prepared
from automl.errors import SearchFailed

_CHILD = Path(__file__).with_name("autogluon_child.py")
_GRACE = 1.5
_POLL_SECONDS = 0.1
_METRICS = {
    "roc_auc": ("roc_auc", "roc_auc_ovr_macro"),
    "f1": ("f1", "f1_macro"),
    "average_precision": ("average_precision", "log_loss"),
    "rmse": ("root_mean_squared_error",) * 2,
    "mae": ("mean_absolute_error",) * 2,
}
"""Our metric to AutoGluon's for two classes and for more; the others have the same name."""

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One of AutoGluon's models: its kind, the parameters with the rounds it stopped at, its score on the rows it was
    chosen by (AutoGluon's sign: greater is better), and its share of the weighted ensemble."""

    name: str
    kind: str
    params: Mapping[str, Any]
    score: float
    share: float = 0.0


class AutogluonProcess:
    """Made by :func:`started`. ``wait`` until it is ready, then ``fit`` once."""

    def __init__(self, child: subprocess.Popen[str], folder: Path) -> None:
        self._child = child
        self._folder = folder
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def wait(self, going_on: Callable[[], bool]) -> bool:
        """Whether it is ready; False when ``going_on`` no longer holds before that. Raises SearchFailed if it died."""
        while going_on():
            event = self._next(_POLL_SECONDS)
            if event is not None:
                return True
        return False

    def fit(self, prepared: Prepared, *, seconds: float, seed: int, models: int | None) -> list[Model]:
        """AutoGluon's models, those of its ensemble first, then the better ones.

        Takes ``seconds``, and half as much more where a model doesn't end in time; that many ``models`` in place of
        seconds where given. Raises SearchFailed when AutoGluon does.
        """
        self._write(prepared)
        told = _problem(prepared)
        limit = None if models is not None else seconds
        asked = {"folder": str(self._folder), "seconds": limit, "models": models, "seed": seed, **told}
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(asked) + "\n")
        self._child.stdin.flush()
        return _ordered(list(self._told(time.perf_counter() + _GRACE * seconds)))

    def _told(self, until: float) -> Iterator[Event]:
        while (left := until - time.perf_counter()) > 0:
            event = self._next(left)
            if event is None or event["event"] == "done":
                return
            yield event

    def _next(self, seconds: float) -> Event | None:
        try:
            event = self._events.get(timeout=seconds)
        except queue.Empty:
            return None
        if event is None:
            raise SearchFailed(f"AutoGluon's process ended: {self._last_words()}")
        return event

    def _listen(self) -> None:
        assert self._child.stdout is not None
        with suppress(ValueError, OSError):  # the pipe is closed at the end
            for line in self._child.stdout:
                self._events.put(json.loads(line))
        self._events.put(None)

    def _last_words(self) -> str:
        said = (self._folder / "log").read_bytes()[-2_000:].decode(errors="replace").strip()
        return said.splitlines()[-1] if said else "it said nothing"

    def _write(self, prepared: Prepared) -> None:
        fold = prepared.folds[-1]
        train = fold.train
        _parquet(self._folder / "train.parquet", train.X, train.y, train.weights)
        known = _known(fold)
        y = fold.y if not len(train.present) else np.searchsorted(train.present, fold.y)
        weights = None if fold.weights is None else fold.weights[known]
        _parquet(self._folder / "valid.parquet", fold.X[known], y[known], weights)


@contextmanager
def started() -> Iterator[AutogluonProcess]:
    """AutoGluon's process, which ends with the block, whatever it does. Raises SearchFailed where there is none."""
    named, reason = python(), fault()
    if named is None or reason is not None:
        raise SearchFailed(reason or f"{VARIABLE} is not set")
    with tempfile.TemporaryDirectory(prefix="autogluon-") as scratch, Path(scratch, "log").open("wb") as log:
        child = subprocess.Popen(
            [str(named), "-I", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=scratch,
            text=True,
            env=_environment(),
        )
        try:
            yield AutogluonProcess(child, Path(scratch))
        finally:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                with suppress(OSError):
                    if pipe is not None:
                        pipe.close()


def _environment() -> dict[str, str]:
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, **one, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONWARNINGS": "ignore"}


def _problem(prepared: Prepared) -> dict[str, str]:
    classes = len(prepared.folds[-1].train.present)
    names = _METRICS.get(prepared.metric.name, (prepared.metric.name,) * 2)
    kind = "regression" if not prepared.n_classes else "binary" if classes == 2 else "multiclass"
    return {"problem": kind, "metric": names[kind == "multiclass"]}


def _known(fold: Fold) -> npt.NDArray[np.bool_]:
    """The validation rows that AutoGluon can choose by: of classes that it is trained on, and none when only one is left."""
    if not len(fold.train.present):
        return np.ones(len(fold.y), dtype=bool)
    known = np.isin(fold.y, fold.train.present)
    return known if len(np.unique(fold.y[known])) == len(fold.train.present) else np.zeros(len(fold.y), bool)


def _parquet(path: Path, X: Any, y: Any, weights: Any) -> None:
    columns = {f"f{at}": X[:, at] for at in range(X.shape[1])}
    columns["label"] = y
    if weights is not None:
        columns["weight"] = weights
    pq.write_table(pa.table(columns), path)


def _ordered(events: list[Event]) -> list[Model]:
    shares: Mapping[str, float] = next(
        (event["weights"] for event in events if event["event"] == "ensemble"), {}
    )
    models = [
        Model(
            name=event["name"],
            kind=event["kind"],
            params=event["params"],
            score=event["score"],
            share=shares.get(event["name"], 0.0),
        )
        for event in events
        if event["event"] == "model"
    ]
    return sorted(models, key=lambda model: (-model.share, -model.score))
