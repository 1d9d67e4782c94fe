"""Zero-shot first: a portfolio of settings in turn, then steps around the best of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from automl.engines import portfolio, setting_trials
from automl.engines.evaluation import Prepared
from automl.engines.portfolio import Setting
from automl.engines.protocol import Start
from automl.engines.searcher import Searcher
from automl.engines.skewed import is_skewed
from automl.engines.trials import Trials, Tried

_PATIENCE = 30
_AROUND = 4


class PortfolioEngine(Searcher):
    """The portfolio behind the engine protocol. Starts that were its own are tried before it.

    With ``max_trials`` set, same problem and seed give the same candidate.
    """

    name = "portfolio"

    def propose(self, trials: Trials, *, seed: int, starts: Sequence[Start] = ()) -> None:
        """Try setting after setting until the time or the trials are used up."""
        read = [portfolio.from_config(start.config) for start in starts if start.engine == self.name]
        failed = 0
        for setting in _in_turn(trials, [one for one in read if one is not None], seed):
            loss = setting_trials.tried(setting, trials, seed=seed)
            failed = failed + 1 if loss is None else 0
            if failed >= _PATIENCE:
                return

    def refit(self, tried: Tried, prepared: Prepared, seconds: float, *, seed: int) -> Any:
        """Trained on all rows, with the rounds that it stopped at on the folds."""
        return setting_trials.trained(tried, prepared, seconds, seed=seed)


def _in_turn(trials: Trials, starts: Sequence[Setting], seed: int) -> Iterator[Setting]:
    prepared = trials.prepared
    yield from starts
    yield from portfolio.settings(
        rows=len(prepared.full.y),
        columns=prepared.full.X.shape[1],
        n_classes=prepared.n_classes,
        weighted=prepared.full.weights is not None,
        skewed=not prepared.n_classes and is_skewed(np.asarray(prepared.full.y, dtype=np.float64)),
    )
    rng = np.random.default_rng(seed)
    if not trials.tried:
        return
    while True:
        best = trials.ranked()[:_AROUND]
        around = portfolio.from_config(best[int(rng.integers(len(best)))].config)
        assert around is not None
        yield portfolio.neighbour(around, rng)
