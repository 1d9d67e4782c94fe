"""The AutoML engines, by name. An engine's library is imported only when :func:`engine` asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.engines import catalogue

if TYPE_CHECKING:
    from automl.engines.searcher import Searcher


def engine(name: str, *, max_trials: int | None = None) -> Searcher:
    """The engine of that name; imports its library, which takes seconds.

    Raises NoSuchEngine, naming those there are, or BrokenEngine, saying whose it is and what is wrong.
    """
    return catalogue.load(name, max_trials=max_trials)
