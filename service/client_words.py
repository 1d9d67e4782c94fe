"""The typed words of the client: what is asked with, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias, TypedDict

Row: TypeAlias = Mapping[str, Any]
Json: TypeAlias = dict[str, Any]
OnError: TypeAlias = Literal["refuse", "null"]

ENDED = frozenset({"completed", "failed", "cancelled"})


class Uploaded(TypedDict):
    """What an upload did. ``dataset_version`` is the version it made."""

    batch: int
    rows: int
    labelled: int
    unlabelled: int
    quarantined: int
    dataset_version: int


class Prediction(TypedDict, total=False):
    """One answer: the row's id, the value, and for classification the probability of each class. Where the policy's
    ``answers`` ask for it, also the ``set`` of classes or the ``interval`` that holds the truth, and whether the row is
    ``odd``."""

    id: str
    value: Any
    probabilities: dict[str, float]
    set: list[Any]
    interval: dict[str, float] | None
    odd: bool


class Predictions(TypedDict):
    model_version: int
    predictions: list[Prediction]


class Feedback(TypedDict):
    """``unknown`` ids were never seen; ``conflicting`` ids have another true label already."""

    accepted: int
    unknown: list[str]
    conflicting: list[str]


class RunState(TypedDict, total=False):
    run: int
    status: str
    trigger: Any
    reason: str
    budget_seconds: float
    snapshot: Any
    trials: list[dict[str, Any]]
    verdict: dict[str, Any] | None
    error: str | None


class RunEvent(NamedTuple):
    """What happens in a run: a ``trial``, a change of ``status``, and at last its ``end``."""

    name: str
    data: dict[str, Any]
