"""What is said of a row: a base, and what each column of the caller adds to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]


class Scale(StrEnum):
    """What is added up.

    ``log-odds``: of the last of two classes. ``margin``: of the predicted one of more classes, before the softmax.
    ``probability``: the same classes where a model has no such score. ``value``: a regression's answer.
    """

    LOG_ODDS = "log-odds"
    MARGIN = "margin"
    PROBABILITY = "probability"
    VALUE = "value"


class Method(StrEnum):
    """Tree SHAP and linear terms are exact; sampled Shapley values are estimates whose sum is exact."""

    TREES = "tree shap"
    LINEAR = "linear terms"
    SAMPLED = "sampled shapley"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanations:
    """Of n rows: ``base[i] + contributions[i].sum() == raw[i]``, up to rounding.

    ``contributions`` has one column for each of ``columns``; ``positions`` are the classes that are explained, None for
    a regression.
    """

    columns: tuple[str, ...]
    scale: Scale
    method: Method
    raw: Floats
    base: Floats
    contributions: Floats
    positions: Positions | None

    def to_json(self, row: int, values: Sequence[Any], classes: Sequence[Any]) -> dict[str, Any]:
        """One row's, the largest contribution first. ``values`` are the row's in the order of ``columns``."""
        parts = self.contributions[row]
        order = np.argsort(-np.abs(parts), kind="stable")
        said: dict[str, Any] = {
            "base": float(self.base[row]),
            "scale": self.scale.value,
            "method": self.method.value,
        }
        if self.positions is not None:
            said["class"] = classes[int(self.positions[row])]
        said["contributions"] = [
            {"column": self.columns[at], "value": values[at], "contribution": float(parts[at])}
            for at in order
        ]
        return said
