"""The bodies of requests, checked at the border."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from service.policy import Policy
from service.search_policy import known_engines

METRICS = {
    "classification": (
        "roc_auc",
        "log_loss",
        "accuracy",
        "f1",
        "balanced_accuracy",
        "average_precision",
    ),
    "regression": ("rmse", "mae", "r2"),
    "forecasting": ("mase",),
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

ColumnName = Annotated[str, Field(min_length=1, max_length=255)]


def is_name(value: str) -> str:
    """The name, where it is one. Raises ValueError."""
    if not _NAME.fullmatch(value):
        raise ValueError("use letters, digits, '.', '_' and '-' only, starting with a letter or digit")
    return value


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewProject(Body):
    """``POST /v1/projects``."""

    name: str = Field(description="letters, digits, '.', '_' and '-'; at most 100 characters")
    task: Literal["classification", "regression", "forecasting"]
    target: ColumnName
    metric: str | None = None
    classes: list[str | bool | int] | None = Field(
        default=None,
        max_length=1000,
        description="of a classification: all labels there may be. Rows may then come before any label does",
    )
    labels_later: bool = Field(
        default=False, description="of a regression: rows may come before any label does"
    )
    time_column: ColumnName | None = None
    id_column: ColumnName | None = None
    entity_column: ColumnName | None = None
    sensitive: list[ColumnName] = []
    horizon: int | None = Field(default=None, ge=1, le=1000, description="forecasting: steps ahead")
    series_column: ColumnName | None = Field(default=None, description="forecasting: whose value it is")
    covariates: list[ColumnName] = Field(
        default=[], description="forecasting: columns known ahead of their time"
    )
    policy: Policy = Policy()

    @field_validator("name")
    @classmethod
    def _plain(cls, value: str) -> str:
        return is_name(value)

    @field_validator("metric")
    @classmethod
    def _known(cls, value: str | None, info: Any) -> str | None:
        task = info.data.get("task")
        if value is not None and task is not None and value not in METRICS[task]:
            raise ValueError(f"{value!r} is not a metric of {task}; choose from {', '.join(METRICS[task])}")
        return value

    @field_validator("classes")
    @classmethod
    def _of_classification(cls, value: list[Any] | None, info: Any) -> list[Any] | None:
        task = info.data.get("task")
        if value is not None and task is not None and task != "classification":
            raise ValueError(f"{task} predicts a number and has no classes; leave them out")
        return value

    @field_validator("labels_later")
    @classmethod
    def _of_regression(cls, value: bool, info: Any) -> bool:
        task = info.data.get("task")
        if value and task == "classification" and not info.data.get("classes"):
            raise ValueError('name the "classes" of a classification whose labels come later')
        if value and task == "forecasting":
            raise ValueError("a forecast is made of past values: they have to come with the rows")
        return value

    def distinct(self) -> None:
        """Raises ValueError when one column is given two parts."""
        parts = {
            "time_column": self.time_column,
            "id_column": self.id_column,
            "entity_column": self.entity_column,
            "series_column": self.series_column,
        }
        for part, column in parts.items():
            if column is not None and column == self.target:
                raise ValueError(f"{part} and target are both {column!r}")
        if self.target in self.sensitive:
            raise ValueError(f"the target {self.target!r} can't be a sensitive column")
        doubled = {self.target, self.time_column, self.id_column, self.series_column} & set(self.covariates)
        if doubled:
            raise ValueError(f"{sorted(map(str, doubled))[0]!r} can't be a covariate: it has another part")

    def complete(self) -> None:
        """Raises ValueError when a part is missing that the task needs, or is there that it has no use for."""
        ours = {
            "horizon": self.horizon,
            "series_column": self.series_column,
            "covariates": self.covariates or None,
        }
        if self.task != "forecasting":
            for part, value in ours.items():
                if value is not None:
                    raise ValueError(f"{part} is a part of forecasting projects, not of {self.task}")
            return
        for part, value in {"time_column": self.time_column, "horizon": self.horizon}.items():
            if value is None:
                raise ValueError(f"a forecasting project needs {part}")
        if self.entity_column is not None:
            raise ValueError("a forecasting project has a series_column instead of an entity_column")


class ProjectChange(Body):
    """``PATCH /v1/projects/{project}``: parts of the policy, merged into the one in force."""

    policy: dict[str, Any]


class NewRun(Body):
    """``POST …/runs``; what is left out comes from the policy."""

    engines: dict[str, Annotated[float, Field(ge=0)]] | list[str] | None = None
    budget_seconds: float | None = Field(default=None, ge=1, le=86_400)
    reason: str = Field(default="asked for", min_length=1, max_length=500)

    @field_validator("engines")
    @classmethod
    def _known(cls, value: dict[str, float] | list[str] | None) -> dict[str, float] | None:
        if value is None:
            return None
        return known_engines(dict.fromkeys(value, 1.0) if isinstance(value, list) else value)

    @property
    def shares(self) -> dict[str, float] | None:
        return self.engines if isinstance(self.engines, dict) else None


class Reason(Body):
    reason: str = Field(default="asked for", min_length=1, max_length=500)
