"""Champion and challenger at the same later origins, in a process of its own."""

from __future__ import annotations

import json
import time
from typing import Any

from automl.forecasting.judging import judged
from automl.forecasting.live import spread
from automl.forecasting.model import ForecastModel
from automl.judge import Rules, spent_alpha
from service.desk import Desk
from service.sealed import seal, unseal
from service.stages.names import CHAMPION_FILE, FORECAST_FILE
from service.stages.series import known_panel


def run(desk: Desk, detail: str) -> None:
    """Leaves ``verdict.json`` and, sealed, the challenger that has its judged misses to calibrate its intervals on too."""
    spec = desk.spec
    stored = unseal(desk.folder / spec["arms"]["true_only"], desk.key)
    challenger = model_in(stored)
    champion = None
    if spec["champion"] is not None:
        champion = model_in(unseal(desk.folder / CHAMPION_FILE, desk.key))
    desk.ready()
    panel, _ = known_panel(desk)
    whole, look = spec["rules"]["alpha"], spec["look"]
    alpha = spent_alpha(whole, look)
    found = judged(
        panel,
        challenger,
        champion,
        Rules(**{**spec["rules"], "alpha": alpha, "next_alpha": spent_alpha(whole, look + 1)}),
        cut=json.loads((desk.folder / "snapshot.json").read_text())["position"],
        coverage=spec["coverage"],
        seed=spec["seed"],
        size_bytes=len(stored),
        foreign=foreign_of(),
    )
    verdict = found.verdict
    report: dict[str, Any] = {
        **verdict.to_json(),
        "alpha_spent": alpha,
        "look": look,
        "origins": [panel.step.time(position) for position in found.origins],
        "series": len(panel.series),
        "interval_coverage": found.covered,
    }
    knowing = challenger.knowing(found.misses)
    report["spread"] = spread(knowing.misses)
    data = json.dumps(knowing.to_json()).encode()
    seal(desk.folder / FORECAST_FILE, data, desk.key)
    (desk.folder / "verdict.json").write_text(json.dumps(report, default=str))
    desk.tell("verdict", outcome=verdict.outcome.value, reason=verdict.reason)


def model_in(data: bytes) -> ForecastModel:
    """A model as the blob store keeps it."""
    return ForecastModel.from_json(json.loads(data))


def foreign_of(seconds: float = 600.0) -> dict[str, Any]:
    """Forecasters of engines, within so many seconds from now."""
    from automl.engines.flaml_forecasts import KIND, forecaster

    end = time.monotonic() + seconds
    return {KIND: forecaster(lambda: end - time.monotonic())}
