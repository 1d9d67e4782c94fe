"""Topics of texts, through the fitted steps, on plain lists of strings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

from automl.compiled.unknown import Unknown, name_of

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTopics:
    """One text column's topics. Missing text is empty text."""

    name: str
    steps: tuple[Any, ...]
    width: int

    def __call__(self, texts: Sequence[str]) -> Floats:
        values: Any = texts
        for step in self.steps:
            values = step.transform(values)
        return np.asarray(values, dtype=np.float64)


def text_topics(step: Any, name: str) -> TextTopics:
    """Raises Unknown for steps that are none of ours."""
    parts = tuple(part for _, part in getattr(step, "steps", ()))
    if tuple(type(part) for part in parts) != (HashingVectorizer, TfidfTransformer, TruncatedSVD):
        raise Unknown(f"the text {name!r} is encoded by {name_of(step)}")
    return TextTopics(name=name, steps=parts, width=int(parts[-1].components_.shape[0]))
