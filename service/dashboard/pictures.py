"""The geometry of small pictures that are drawn as SVG on the server: numbers in, coordinates out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """From values to places."""

    low: float
    high: float
    length: float

    def __call__(self, value: float) -> float:
        return round((value - self.low) / (self.high - self.low) * self.length, 2)


def axis(values: Sequence[float], length: float, *, room: float = 0.08) -> Axis:
    """One that holds all values, with some room at both ends."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    margin = (high - low) * room or max(abs(high) * room, 1e-9)
    return Axis(low=low - margin, high=high + margin, length=length)


def sparkline(
    values: Sequence[float], *, level: float | None = None, width: float = 160, height: float = 36
) -> dict[str, Any] | None:
    """A line, its last point, and the place of a level to compare with."""
    if not values:
        return None
    up = axis([*values, *([] if level is None else [level])], height - 6)
    step = width / max(len(values) - 1, 1)
    points = [
        (round(place * step, 2), round(height - 3 - up(value), 2)) for place, value in enumerate(values)
    ]
    if len(points) == 1:
        points = [(0.0, points[0][1]), (width, points[0][1])]
    return {
        "width": width,
        "height": height,
        "points": " ".join(f"{x},{y}" for x, y in points),
        "last": points[-1],
        "level": None if level is None else round(height - 3 - up(level), 2),
    }


def bars(
    values: Sequence[float], *, width: float = 160, height: float = 36, gap: float = 1
) -> dict[str, Any]:
    """One bar for each value, from the bottom; what is above zero is always seen."""
    most = max(values, default=0) or 1
    each = width / max(len(values), 1)
    return {
        "width": width,
        "height": height,
        "bars": [
            {
                "x": round(place * each, 2),
                "y": round(height - tall, 2),
                "width": round(max(each - gap, 0.5), 2),
                "height": tall,
                "value": value,
            }
            for place, value in enumerate(values)
            for tall in [round(max(value / most * (height - 2), 1.5), 2) if value > 0 else 0]
        ],
    }


def interval(
    difference: dict[str, Any] | None, min_effect: float, *, width: float = 640
) -> dict[str, Any] | None:
    """The gain with its interval, zero, and the zone from the minimum effect on that counts as better."""
    if difference is None:
        return None
    low, mid, high = (float(difference[name]) for name in ("lower", "estimate", "upper"))
    if not all(math.isfinite(value) for value in (low, mid, high)):
        return None
    along = axis([low, high, mid, 0.0, min_effect, -min_effect], width, room=0.14)
    return {
        "width": width,
        "lower": along(low),
        "estimate": along(mid),
        "upper": along(high),
        "zero": along(0.0),
        "effect": along(min_effect),
        "state": "better" if low > min_effect else "worse" if high < 0 else "unsure",
        "ticks": [{"x": along(value), "value": value} for value in ticks(along.low, along.high)],
    }


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers between two others."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return []
    step = 10 ** math.floor(math.log10(span / wanted))
    step *= next((factor for factor in (1, 2, 5) if span / (step * factor) <= wanted), 10)
    first = math.ceil(low / step)
    return [round(place * step, 12) for place in range(first, math.floor(high / step) + 1)]


def waterfall(
    base: float, parts: Sequence[dict[str, Any]], *, width: float = 460, most: int = 12
) -> dict[str, Any]:
    """From the base, contribution by contribution, to the sum; beyond ``most`` the rest is one step."""
    shown = [(part["column"], part["value"], float(part["contribution"])) for part in parts[:most]]
    rest = sum(float(part["contribution"]) for part in parts[most:])
    if len(parts) > most:
        shown.append((f"{len(parts) - most} others", None, rest))
    levels = [base]
    for _, _, amount in shown:
        levels.append(levels[-1] + amount)
    along = axis([*levels, base], width, room=0.06)
    steps = [
        {
            "column": name,
            "value": value,
            "amount": amount,
            "x": min(along(before), along(after)),
            "width": max(round(abs(along(after) - along(before)), 2), 1.0),
            "end": along(after),
        }
        for (name, value, amount), before, after in zip(shown, levels, levels[1:], strict=False)
    ]
    return {
        "width": width,
        "base": along(base),
        "steps": steps,
        "total": levels[-1],
        "end": along(levels[-1]),
    }
