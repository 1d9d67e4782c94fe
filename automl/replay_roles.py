"""Who takes part in a policy replay, and what each may see: hands, policies, and the stage they play on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from automl.play_state import RunNote
from automl.slices import Slice
from automl.snapshot import HoldoutRule
from automl.task import Task
from automl.timeline import Look
from automl.verdict import Rules

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """A trained model by its name; ``seconds`` of processor time that learning it took."""

    model: str
    seconds: float


class Hands(Protocol):
    """What a simulation needs done. Rows are positions in the stream."""

    def learn(self, train: Rows) -> Learnt: ...
    def refit(self, model: str, rows: Rows) -> Learnt:
        """The same configuration trained on these rows: no search."""

    def answer(self, model: str, rows: Rows) -> npt.NDArray[np.float64]: ...
    def truth(self, rows: Rows) -> npt.NDArray[Any]: ...
    def groups(self, rows: Rows) -> npt.NDArray[Any] | None:
        """The entity of each row, or None where the task names none."""

    def slices(self, rows: Rows, *, most: int, min_rows: int) -> tuple[Slice, ...]:
        """The parts of these rows that may not get worse."""

    def shift(self, model: str, rows: Rows) -> dict[str, Any]:
        """How far rows moved from those the model was trained on: ``share``, ``drifted`` and ``columns``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecayRule:
    """Live quality is measured on the champion's newest ``window`` matured answers, ``min_rows`` at least."""

    window: int
    min_rows: int
    alpha: float
    max_drop: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """All that a policy sees at a look. ``decay`` and ``shift`` are reports that no run has answered yet, with the
    time ``at`` which they were made; ``runs`` are the policy's own."""

    look: Look
    champion: int | None
    matured_at_last_run: int | None
    runs: Sequence[RunNote]
    decay: dict[str, Any] | None
    shift: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """``start`` a run or not; ``kind`` is the trigger, or the guard that stood in the way."""

    start: bool
    kind: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """One policy at play.

    ``decide`` may keep what it needs in the dictionary it is given (JSON only). Without ``judged`` a later model
    is trained on every known row and takes over whatever it is worth. With ``refit`` a model that was promoted is
    trained once more, on the rows that judged it too. ``lookback`` and ``embargo`` (between rows trained and judged on,
    given up where it leaves too few if it ``embargo_gives_way``) are in nanoseconds. ``slices`` is how many parts
    of the judged rows may not get worse, None for no such gate.
    ``budget_seconds`` is what a run would be allowed in production: what a daily budget counts.
    """

    name: str
    decide: Callable[[Sight, dict[str, Any]], Choice]
    rules: Rules
    holdout: HoldoutRule
    judged: bool = True
    refit: bool = False
    lookback: int | None = None
    embargo: int | None = None
    embargo_gives_way: bool = False
    slices: int | None = None
    budget_seconds: float = 0.0
    decay: DecayRule | None = None
    shift_window: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Each row's answer and the version that gave it (0: none). Written as the play goes on."""

    predicted: npt.NDArray[np.float64]
    version: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where policies play: the same for all of them. ``warm_up`` windows pass before anything is learnt."""

    task: Task
    times: npt.NDArray[np.int64]
    looks: tuple[Look, ...]
    warm_up: int
    seed: int
    hands: Hands
