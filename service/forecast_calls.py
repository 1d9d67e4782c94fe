"""The calls of the client that forecast."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote


class ForecastCalls(ABC):
    """What a client of forecasting projects can ask."""

    @abstractmethod
    def _get(self, url: str) -> dict[str, Any]: ...

    @abstractmethod
    def _post(self, url: str, body: Mapping[str, Any]) -> dict[str, Any]: ...

    def forecast(
        self,
        project: str,
        *,
        horizon: int | None = None,
        series: Sequence[str] | None = None,
        covariates: Iterable[Mapping[str, Any]] = (),
    ) -> Mapping[str, Any]:
        """Forecasts of the champion, with intervals, for the steps after the end of each series (of all, where none is
        named); ``covariates`` are rows that tell what is known of these steps."""
        asked = {"horizon": horizon, "series": series, "covariates": list(covariates) or None}
        body = {name: value for name, value in asked.items() if value is not None}
        return self._post(f"{_path(project)}/forecast", body)

    def forecasts(self, project: str, *, limit: int = 50) -> Sequence[Mapping[str, Any]]:
        """The newest stored forecasts with the actual values that came."""
        return cast(
            list[Mapping[str, Any]], self._get(f"{_path(project)}/forecasts?limit={limit}")["forecasts"]
        )


def _path(project: str) -> str:
    return f"/v1/projects/{quote(project, safe='')}"
