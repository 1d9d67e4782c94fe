"""What a reading of codecarbon counts as. Nothing here imports it."""

from __future__ import annotations

from typing import Protocol

from service.energy.tracker import Told


class Reading(Protocol):
    """The part of codecarbon's ``EmissionsData`` that is used: kilowatt-hours, and kilograms of CO2 equivalent of all."""

    energy_consumed: float
    emissions: float
    cpu_energy: float
    ram_energy: float
    gpu_energy: float


def figures(found: Reading, *, measured: bool) -> Told:
    """``source``, ``wh`` and ``gco2e``. The power of the memory is modelled always, so no measured figure contains it."""
    whole = float(found.energy_consumed)
    kwh = float(found.cpu_energy) + float(found.gpu_energy) if measured else whole
    return {
        "source": "measured" if measured else "estimated",
        "wh": kwh * 1000,
        "gco2e": float(found.emissions) * 1000 * (kwh / whole) if whole else 0.0,
    }


def parts(found: Reading) -> Told:
    """What the whole consists of, and the carbon intensity that was taken."""
    whole = float(found.energy_consumed)
    return {
        "g_per_kwh": float(found.emissions) * 1000 / whole if whole else None,
        "processor_wh": float(found.cpu_energy) * 1000,
        "memory_wh": float(found.ram_energy) * 1000,
        "gpu_wh": float(found.gpu_energy) * 1000,
    }
