"""What an engine has to bring, and the search that follows from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from automl.candidate import Candidate
from automl.engines.allowance import Allowance
from automl.engines.evaluation import Prepared, prepare
from automl.engines.protocol import Problem, Start, Trial
from automl.engines.trials import SearchOver, Trials, Tried, quiet


class Searcher(ABC):
    """An engine that proposes configurations and trains one of them on all rows: the rest is done here.

    In a run all engines of the policy propose side by side, on the same folds, and a winner (or the members of a blend)
    is trained by the engine it is from; :meth:`search` is that of one engine alone. A subclass sets ``name``, by which
    policies call it.
    """

    name: ClassVar[str]

    def __init__(self, *, max_trials: int | None = None) -> None:
        self._max_trials = max_trials

    @abstractmethod
    def propose(self, trials: Trials, *, seed: int, starts: Sequence[Start] = ()) -> None:
        """Give :meth:`automl.engines.trials.Trials.run` one configuration after another, ``starts`` of this engine's
        first, until it raises SearchOver, which may be passed on or end this quietly."""

    @abstractmethod
    def refit(self, tried: Tried, prepared: Prepared, seconds: float, *, seed: int) -> Any:
        """The model of ``tried`` trained on all rows of ``prepared``, within so many seconds; raises TimeoutError where
        that can't be."""

    def search(
        self,
        problem: Problem,
        *,
        budget_seconds: float,
        seed: int,
        report: Callable[[Trial], None],
        starts: Sequence[Start] = (),
        offer: Callable[[Candidate], None] = lambda candidate: None,
        begin: Callable[[], None] = lambda: None,
    ) -> Candidate:
        """See :class:`automl.engines.protocol.Engine`."""
        with quiet():
            prepared = prepare(problem, seed=seed)
            begin()
            trials = Trials(
                engine=self.name,
                prepared=prepared,
                allowance=Allowance(budget_seconds=budget_seconds),
                report=report,
                offer=offer,
                max_trials=self._max_trials,
            )
            with suppress(SearchOver):
                self.propose(trials, seed=seed, starts=starts)
            return trials.winner(lambda tried, seconds: self.refit(tried, prepared, seconds, seed=seed))
