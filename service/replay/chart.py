"""A replay's live quality by window as one SVG, written by hand: no script, no reference to anything outside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 960, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 240, 44, 48
_COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#76b7b2", "#9c755f", "#edc948")
_DASHES = ("", "6 3", "2 3")


def chart(result: Mapping[str, Any]) -> str:
    """Lines for the policies, a dot where one promoted a model. Names are escaped: they are a caller's words."""
    policies = result["policies"]
    values = [score for policy in policies for score in policy["window_scores"] if score is not None]
    if not values:
        return _page(_text(WIDTH / 2, HEIGHT / 2, "No window could be compared.", anchor="middle"))
    ticks = _ticks(min(values), max(values))
    shown = _shown(result)
    x = _scale(shown[0], shown[-1], _LEFT, WIDTH - _RIGHT)
    y = _scale(ticks[0], ticks[-1], HEIGHT - _BOTTOM, _TOP)
    parts = [_text(_LEFT, 24, f"{result['metric']} by window, on rows that every policy answered", size=15)]
    for tick in ticks:
        parts.append(
            f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" class="grid"/>'
        )
        parts.append(_text(_LEFT - 8, y(tick) + 4, f"{tick:.4g}", anchor="end"))
    for number in shown[:: max(1, len(shown) // 8)]:
        parts.append(_text(x(number), HEIGHT - _BOTTOM + 20, _label(result, number), anchor="middle"))
    for place, policy in enumerate(policies):
        parts.append(_policy(policy, place, x, y))
    return _page("\n".join(parts))


def _shown(result: Mapping[str, Any]) -> list[int]:
    """The windows that have a score."""
    return [
        number
        for number in range(len(result["windows"]))
        if any(policy["window_scores"][number] is not None for policy in result["policies"])
    ]


def _policy(policy: Mapping[str, Any], place: int, x: Any, y: Any) -> str:
    colour = _COLOURS[place % len(_COLOURS)]
    dash = _DASHES[place // len(_COLOURS) % len(_DASHES)]
    style = f'stroke="{colour}"' + (f' stroke-dasharray="{dash}"' if dash else "")
    scores: Sequence[float | None] = policy["window_scores"]
    parts = [
        f'<polyline points="{" ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in line)}" {style}/>'
        for line in _lines(scores)
    ]
    for entry in policy["promotions"]:
        # The model takes over in the next window.
        at = entry["window"] + 1
        score = scores[at] if at < len(scores) else None
        if score is not None:
            title = f"<title>{escape(str(policy['name']))}: {escape(str(entry['reason']))}</title>"
            parts.append(
                f'<circle cx="{x(at):.1f}" cy="{y(score):.1f}" r="3.5" fill="{colour}">{title}</circle>'
            )
    row = _TOP + 12 + 20 * place
    edge = WIDTH - _RIGHT + 16
    parts.append(
        f'<line x1="{edge}" x2="{edge + 22}" y1="{row - 4}" y2="{row - 4}" {style} stroke-width="2"/>'
    )
    mean = policy["mean_window_score"]
    parts.append(_text(edge + 28, row, _short(policy["name"]) + ("" if mean is None else f"  {mean:.4f}")))
    return "\n".join(parts)


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}…"


def _lines(scores: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Stretches without a gap."""
    lines: list[list[tuple[int, float]]] = [[]]
    for at, value in enumerate(scores):
        if value is None:
            lines.append([])
        else:
            lines[-1].append((at, value))
    return [line for line in lines if line]


def _label(result: Mapping[str, Any], number: int) -> str:
    until = result["windows"][number]["until"]
    return str(until)[:10] if until else f"window {number + 1}"


def _scale(low: float, high: float, start: float, end: float) -> Any:
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _ticks(low: float, high: float) -> list[float]:
    """Five or so round numbers around the values."""
    rough = max((high - low) / 4, abs(high) * 1e-6, 1e-12)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [step * number for number in range(first, max(last, first + 1) + 1)]


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'


def _page(body: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img" font-family="system-ui, sans-serif" fill="#333">\n'
        "<style>polyline{fill:none;stroke-width:1.8}.grid{stroke:#ddd;stroke-width:1}</style>\n"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n{body}\n</svg>\n'
    )
