"""Hands for a simulation without learners: a model knows how good it is by the rows it was trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.play_state import Play
from automl.replay_roles import Learnt, Rows
from automl.slices import Slice
from automl.task import Task, TaskKind
from automl.timeline import Look

TASK = Task(kind=TaskKind.CLASSIFICATION, target="y", metric="log_loss", classes=("no", "yes"))


@dataclass
class FakeHands:
    """``world`` is the probability of "yes" that a model of the last trained row's regime would say.

    Each row has a regime (0 or 1); a model is right in the regime of the last row that it was trained on. What
    is asked of it is checked against the look that ``state`` stands at.
    """

    regimes: npt.NDArray[np.int64]
    looks: tuple[Look, ...]
    state: Play = field(default_factory=Play)
    seed: int = 0
    trained: list[npt.NDArray[np.intp]] = field(default_factory=list)
    shifts: list[npt.NDArray[np.intp]] = field(default_factory=list)
    looking_back: bool = False

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        self.leaning = random.integers(0, 2, len(self.regimes))
        noise = random.random(len(self.regimes)) < 0.05
        self.y = np.where(noise, 1 - self.leaning, self.leaning) ^ self.regimes

    @property
    def now(self) -> Look:
        return self.looks[self.state.look]

    def learn(self, train: Rows) -> Learnt:
        assert train.max() < self.now.matured, "trained on a row whose truth is not known yet"
        self.trained.append(train)
        return Learnt(model=f"{self.regimes[train.max()]}-{train.max()}", seconds=len(train) / 1000)

    def refit(self, model: str, rows: Rows) -> Learnt:
        return self.learn(rows)

    def answer(self, model: str, rows: Rows) -> npt.NDArray[np.float64]:
        if not self.looking_back:
            assert not len(rows) or rows.max() < self.now.arrived, "answered a row that has not come"
        yes = np.where(self.leaning[rows] ^ int(model[0]), 0.8, 0.2)
        return np.column_stack([1 - yes, yes])

    def truth(self, rows: Rows) -> npt.NDArray[Any]:
        if not self.looking_back:
            assert not len(rows) or rows.max() < self.now.matured, "saw a label before it matured"
        return self.y[rows]

    def groups(self, rows: Rows) -> npt.NDArray[Any] | None:
        return None

    def slices(self, rows: Rows, *, most: int, min_rows: int) -> tuple[Slice, ...]:
        return (Slice(column="leaning", value="yes", rows=self.leaning[rows] == 1),)

    def shift(self, model: str, rows: Rows) -> dict[str, Any]:
        assert rows.max() < self.now.arrived
        self.shifts.append(rows)
        moved = float(np.mean(self.regimes[rows] != int(model[0])))
        return {"share": moved, "drifted": ["x"] if moved > 0.5 else [], "columns": []}
