"""What is to be learnt: the kind of problem, its target and the metric it is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class TaskKind(StrEnum):
    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    FORECASTING = "forecasting"


Label = str | int | float | bool
"""A label as its owner writes it: a class (text, whole number, boolean) or a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One prediction problem.

    ``classes`` are the known classes in ascending order; a model is trained on their positions
    (0 .. K-1). Empty for regression, and before the first labelled upload; ``declared`` where the owner
    named them beforehand (or, of a regression, said that labels come later), so that rows may come before any label.
    ``time_column`` orders rows (else arrival does), ``entity_column`` names what a split must never
    divide (a customer, a machine), ``sensitive`` columns are kept for auditing and are not features.
    Forecasting looks ``horizon`` steps ahead; ``series_column`` names the series a row belongs to (one where there is
    none), ``covariates`` are columns that are known ahead of their time.

    >>> task = Task(kind=TaskKind.CLASSIFICATION, target="late", metric="roc_auc", classes=(False, True))
    >>> task.encode(True), task.decode(0)
    (1, False)
    >>> Task.from_json(task.to_json()) == task
    True
    """

    kind: TaskKind
    target: str
    metric: str
    classes: tuple[Label, ...] = ()
    time_column: str | None = None
    id_column: str | None = None
    entity_column: str | None = None
    sensitive: tuple[str, ...] = ()
    horizon: int | None = None
    declared: bool = False
    series_column: str | None = None
    covariates: tuple[str, ...] = ()

    @property
    def is_forecasting(self) -> bool:
        return self.kind is TaskKind.FORECASTING

    @property
    def is_classification(self) -> bool:
        return self.kind is TaskKind.CLASSIFICATION

    @property
    def is_binary(self) -> bool:
        return self.is_classification and len(self.classes) == 2

    @property
    def not_features(self) -> frozenset[str]:
        """Columns that no model may learn from."""
        named = (self.target, self.id_column, self.entity_column, *self.sensitive)
        return frozenset(name for name in named if name is not None)

    @property
    def without_ids(self) -> Task:
        """The same problem whose rows need no id of their own."""
        return replace(self, id_column=None)

    def encode(self, label: Label) -> int:
        """The position of a class. Raises ValueError when the class is unknown."""
        return self.classes.index(label)

    def decode(self, position: int) -> Label:
        """The class at a position."""
        return self.classes[position]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "target": self.target,
            "metric": self.metric,
            "classes": list(self.classes),
            "time_column": self.time_column,
            "id_column": self.id_column,
            "entity_column": self.entity_column,
            "sensitive": list(self.sensitive),
            "horizon": self.horizon,
            "series_column": self.series_column,
            "covariates": list(self.covariates),
            "declared": self.declared,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Task:
        """The inverse of :meth:`to_json`; missing optional parts take their defaults."""
        return cls(
            kind=TaskKind(data["kind"]),
            target=data["target"],
            metric=data["metric"],
            classes=tuple(data.get("classes") or ()),
            time_column=data.get("time_column"),
            id_column=data.get("id_column"),
            entity_column=data.get("entity_column"),
            sensitive=tuple(data.get("sensitive") or ()),
            horizon=data.get("horizon"),
            series_column=data.get("series_column"),
            covariates=tuple(data.get("covariates") or ()),
            declared=bool(data.get("declared", False)),
        )
