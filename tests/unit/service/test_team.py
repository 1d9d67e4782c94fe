from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from service.wire.team import WORTH_ROWS, Team


class Doubles:
    """Doubles numbers, leaves negative ones, and remembers who asked."""

    def __init__(self) -> None:
        self.threads: set[str] = set()

    def __call__(self, rows: Sequence[float]) -> npt.NDArray[np.float64] | None:
        self.threads.add(threading.current_thread().name)
        return None if min(rows) < 0 else np.array(rows) * 2


def test_a_large_piece_is_shared_and_comes_back_in_order() -> None:
    team, model = Team(3), Doubles()
    rows = list(map(float, range(5 * WORTH_ROWS + 7)))
    found = team.scores(model, rows)
    assert found is not None
    assert found.tolist() == [2 * row for row in rows]
    assert len(model.threads) > 1
    assert team.scores(model, [*rows, -1.0]) is None
    team.close()


def test_a_small_piece_wakes_nobody() -> None:
    team, model = Team(3), Doubles()
    assert team.scores(model, [1.0] * (2 * WORTH_ROWS - 1)) is not None
    assert model.threads == {threading.current_thread().name}
    assert Team(1).scores(model, [1.0] * 5_000) is not None
    assert len(model.threads) == 1
