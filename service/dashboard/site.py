"""All pages put together, and the files they need."""

from __future__ import annotations

import os
from typing import Any

from fastapi import FastAPI, Response
from fastapi.staticfiles import StaticFiles

from service.dashboard import (
    alerts_page,
    approval_pages,
    card_page,
    changes,
    data_pages,
    entrance,
    forecast_page,
    health_page,
    keys_page,
    labelling_page,
    maturity_page,
    model_pages,
    monitoring_page,
    overview,
    predict_page,
    run_pages,
    schema_page,
    settings_page,
    twins,
)
from service.dashboard.changes import Pulses
from service.dashboard.frame import STATIC
from service.dashboard.kept_glances import KeptGlances

_FOR_EVER = "public, max-age=31536000, immutable"


class _Files(StaticFiles):
    """Files asked for with their content's hash are kept by the browser."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Any,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["X-Content-Type-Options"] = "nosniff"
        if scope["query_string"].startswith(b"v="):
            response.headers["Cache-Control"] = _FOR_EVER
        return response


def install(app: FastAPI) -> None:
    """The dashboard's routes and files in the app. Its paths are those of the API without ``/v1``."""
    app.state.pulses = Pulses()
    app.state.kept_glances = KeptGlances()
    app.mount("/static", _Files(directory=STATIC), name="static")
    for module in (
        entrance,
        overview,
        changes,
        run_pages,
        approval_pages,
        model_pages,
        card_page,
        maturity_page,
        data_pages,
        schema_page,
        predict_page,
        labelling_page,
        monitoring_page,
        forecast_page,
        settings_page,
        keys_page,
        alerts_page,
        health_page,
        twins,
    ):
        app.include_router(module.router)
