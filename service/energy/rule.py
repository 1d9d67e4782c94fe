"""What children are told of the machine and the grid they use."""

from __future__ import annotations

from typing import Any

from service.settings import Settings


def energy_rule(settings: Settings) -> dict[str, Any] | None:
    """For ``spec.json``; None where nothing is to be metered."""
    if not settings.energy:
        return None
    return {
        "country": settings.country,
        "g_per_kwh": settings.grid_g_per_kwh,
        "watts_per_core": settings.watts_per_core,
    }
