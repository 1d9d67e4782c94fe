"""The AutoML engines, by name. An engine's library is imported only when :func:`engine` asks for it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import cast

from automl.engines.protocol import Engine

ENGINES: Mapping[str, str] = {
    "portfolio": "automl.engines.portfolio_engine:PortfolioEngine",
    "flaml": "automl.engines.flaml_engine:FlamlEngine",
    "tpot": "automl.engines.tpot_engine:TpotEngine",
}
"""Engine name to ``module:Class``."""


def engine(name: str) -> Engine:
    """The engine of that name; imports its library, which takes seconds.

    Raises ValueError, naming the known engines, when there is none.
    """
    try:
        module, _, cls = ENGINES[name].partition(":")
    except KeyError:
        raise ValueError(f"no engine {name!r}; known are {', '.join(sorted(ENGINES))}") from None
    return cast(Engine, getattr(importlib.import_module(module), cls)())
