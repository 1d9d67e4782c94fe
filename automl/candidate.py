"""A search's best pipeline, free of the engine that found it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sklearn.pipeline import Pipeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An engine's best: a fitted scikit-learn pipeline that takes raw rows.

    ``score`` is the cross-validated metric in its own sign. ``config`` is what a later search of the same
    engine can start from. ``requirements`` maps distribution names to the versions the pipeline was made
    with and needs to be read again. ``partial``: trained on the rows of one fold only, because training on all
    did not end in time. ``recipe`` says of each model in it (``engine``, ``estimator``, ``config``, ``weight``,
    ``seconds`` of training, ``model``) what a later search needs to begin with it; parts of weight 0 are in no model, but
    were good.
    """

    engine: str
    estimator: str
    pipeline: Pipeline
    score: float
    config: Mapping[str, Any] = field(default_factory=dict)
    requirements: Mapping[str, str] = field(default_factory=dict)
    partial: bool = False
    recipe: Sequence[Mapping[str, Any]] = ()
