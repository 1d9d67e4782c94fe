"""What answering costs, estimated: processor seconds of the serving process times an assumed power."""

from __future__ import annotations

import os
import resource
from typing import Any

from service.metrics import Metrics
from service.settings import Settings

WATTS_PER_CORE = 3.5
"""A busy core of a shared machine, where ``INCUMBENT_WATTS_PER_CORE`` is not set: near what Cloud Carbon Footprint takes
for a fully used core of the large clouds (https://www.cloudcarbonfootprint.org/docs/methodology/)."""
_METHOD = (
    "processor seconds of this server process since it started (user and system, all threads, also those of ticks and "
    "pages), times the watts of a busy core; without memory, network and what the machine uses idle"
)


def serving_energy(metrics: Metrics, settings: Settings, *, g_per_kwh: float | None) -> dict[str, Any]:
    """Of the process that is asked, over all projects. ``per_1000`` is what a thousand predictions came to: all that the
    process did is put on them."""
    wh = serving_wh(settings)
    predictions = _count(metrics)
    per_1000 = wh / predictions * 1000 if predictions else None
    return {
        "source": "estimated",
        "method": _METHOD,
        "node": settings.node,
        "process": os.getpid(),
        "processor_seconds": round(_processor_seconds(), 3),
        "watts_per_core": watts_per_core(settings),
        "predictions": predictions,
        "wh": wh,
        "wh_per_1000_predictions": per_1000,
        "gco2e_per_1000_predictions": _grams(per_1000, g_per_kwh),
    }


def serving_wh(settings: Settings) -> float:
    """Watt-hours of this process since it started."""
    return _processor_seconds() * watts_per_core(settings) / 3600


def watts_per_core(settings: Settings) -> float:
    return settings.watts_per_core or WATTS_PER_CORE


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _grams(wh: float | None, g_per_kwh: float | None) -> float | None:
    return None if wh is None or g_per_kwh is None else wh / 1000 * g_per_kwh


def _count(metrics: Metrics) -> int:
    """Rows predicted by this process."""
    return int(
        sum(
            sample.value
            for family in metrics.predictions.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        )
    )
