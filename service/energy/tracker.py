"""What a tracker of energy has to do, and what it tells."""

from __future__ import annotations

from typing import Any, Protocol

WORLD_G_PER_KWH = 475.0
"""Grams of CO2 equivalent a kilowatt-hour, of the world in 2019 (IEA): what is taken where no country is given."""

Told = dict[str, Any]
"""``source``, ``wh``, ``gco2e``, ``seconds`` and ``details``, as :class:`registry.energy.NewReading` has them."""


class Tracker(Protocol):
    """Adds up what this process and its children use from ``start`` on."""

    def start(self) -> None: ...

    def read(self) -> Told | None:
        """What was used so far; None where nothing is known."""

    def stop(self) -> Told | None: ...
