"""A typed client of the HTTP API, for programs that use Incumbent and for its own command line."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from service import calls
from service.calls import DEFAULT_URL, path
from service.client_alerts import Alerts
from service.client_approvals import Approvals
from service.client_cards import Cards
from service.client_words import (
    ENDED,
    Feedback,
    Json,
    OnError,
    Prediction,
    Predictions,
    Row,
    RunEvent,
    RunState,
    Uploaded,
)
from service.polling import until_ended
from service.run_events import EventReader
from service.transport import Call, IncumbentError, Progress, Transport

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from service.async_client import AsyncIncumbent as AsyncIncumbent

__all__ = [
    "DEFAULT_URL",
    "ENDED",
    "AsyncIncumbent",
    "Feedback",
    "Incumbent",
    "IncumbentError",
    "Prediction",
    "Predictions",
    "RunEvent",
    "RunState",
    "Uploaded",
]

T = TypeVar("T")
_RECONNECT_SECONDS = 0.5


def __getattr__(name: str) -> Any:
    if name == "AsyncIncumbent":  # who only waits needs no event loop
        from service.async_client import AsyncIncumbent

        return AsyncIncumbent
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Incumbent:
    """One server, spoken to synchronously; safe to share between threads. A context manager.

    ``url`` and ``key`` fall back on ``INCUMBENT_URL`` and ``INCUMBENT_KEY``. A request that certainly did
    nothing (no connection, or the server said it is busy) is sent again up to ``retries`` times; one whose
    answer was lost is sent again only when that changes nothing: reads, and uploads and feedback, which carry
    an ``Idempotency-Key``. Every method raises IncumbentError when the server refuses or stays out of reach.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = calls.address(url)
        self._transport = Transport(
            self.url, calls.headers(key), timeout=timeout, retries=retries, transport=transport
        )
        self.alerts: Alerts[Json, list[Json], None] = Alerts(self._send)
        self.approvals: Approvals[Json, list[Json]] = Approvals(self._send)
        self.cards: Cards[Json, str] = Cards(self._send)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def _send(self, call: Call[T]) -> T:
        return self._transport.send(call)

    # projects

    def create_project(self, name: str, *, task: str, target: str, **more: Any) -> Json:
        """``more``: metric, classes, labels_later, time_column, id_column, entity_column, sensitive, policy."""
        return self._send(calls.create_project(name, task=task, target=target, **more))

    def projects(self) -> list[Json]:
        return self._send(calls.listed("/v1/projects", "projects"))

    def project(self, name: str) -> Json:
        return self._send(calls.get(path(name)))

    def update_project(self, name: str, **changes: Any) -> Json:
        """``policy``: its parts that change; what isn't named stays."""
        return self._send(calls.update_project(name, changes))

    def delete_project(self, name: str) -> None:
        self._send(calls.delete_project(name))

    # rows

    def upload(
        self,
        project: str,
        data: Path | str | Sequence[Row] | pd.DataFrame,
        *,
        origin: str | None = None,
        idempotency_key: str | None = None,
        progress: Progress | None = None,
    ) -> Uploaded:
        """Stores a file (CSV, Parquet, JSON Lines, each also .gz), a data frame or rows, with or without their labels;
        ``origin`` names who gave these. ``progress`` is told how many bytes of how many of a file are on their way."""
        return self._send(
            calls.upload(project, data, origin=origin, idempotency_key=idempotency_key, progress=progress)
        )

    def batches(self, project: str) -> list[Json]:
        return self._send(calls.listed(path(project, "data"), "batches"))

    def quarantine(self, project: str) -> list[Json]:
        return self._send(calls.listed(path(project, "quarantine"), "rows"))

    def schema(self, project: str) -> Json:
        return self._send(calls.get(path(project, "schema")))

    def outliers(
        self, project: str, *, limit: int = 50, source: str | None = None, batch: int | None = None
    ) -> Json:
        """The rows most unlike those trained on, with the columns that make them so."""
        return self._send(calls.outliers(project, limit, source, batch))

    # predictions and truth

    def predict(
        self,
        project: str,
        rows: Iterable[Row] | pd.DataFrame,
        *,
        explain: bool = False,
        counterfactual: bool = False,
    ) -> Predictions:
        """The champion's answers, in the order of the rows. With ``explain`` each has an ``explanation``: what each column
        added; with ``counterfactual`` (50 rows at most) that says too which one or two columns would have had to be
        otherwise for another class."""
        return self._send(calls.predict(project, rows, explain=explain, counterfactual=counterfactual))

    def predict_frame(
        self, project: str, frame: pd.DataFrame, *, log: bool = True, errors: OnError = "refuse"
    ) -> pd.DataFrame:
        """The champion's answers to a data frame of any length, with its index: ``id``, ``value``, of a classification
        ``probability_<class>`` each; ``attrs`` hold ``model_version`` and ``classes``. With ``errors="null"`` rows at
        fault are nulls with an ``error``. Without ``log`` the rows stay out of the prediction log."""
        return self._send(calls.predict_frame(project, frame, log=log, errors=errors))

    def forecast(
        self,
        project: str,
        *,
        horizon: int | None = None,
        series: Sequence[str] | None = None,
        covariates: Iterable[Row] | pd.DataFrame = (),
    ) -> Json:
        """Forecasts of the champion, with intervals, for the steps after the end of each series (of all, where none is
        named); ``covariates`` are rows that tell what is known of these steps."""
        return self._send(calls.forecast(project, horizon, series, covariates))

    def forecasts(self, project: str, *, limit: int = 50) -> list[Json]:
        """The newest stored forecasts with the actual values that came."""
        return self._send(calls.listed(path(project, f"forecasts?limit={limit}"), "forecasts"))

    def score_table(
        self, project: str, table: pa.Table, *, log: bool = True, errors: OnError = "refuse"
    ) -> pa.Table:
        """The same for an Arrow table, with ``probabilities`` (the classes are in the schema's metadata)."""
        return self._send(calls.score_table(project, table, log=log, errors=errors))

    def feedback(
        self,
        project: str,
        labels: Mapping[str, Any] | Iterable[tuple[str, Any]] | pd.Series[Any],
        *,
        origin: str | None = None,
        idempotency_key: str | None = None,
    ) -> Feedback:
        """Tells the truth about rows, by their ids (of a series: its index)."""
        return self._send(calls.feedback(project, labels, origin=origin, idempotency_key=idempotency_key))

    # labels

    def labelling_queue(self, project: str, *, annotator: str, limit: int = 20) -> Json:
        """The rows most worth this person's label; they are theirs for a while."""
        return self._send(calls.labelling_queue(project, annotator, limit))

    def answer_rows(self, project: str, answers: Mapping[str, Any], *, annotator: str) -> Json:
        """A person's labels by row id; None is a skip."""
        return self._send(calls.answer_rows(project, answers, annotator))

    def label_sources(self, project: str) -> Json:
        """Labels by source: counts, agreement, and which source went bad."""
        return self._send(calls.get(path(project, "label-sources")))

    def revoke_labels(
        self, project: str, *, reason: str, idempotency_key: str | None = None, **criteria: Any
    ) -> Json:
        """Let the labels of a ``source``, an ``origin`` or a ``teacher`` (``since`` a time) count no longer."""
        return self._send(calls.revoke_labels(project, reason, criteria, idempotency_key))

    # runs

    def start_run(
        self,
        project: str,
        *,
        engines: Mapping[str, float] | Sequence[str] | None = None,
        budget_seconds: float | None = None,
        reason: str | None = None,
    ) -> RunState:
        """Starts a search now. One runs at a time a project: 409 ``run_active`` when one does."""
        return self._send(calls.start_run(project, engines, budget_seconds, reason))

    def runs(self, project: str, *, limit: int = 50) -> list[Json]:
        """Newest first, without their trials."""
        return self._send(calls.listed(path(project, f"runs?limit={limit}"), "runs"))

    def run(self, project: str, number: int) -> RunState:
        return self._send(calls.run(project, number))

    def cancel_run(self, project: str, number: int) -> RunState:
        return self._send(calls.cancel_run(project, number))

    def watch(self, project: str, number: int, *, every: float = 0.5) -> Iterator[RunState]:
        """The run's state each ``every`` seconds until it has ended; the last one given is the end."""
        return until_ended(lambda: self.run(project, number), every)

    def events(self, project: str, number: int) -> Iterator[RunEvent]:
        """What happens in a run, as it happens, from its start to its ``end``. A connection that is lost is made again, as
        long as the server can be reached."""
        reader = EventReader()
        while True:
            try:
                for line in self._transport.lines(path(project, "runs", number, "events")):
                    event = reader.take(line)
                    if event is not None:
                        yield event
                        if event.name == "end":
                            return
            except IncumbentError as error:
                if error.code != "unreachable":
                    raise
                self.ready()
            reader.restart()
            time.sleep(_RECONNECT_SECONDS)

    # replays

    def start_replay(self, project: str, file: Path | str | None = None, **options: Any) -> Json:
        """Queues a policy replay of the project's own rows, or of a file. ``options``: see docs/replay.md."""
        return self._send(calls.start_replay(project, file, options))

    def replays(self, project: str) -> list[Json]:
        """Newest first, without their results."""
        return self._send(calls.listed(path(project, "replays"), "replays"))

    def replay(self, project: str, number: int) -> Json:
        return self._send(calls.get(path(project, "replays", number)))

    def cancel_replay(self, project: str, number: int) -> Json:
        return self._send(calls.cancel_replay(project, number))

    def watch_replay(self, project: str, number: int, *, every: float = 0.5) -> Iterator[Json]:
        """The replay each ``every`` seconds until it has ended; the last one given is the end."""
        return until_ended(lambda: self.replay(project, number), every)

    # models, and how they do

    def models(self, project: str) -> list[Json]:
        return self._send(calls.listed(path(project, "models"), "models"))

    def model(self, project: str, version: int) -> Json:
        return self._send(calls.get(path(project, "models", version)))

    def promote(self, project: str, version: int, *, reason: str | None = None) -> Json:
        return self._send(calls.promote(project, version, reason))

    def rollback(self, project: str, *, reason: str | None = None) -> Json:
        return self._send(calls.rollback(project, reason))

    def champion(self, project: str) -> Json:
        return self._send(calls.get(path(project, "champion")))

    def promotions(self, project: str, *, limit: int = 50) -> list[Json]:
        """The ledger, newest first."""
        return self._send(calls.listed(path(project, f"promotions?limit={limit}"), "promotions"))

    def decisions(self, project: str, *, limit: int = 50) -> list[Json]:
        """Why a run was started or not, newest first."""
        return self._send(calls.listed(path(project, f"decisions?limit={limit}"), "decisions"))

    def drift(self, project: str) -> Json:
        return self._send(calls.get(path(project, "drift")))

    def performance(self, project: str) -> Json:
        return self._send(calls.get(path(project, "performance")))

    def fairness(self, project: str) -> Json:
        """The champion's rates and errors by group of the audited columns, as judged and live."""
        return self._send(calls.get(path(project, "fairness")))

    def monitoring(self, project: str) -> Json:
        return self._send(calls.get(path(project, "monitoring")))

    def energy(self, project: str) -> Json:
        """What searches, replays and predictions used, measured or estimated."""
        return self._send(calls.get(path(project, "energy")))

    def health(self) -> Json:
        """That the server answers, its version and its time."""
        return self._send(calls.get("/healthz"))

    def ready(self) -> Json:
        return self._send(calls.get("/readyz"))
