"""Models of past runs, built again and tried before anything else.

They are trained side by side, on all folds, while no engine is imported yet: within seconds the search is about
where the last one ended, and a blend of them can stand.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from typing import Any

from automl.engines import portfolio, setting_trials
from automl.engines.allowance import Allowance
from automl.engines.evaluation import Fold, Prepared
from automl.engines.limits import unheard_timeouts, within
from automl.engines.pace import Pace
from automl.engines.portfolio import Setting
from automl.engines.protocol import Start
from automl.engines.rebuilding import described, fitted
from automl.engines.trials import SearchOver, Trials, Tried

SHARE = 0.4
"""What was found before is begun within so much of the time for trials."""
ZERO_SHOT = "portfolio"
_ZERO_SHOTS = 8
"""So many of the portfolio's are tried with the past, those that are quick on any number of rows."""
_SLOW = ("forest", "extra_trees", "kernel")
_BOOSTED = {
    "LGBMClassifier": ("lightgbm", 0.1),
    "LGBMRegressor": ("lightgbm", 0.1),
    "XGBClassifier": ("xgboost", 0.3),
    "XGBRegressor": ("xgboost", 0.3),
}
"""Class to the portfolio's kind and the library's own learning rate."""
_OURS = frozenset({"n_estimators", "n_jobs", "verbose", "verbosity", "random_state", "tree_method"})


class Phase(Allowance):
    """The first part of a search's time: no trial begins when it is over."""

    def __init__(self, whole: Allowance, share: float) -> None:
        super().__init__(budget_seconds=share * whole.budget_seconds)
        self.started = whole.started
        self._whole = whole

    def trial_seconds(self) -> float:
        return min(self._whole.trial_seconds(), self.budget_seconds) if self.left > 0 else 0.0


class Again:
    """The starts whose model is known, tried in order, ``at_once`` side by side, each as a trial of its own engine.

    Those that are expected to take longer than is left of the ``time`` are passed over, the champion's parts only where
    they would take longer than all of it: a slow one would keep everything after it waiting. What ``report`` raises is
    left to the caller, who is told by it.
    """

    def __init__(
        self,
        starts: Sequence[Start],
        trials_of: Callable[[Start], Trials],
        *,
        at_once: int,
        seed: int,
        time: Allowance,
    ) -> None:
        self._waiting = [start for start in starts if start.model is not None]
        self._choosing = threading.Lock()
        self._pace = Pace()
        self._time = time
        self._trials_of = trials_of
        self._seed = seed
        self.done: list[tuple[Start, Trials]] = []
        self._ended: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._working = at_once if self._waiting else 0
        for at in range(self._working):
            threading.Thread(target=self._work, name=f"past-{at}", daemon=True).start()

    def another(self) -> bool:
        """Waits until another one is tried; False when all are, or the time for them is over."""
        while self._working:
            if self._ended.get():
                return True
            self._working -= 1
        return False

    def no_more(self) -> None:
        """Begin with none of those that wait."""
        with self._choosing:
            self._waiting.clear()

    def _work(self) -> None:
        try:
            self._try()
        finally:
            self._ended.put(False)

    def _try(self) -> None:
        with unheard_timeouts():
            while (start := self._next()) is not None:
                trials = self._trials_of(start)
                try:
                    trials.run(
                        start.estimator,
                        lambda seconds, trials=trials: _attempt(trials, self._seed, seconds),  # type: ignore[misc]
                        lambda start=start: dict(start.config),  # type: ignore[misc]
                    )
                except SearchOver:
                    return
                self._pace.learn(told=start.seconds, took=trials.seconds)
                self.done.append((start, trials))
                self._ended.put(True)

    def _next(self) -> Start | None:
        with self._choosing:
            left, whole = self._time.left, self._time.budget_seconds
            for at, start in enumerate(self._waiting):
                if self._pace.expected(start.seconds) <= (whole if start.share > 0 else left):
                    return self._waiting.pop(at)
            return None


def with_zero_shots(starts: Sequence[Start], prepared: Prepared, *, seed: int) -> list[Start]:
    """The starts without doubles: what the champion is made of, then one of the portfolio's settings and two of the
    other starts by turns, for what was good once may be less so today, and a blend lives on what differs. As they are
    where none has a model."""
    known = _distinct(starts)
    if not any(start.model is not None for start in starts):
        return known
    champions = [start for start in known if start.share > 0]
    others = [start for start in known if not start.share > 0]
    new = _distinct([*known, *_zero_shots(prepared, seed)])[len(known) :]
    by_turns = zip_longest(new, others[::2], others[1::2])
    return [*champions, *(start for turn in by_turns for start in turn if start is not None)]


def _zero_shots(prepared: Prepared, seed: int) -> Iterator[Start]:
    quick = (setting for setting in portfolio.settings_for(prepared) if setting.kind not in _SLOW)
    for setting in islice(quick, _ZERO_SHOTS):
        description = described(portfolio.model(setting, n_classes=prepared.n_classes, seed=seed))
        if description is not None:
            config = setting.to_config()
            yield Start(engine=ZERO_SHOT, estimator=setting.kind, config=config, model=description)


def _distinct(starts: Sequence[Start]) -> list[Start]:
    """Each model once: boosting that differs in its rounds only would find the same rounds anew."""
    seen: list[object] = []
    kept = []
    for start in starts:
        setting = None if start.model is None else boosting(start.model)
        what = (
            setting.to_config() if setting is not None else start.model or (start.engine, dict(start.config))
        )
        if what not in seen:
            seen.append(what)
            kept.append(start)
    return kept


def to_begin_with(starts: Sequence[Start], past: Sequence[tuple[Start, Trials]]) -> list[Start]:
    """Where the engines begin when these were tried: each with its best of them, and with those that weren't tried."""
    best: dict[str, tuple[float, Start]] = {}
    for start, trials in past:
        if trials.tried:
            loss = trials.prepared.loss(trials.ranked()[0].score)
            if start.engine not in best or loss < best[start.engine][0]:
                best[start.engine] = (loss, start)
    again = [start for start, _ in past]
    return [*(start for _, start in best.values()), *(start for start in starts if start not in again)]


def trained(tried: Tried, prepared: Prepared, seconds: float) -> Any:
    """A model that was tried again, on all rows; TimeoutError when that takes longer than ``seconds``."""
    assert tried.model is not None
    with unheard_timeouts():
        return within(seconds, fitted, tried.model, prepared.full)


def _attempt(trials: Trials, seed: int, seconds: float) -> tuple[float, float]:
    """Boosting finds its rounds anew: there are more rows than there were."""
    description, prepared = trials.model, trials.prepared
    assert description is not None
    setting = boosting(description)
    if setting is not None:
        used: list[dict[str, Any]] = []
        result = setting_trials.attempt(setting, trials, seed, used, seconds, about=_rounds(description))
        stopped = portfolio.from_config(used[-1]) if used else None
        if stopped is not None:
            trials.model = described(portfolio.model(stopped, n_classes=prepared.n_classes, seed=seed))
        return result

    def fit(fold: Fold) -> Any:
        return fitted(description, fold.train)

    score: tuple[float, float] = within(1.5 * seconds, prepared.cross_validate, fit, trials.keep)
    return score


def _rounds(description: Mapping[str, Any]) -> int | None:
    """What boosting stopped at before; None where that is not known."""
    params = description.get("params", {})
    inside = params.get("regressor")
    if inside:
        return _rounds(inside["model"])
    rounds = params.get("n_estimators")
    return None if rounds is None or rounds >= portfolio.MOST_ROUNDS else int(rounds)


def boosting(description: Mapping[str, Any]) -> Setting | None:
    """A boosted model as a setting of the portfolio without its rounds; None for models of other kinds."""
    name, params = str(description.get("class", "")).rpartition(".")[2], dict(description.get("params", {}))
    if name == "LogTarget" and set(params) == {"regressor"}:
        inside = boosting(params["regressor"]["model"])
        return (
            None
            if inside is None
            else Setting(kind=inside.kind, params={**inside.params, portfolio.LOG: True})
        )
    if name not in _BOOSTED:
        return None
    kind, rate = _BOOSTED[name]
    kept = {name: value for name, value in params.items() if name not in _OURS}
    return Setting(kind=kind, params={"learning_rate": rate, **kept})
