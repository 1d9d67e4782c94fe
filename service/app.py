"""The only wiring: settings in, application out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from starlette.concurrency import run_in_threadpool
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from automl.engines import catalogue
from registry.store import Registry
from service.alerts.room import AlertRoom
from service.alerts.storage_watch import StorageWatch
from service.api import (
    alerts,
    approvals,
    attributions,
    cards,
    data,
    docs,
    energy,
    engines,
    forecasts,
    health,
    keys,
    label_sources,
    labeling,
    labels,
    maturity,
    models,
    monitoring,
    open_inference,
    outliers,
    predictions,
    probation,
    projects,
    replays,
    runs,
)
from service.api.context import Context, project_of
from service.approving import Approving
from service.attribution_watch import AttributionWatch
from service.clock import Clock
from service.dashboard import site as dashboard
from service.dashboard.turns import breathe
from service.deployment import Deployment
from service.drift_watch import DriftWatch
from service.energy.serving import serving_wh
from service.estimate_watch import EstimateWatch
from service.explaining import Explaining
from service.fairness_watch import FairnessWatch
from service.forecasts.asking import Forecasting
from service.forecasts.watch import ForecastWatch
from service.lineage.followers import followers
from service.maintenance import Maintenance
from service.metrics import Metrics
from service.observation import Observation
from service.outlier_watch import OutlierWatch
from service.outliers import Measures
from service.probation import ProbationWatch
from service.problems import install_problems
from service.quality_watch import QualityWatch
from service.replay.room import ReplayRoom
from service.scheduler import Scheduler
from service.serving import Serving
from service.settings import Settings
from service.shadow import Shadow
from service.standing_metrics import StandingMetrics
from service.wire.front import Front, Receive, Scope, Send
from service.wire.lanes import Lanes
from service.workshop import Workshop

SHADOW_FLUSHES = 5
"""Shadow answers are stored once in so many flushes of the prediction log."""


def _now() -> datetime:
    return datetime.now(UTC)


class Application(FastAPI):
    """All routes, and in front of them the short way for prediction calls."""

    def __init__(self, **words: Any) -> None:
        super().__init__(**words)
        # What a proxy says of the caller is for the routes alone; the server leaves it to them (proxy_headers=False).
        trusted = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")
        self.front = Front(ProxyHeadersMiddleware(super().__call__, trusted))  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.front(scope, receive, send)


def create_app(settings: Settings | None = None, *, clock: Clock = _now) -> FastAPI:
    """The service as an ASGI application. Everything it needs is opened when it starts and let go when it stops."""
    chosen = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: Application) -> AsyncIterator[None]:
        context = await run_in_threadpool(compose, chosen, clock)
        app.state.context = context
        context.registry.db.before_read = breathe
        app.state.lanes = app.front.lanes = Lanes(context)
        app.state.explaining = Explaining()
        context.serving.start()
        context.observation.start()
        context.shadow.start()
        context.scheduler.start()
        # What is installed is read beside the first calls, so that no policy waits for it on the loop.
        looked = asyncio.create_task(run_in_threadpool(catalogue.names))
        if context.replays is not None:
            context.replays.start()
        if context.alerts is not None:
            context.alerts.start()
        for follower in context.followers:
            follower.start()
        try:
            yield
        finally:
            await looked
            if context.replays is not None:
                await run_in_threadpool(context.replays.stop)
            for follower in context.followers:
                await run_in_threadpool(follower.stop)
            if context.alerts is not None:
                await run_in_threadpool(context.alerts.stop)
            await run_in_threadpool(context.scheduler.stop)
            await run_in_threadpool(context.serving.stop)
            if context.forecasting is not None:
                context.forecasting.stop()
            app.front.lanes = None
            await run_in_threadpool(app.state.lanes.close)
            await run_in_threadpool(app.state.explaining.close)
            await run_in_threadpool(context.shadow.stop)
            await run_in_threadpool(context.observation.stop)
            context.registry.close()

    app = Application(
        title="Incumbent",
        version=version("incumbent"),
        summary="Serves a champion, learns from what comes in, and changes it only for something proven better.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    install_problems(app)
    dashboard.install(app)
    app.include_router(docs.router)
    app.include_router(health.router, tags=["health"])
    app.include_router(engines.router, prefix="/v1", tags=["engines"])
    app.include_router(keys.router, prefix="/v1/keys", tags=["keys"])
    app.include_router(open_inference.router, prefix="/v2", tags=["open inference protocol"])
    app.include_router(alerts.router, prefix="/v1/alerts", tags=["alerts"])
    app.include_router(
        alerts.router,
        prefix="/v1/projects/{project}/alerts",
        dependencies=[Depends(project_of)],
        tags=["alerts"],
    )
    for module in (
        projects,
        data,
        predictions,
        forecasts,
        labels,
        labeling,
        label_sources,
        runs,
        models,
        approvals,
        energy,
        cards,
        maturity,
        monitoring,
        attributions,
        outliers,
        probation,
        replays,
    ):
        tag = module.__name__.rpartition(".")[2]
        app.include_router(module.router, prefix="/v1/projects", tags=[tag])
    return app


def compose(settings: Settings, clock: Clock) -> Context:
    """Open the registry, finish what a killed process left half done, and put the parts together."""
    home = settings.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    registry = Registry.open(home, database_url=settings.database_url)
    registry.datasets.recover(clock())
    metrics = Metrics()

    def note_swap(deployment: Deployment) -> None:
        metrics.champion.labels(deployment.project).set(deployment.version)
        scheduler.nudge()

    serving = Serving(
        registry,
        node=settings.node,
        poll_seconds=settings.poll_seconds,
        clock=clock,
        on_swap=note_swap,
        most_shadows=settings.max_shadows,
    )
    shadow = Shadow(
        registry,
        lambda: serving.shadows,
        clock=clock,
        metrics=metrics,
        flush_seconds=settings.flush_seconds * SHADOW_FLUSHES,
        queue_rows=settings.shadow_queue_rows,
    )
    probation_watch = ProbationWatch(
        registry, settings, shadow=shadow, clock=clock, metrics=metrics, on_change=serving.nudge
    )
    drift_watch = DriftWatch(
        registry, settings, clock=clock, metrics=metrics, on_report=lambda: scheduler.nudge()
    )
    quality_watch = QualityWatch(registry, clock=clock, metrics=metrics, on_report=lambda: scheduler.nudge())
    estimate_watch = EstimateWatch(
        registry,
        clock=clock,
        metrics=metrics,
        served=lambda name: serving.champions.get(name),
        on_report=lambda: scheduler.nudge(),
    )
    forecast_watch = ForecastWatch(
        registry, clock=clock, metrics=metrics, on_report=lambda: scheduler.nudge()
    )
    measures = Measures(registry)
    outlier_watch = OutlierWatch(registry, measures, clock=clock, metrics=metrics)
    attribution_watch = AttributionWatch(registry, settings, clock=clock, metrics=metrics)
    fairness_watch = FairnessWatch(
        registry, node=settings.node, clock=clock, on_report=lambda: scheduler.nudge()
    )
    workshop = Workshop(
        registry,
        settings,
        clock=clock,
        metrics=metrics,
        on_promotion=serving.nudge,
        on_end=lambda: scheduler.nudge(),
    )
    approving = Approving(registry, clock=clock, metrics=metrics, on_change=serving.nudge)
    maintenance = Maintenance(registry, settings, clock=clock)
    scheduler = Scheduler(
        registry,
        settings,
        clock=clock,
        metrics=metrics,
        workshop=workshop,
        drift_watch=drift_watch,
        quality_watch=quality_watch,
        probation_watch=probation_watch,
        estimate_watch=estimate_watch,
        forecast_watch=forecast_watch,
        outlier_watch=outlier_watch,
        attribution_watch=attribution_watch,
        fairness_watch=fairness_watch,
        approving=approving,
        maintain=maintenance.run,
    )
    observation = Observation(
        registry,
        home,
        flush_seconds=settings.flush_seconds,
        clock=clock,
        most_bytes=settings.max_journal_bytes,
    )
    standing = StandingMetrics(
        registry,
        metrics,
        home,
        clock=clock,
        log_bytes=lambda: observation.waiting_bytes,
        most_log_bytes=settings.max_journal_bytes,
        serving_wh=lambda: serving_wh(settings),
    )
    metrics.registry.register(standing)
    metrics.refresh = standing.read
    storage = StorageWatch(
        registry,
        home,
        node=settings.node,
        clock=clock,
        least_free=settings.min_free_bytes,
        log_bytes=lambda: observation.waiting_bytes,
        most_log_bytes=settings.max_journal_bytes,
    )
    return Context(
        settings=settings,
        registry=registry,
        clock=clock,
        serving=serving,
        observation=observation,
        shadow=shadow,
        scheduler=scheduler,
        metrics=metrics,
        approving=approving,
        keys_required=settings.require_keys or not settings.on_loopback,
        measures=measures,
        replays=ReplayRoom(registry, settings, clock=clock),
        forecasting=Forecasting(registry, settings, clock=clock),
        alerts=AlertRoom(registry, settings, clock=clock, metrics=metrics, storage=storage),
        followers=followers(registry, settings, clock=clock),
    )
