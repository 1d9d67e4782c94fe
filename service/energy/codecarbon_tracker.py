"""codecarbon's offline tracker, asked for what it knows. Imported in child processes alone: it is heavy."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from codecarbon import OfflineEmissionsTracker
from codecarbon.core.cpu import is_rapl_available
from codecarbon.core.util import count_cpus, is_linux_os
from codecarbon.output_methods.base_output import BaseOutput
from codecarbon.output_methods.emissions_data import EmissionsData

from service.energy.figures import figures, parts
from service.energy.tracker import WORLD_G_PER_KWH, Told

_MEASURE_SECONDS = 2.0
# Its remarks would be the last words of a child that is ended by force, in the place of the child's own.
logging.getLogger("codecarbon").disabled = True


class CodecarbonTracker:
    """A new tracker for each process. What it reads is counted for this process and its children where it estimates; the
    counters of the hardware (RAPL) count for the whole machine."""

    def __init__(self, rule: Mapping[str, Any]) -> None:
        self._last = _Last()
        country, watts = rule["country"], rule["watts_per_core"]
        intensity = rule["g_per_kwh"]
        if intensity is None and country is None:
            intensity = WORLD_G_PER_KWH
        self._grid = _grid(rule)
        self._measured = watts is None and is_linux_os() and bool(is_rapl_available())
        self._tracker = OfflineEmissionsTracker(
            country_iso_code=country or "USA",  # only a name beside a given intensity
            force_carbon_intensity_g_co2e_kwh=intensity,
            force_cpu_power=None if watts is None else watts * count_cpus(),
            tracking_mode="process",
            measure_power_secs=_MEASURE_SECONDS,
            api_call_interval=-1,
            allow_multiple_runs=True,
            output_methods=[],
            output_handlers=[self._last],
            emissions_endpoint=None,
            electricitymaps_api_token=None,
            log_level="critical",
        )

    def start(self) -> None:
        self._tracker.start()

    def read(self) -> Told | None:
        self._tracker.flush()
        return self._told()

    def stop(self) -> Told | None:
        self._tracker.stop()
        return self._told()

    def _told(self) -> Told | None:
        found = self._last.found
        if found is None:
            return None
        return {
            **figures(found, measured=self._measured),
            "seconds": float(found.duration),
            "details": {
                "method": _RAPL if self._measured else _TIME,
                "grid": self._grid,
                **parts(found),
                "processor": str(found.cpu_model),
                "codecarbon": str(found.codecarbon_version),
            },
        }


_RAPL = "counters of the hardware (RAPL), of the whole machine"
_TIME = "processor time of the process and its children, times an assumed power"


def _grid(rule: Mapping[str, Any]) -> str:
    """Where the carbon intensity of the grid comes from."""
    if rule["g_per_kwh"] is not None:
        return "INCUMBENT_GRID_G_PER_KWH"
    return f"country {rule['country']}" if rule["country"] else "world average"


class _Last(BaseOutput):  # type: ignore[misc]
    """Keeps what was told last, in the place of a file."""

    found: EmissionsData | None = None

    def out(self, total: EmissionsData, delta: EmissionsData) -> None:
        self.found = total
