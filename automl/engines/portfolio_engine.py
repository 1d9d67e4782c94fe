"""Zero-shot first: a portfolio of settings in turn, then steps around the best of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from automl.engines import portfolio, setting_trials
from automl.engines.evaluation import Prepared
from automl.engines.portfolio import Setting
from automl.engines.protocol import Start
from automl.engines.searcher import Searcher
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
    yield from starts
    done = [_without_rounds(tried.config) for tried in trials.done]
    yield from (
        setting
        for setting in portfolio.settings_for(trials.prepared)
        if _without_rounds(setting.to_config()) not in done
    )
    rng = np.random.default_rng(seed)
    if not trials.tried:
        return
    while True:
        best = trials.ranked()[:_AROUND]
        around = portfolio.from_config(best[int(rng.integers(len(best)))].config)
        assert around is not None
        yield portfolio.neighbour(around, rng)


def _without_rounds(config: Mapping[str, Any]) -> dict[str, Any]:
    """Forests keep their number of trees: those are part of what was asked for."""
    params = dict(config.get("params", {}))
    if config.get("kind") in ("lightgbm", "xgboost"):
        params.pop("n_estimators", None)
    return {"kind": config.get("kind"), "params": params}
