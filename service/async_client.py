"""The client for programs with an event loop: the calls of :class:`service.client.Incumbent`, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from service import calls
from service.calls import path
from service.client_alerts import Alerts
from service.client_approvals import Approvals
from service.client_cards import Cards
from service.client_words import (
    Feedback,
    Json,
    OnError,
    Predictions,
    Row,
    RunEvent,
    RunState,
    Uploaded,
)
from service.polling import until_ended_async
from service.run_events import EventReader
from service.transport import AsyncTransport, Call, IncumbentError, Progress

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

T = TypeVar("T")
_RECONNECT_SECONDS = 0.5


class AsyncIncumbent:
    """One server, spoken to from an event loop; safe to share between its tasks. An asynchronous context manager.

    The methods, their arguments, answers, errors and retries are those of :class:`service.client.Incumbent`, where they
    are described.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        retries: int = 3,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = calls.address(url)
        self._transport = AsyncTransport(
            self.url, calls.headers(key), timeout=timeout, retries=retries, transport=transport
        )
        self.alerts: Alerts[Awaitable[Json], Awaitable[list[Json]], Awaitable[None]] = Alerts(self._send)
        self.approvals: Approvals[Awaitable[Json], Awaitable[list[Json]]] = Approvals(self._send)
        self.cards: Cards[Awaitable[Json], Awaitable[str]] = Cards(self._send)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._transport.close()

    async def _send(self, call: Call[T]) -> T:
        return await self._transport.send(call)

    # projects

    async def create_project(self, name: str, *, task: str, target: str, **more: Any) -> Json:
        return await self._send(calls.create_project(name, task=task, target=target, **more))

    async def projects(self) -> list[Json]:
        return await self._send(calls.listed("/v1/projects", "projects"))

    async def project(self, name: str) -> Json:
        return await self._send(calls.get(path(name)))

    async def update_project(self, name: str, **changes: Any) -> Json:
        return await self._send(calls.update_project(name, changes))

    async def delete_project(self, name: str) -> None:
        await self._send(calls.delete_project(name))

    # rows

    async def upload(
        self,
        project: str,
        data: Path | str | Sequence[Row] | pd.DataFrame,
        *,
        origin: str | None = None,
        idempotency_key: str | None = None,
        progress: Progress | None = None,
    ) -> Uploaded:
        return await self._send(
            calls.upload(project, data, origin=origin, idempotency_key=idempotency_key, progress=progress)
        )

    async def batches(self, project: str) -> list[Json]:
        return await self._send(calls.listed(path(project, "data"), "batches"))

    async def quarantine(self, project: str) -> list[Json]:
        return await self._send(calls.listed(path(project, "quarantine"), "rows"))

    async def schema(self, project: str) -> Json:
        return await self._send(calls.get(path(project, "schema")))

    async def outliers(
        self, project: str, *, limit: int = 50, source: str | None = None, batch: int | None = None
    ) -> Json:
        return await self._send(calls.outliers(project, limit, source, batch))

    # predictions and truth

    async def predict(
        self,
        project: str,
        rows: Iterable[Row] | pd.DataFrame,
        *,
        explain: bool = False,
        counterfactual: bool = False,
    ) -> Predictions:
        return await self._send(calls.predict(project, rows, explain=explain, counterfactual=counterfactual))

    async def predict_frame(
        self, project: str, frame: pd.DataFrame, *, log: bool = True, errors: OnError = "refuse"
    ) -> pd.DataFrame:
        return await self._send(calls.predict_frame(project, frame, log=log, errors=errors))

    async def forecast(
        self,
        project: str,
        *,
        horizon: int | None = None,
        series: Sequence[str] | None = None,
        covariates: Iterable[Row] | pd.DataFrame = (),
    ) -> Json:
        return await self._send(calls.forecast(project, horizon, series, covariates))

    async def forecasts(self, project: str, *, limit: int = 50) -> list[Json]:
        return await self._send(calls.listed(path(project, f"forecasts?limit={limit}"), "forecasts"))

    async def score_table(
        self, project: str, table: pa.Table, *, log: bool = True, errors: OnError = "refuse"
    ) -> pa.Table:
        return await self._send(calls.score_table(project, table, log=log, errors=errors))

    async def feedback(
        self,
        project: str,
        labels: Mapping[str, Any] | Iterable[tuple[str, Any]] | pd.Series[Any],
        *,
        origin: str | None = None,
        idempotency_key: str | None = None,
    ) -> Feedback:
        return await self._send(
            calls.feedback(project, labels, origin=origin, idempotency_key=idempotency_key)
        )

    # labels

    async def labelling_queue(self, project: str, *, annotator: str, limit: int = 20) -> Json:
        return await self._send(calls.labelling_queue(project, annotator, limit))

    async def answer_rows(self, project: str, answers: Mapping[str, Any], *, annotator: str) -> Json:
        return await self._send(calls.answer_rows(project, answers, annotator))

    async def label_sources(self, project: str) -> Json:
        return await self._send(calls.get(path(project, "label-sources")))

    async def revoke_labels(
        self, project: str, *, reason: str, idempotency_key: str | None = None, **criteria: Any
    ) -> Json:
        return await self._send(calls.revoke_labels(project, reason, criteria, idempotency_key))

    # runs

    async def start_run(
        self,
        project: str,
        *,
        engines: Mapping[str, float] | Sequence[str] | None = None,
        budget_seconds: float | None = None,
        reason: str | None = None,
    ) -> RunState:
        return await self._send(calls.start_run(project, engines, budget_seconds, reason))

    async def runs(self, project: str, *, limit: int = 50) -> list[Json]:
        return await self._send(calls.listed(path(project, f"runs?limit={limit}"), "runs"))

    async def run(self, project: str, number: int) -> RunState:
        return await self._send(calls.run(project, number))

    async def cancel_run(self, project: str, number: int) -> RunState:
        return await self._send(calls.cancel_run(project, number))

    def watch(self, project: str, number: int, *, every: float = 0.5) -> AsyncIterator[RunState]:
        return until_ended_async(lambda: self.run(project, number), every)

    async def events(self, project: str, number: int) -> AsyncIterator[RunEvent]:
        reader = EventReader()
        while True:
            try:
                async for line in self._transport.lines(path(project, "runs", number, "events")):
                    event = reader.take(line)
                    if event is not None:
                        yield event
                        if event.name == "end":
                            return
            except IncumbentError as error:
                if error.code != "unreachable":
                    raise
                await self.ready()
            reader.restart()
            await asyncio.sleep(_RECONNECT_SECONDS)

    # replays

    async def start_replay(self, project: str, file: Path | str | None = None, **options: Any) -> Json:
        return await self._send(calls.start_replay(project, file, options))

    async def replays(self, project: str) -> list[Json]:
        return await self._send(calls.listed(path(project, "replays"), "replays"))

    async def replay(self, project: str, number: int) -> Json:
        return await self._send(calls.get(path(project, "replays", number)))

    async def cancel_replay(self, project: str, number: int) -> Json:
        return await self._send(calls.cancel_replay(project, number))

    def watch_replay(self, project: str, number: int, *, every: float = 0.5) -> AsyncIterator[Json]:
        return until_ended_async(lambda: self.replay(project, number), every)

    # models

    async def models(self, project: str) -> list[Json]:
        return await self._send(calls.listed(path(project, "models"), "models"))

    async def model(self, project: str, version: int) -> Json:
        return await self._send(calls.get(path(project, "models", version)))

    async def promote(self, project: str, version: int, *, reason: str | None = None) -> Json:
        return await self._send(calls.promote(project, version, reason))

    async def rollback(self, project: str, *, reason: str | None = None) -> Json:
        return await self._send(calls.rollback(project, reason))

    async def champion(self, project: str) -> Json:
        return await self._send(calls.get(path(project, "champion")))

    async def promotions(self, project: str, *, limit: int = 50) -> list[Json]:
        return await self._send(calls.listed(path(project, f"promotions?limit={limit}"), "promotions"))

    async def decisions(self, project: str, *, limit: int = 50) -> list[Json]:
        return await self._send(calls.listed(path(project, f"decisions?limit={limit}"), "decisions"))

    # the look of things

    async def drift(self, project: str) -> Json:
        return await self._send(calls.get(path(project, "drift")))

    async def performance(self, project: str) -> Json:
        return await self._send(calls.get(path(project, "performance")))

    async def fairness(self, project: str) -> Json:
        return await self._send(calls.get(path(project, "fairness")))

    async def monitoring(self, project: str) -> Json:
        return await self._send(calls.get(path(project, "monitoring")))

    async def energy(self, project: str) -> Json:
        """What searches, replays and predictions used, measured or estimated."""
        return await self._send(calls.get(path(project, "energy")))

    async def health(self) -> Json:
        return await self._send(calls.get("/healthz"))

    async def ready(self) -> Json:
        return await self._send(calls.get("/readyz"))
