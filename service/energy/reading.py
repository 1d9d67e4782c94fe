"""Readings as they are told by children, and what several of them come to. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from registry.energy import EnergyReading, EnergySource, NewReading


class Ears:
    """Hears what one child tells of its energy; ``told`` is the last that held a figure, or else why there is none."""

    def __init__(self) -> None:
        self.told: Mapping[str, Any] | None = None

    def hear(self, event: Mapping[str, Any]) -> None:
        known = self.told is not None and self.told["wh"] is not None
        if event["wh"] is not None or not known:
            self.told = event

    def alone(self, part: str) -> dict[str, Any] | None:
        """What was heard as the sum of one reading, where there is no registry to keep it."""
        if self.told is None:
            return None
        return summed((new_reading(part, self.told),))


def new_reading(part: str, told: Mapping[str, Any]) -> NewReading:
    """What a child told last, to be kept."""
    return NewReading(
        part=part[:100],
        source=EnergySource(told["source"]),
        wh=None if told["wh"] is None else float(told["wh"]),
        gco2e=None if told["gco2e"] is None else float(told["gco2e"]),
        seconds=float(told["seconds"]),
        details=dict(told["details"]),
    )


def summed(readings: Sequence[EnergyReading | NewReading]) -> dict[str, Any] | None:
    """Several readings as one; None where there is none. A sum is ``measured`` only where all of it is, and what is not
    known of a part is left out and said."""
    if not readings:
        return None
    known = [one for one in readings if one.wh is not None]
    sources = {one.source for one in known}
    return {
        "source": _source(sources).value,
        "wh": sum(one.wh or 0.0 for one in known) if known else None,
        "gco2e": sum(one.gco2e or 0.0 for one in known) if known else None,
        "seconds": sum(one.seconds for one in readings),
        "grid": known[-1].details.get("grid") if known else None,
        "method": known[-1].details.get("method") if known else None,
        "parts": [_part(one) for one in readings],
    }


def of_run(readings: Sequence[EnergyReading], verdict: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What a run's searches used, with what it gained for that: the estimated gain of the verdict for each watt-hour."""
    found = summed(readings)
    if found is None:
        return None
    gain = ((verdict or {}).get("difference") or {}).get("estimate")
    return {
        **found,
        "gain": gain,
        "gain_per_wh": gain / found["wh"] if gain is not None and found["wh"] else None,
        "metric": (verdict or {}).get("metric"),
    }


def _source(sources: set[EnergySource]) -> EnergySource:
    if not sources:
        return EnergySource.UNKNOWN
    return EnergySource.MEASURED if sources == {EnergySource.MEASURED} else EnergySource.ESTIMATED


def _part(one: EnergyReading | NewReading) -> dict[str, Any]:
    return {
        "part": one.part,
        "source": one.source.value,
        "wh": one.wh,
        "gco2e": one.gco2e,
        "seconds": one.seconds,
        "why": one.details.get("why"),
    }
