"""A replay's report for programs and people: times as dates, rates rounded, and a plain table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.replay.plan import ReplayPlan
from service.replay.players import moment

HEADINGS = (
    "policy",
    "score",
    "mean by window",
    "vs never",
    "vs every",
    "runs",
    "promoted",
    "false",
    "search s",
    "energy J",
)


def told(
    found: Mapping[str, Any], plan: ReplayPlan, stream: Mapping[str, Any], words: Mapping[str, str]
) -> dict[str, Any]:
    """The report of :func:`automl.replay_report.report`, with the plan and the stream it belongs to.

    Times of a stream without dates are left out: there its windows have only rows.
    """
    dated = bool(stream.get("dated"))
    return {
        **found,
        "plan": plan.to_json(),
        "stream": dict(stream),
        "windows": [_dated(window, "until", dated) for window in found["windows"]],
        "policies": [
            {
                **policy,
                "description": words.get(policy["name"], "a further policy"),
                "promotions": [_dated(entry, "at", dated) for entry in policy["promotions"]],
                "run_notes": [_dated(entry, "at", dated) for entry in policy["run_notes"]],
            }
            for policy in found["policies"]
        ],
    }


def _dated(entry: Mapping[str, Any], name: str, dated: bool) -> dict[str, Any]:
    return {**entry, name: moment(entry[name]).isoformat() if dated else None}


def lines(result: Mapping[str, Any]) -> list[Sequence[Any]]:
    """A line of :data:`HEADINGS` for each policy."""
    return [
        (
            policy["name"],
            number(policy["score"]),
            number(policy["mean_window_score"]),
            gain(policy["against"].get("never")),
            gain(policy["against"].get("every")),
            policy["runs"],
            len(policy["promotions"]),
            f"{policy['false_promotions']} of {policy['promotions_with_hindsight']}"
            + (f" ({policy['surely_false_promotions']} surely)" if policy["surely_false_promotions"] else ""),
            f"{policy['search_seconds']:.1f}",
            f"{policy['estimated_energy_joules']:,.0f}",
        )
        for policy in result["policies"]
    ]


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def gain(paired: Mapping[str, Any] | None) -> str:
    """``+0.012 ± 0.004 (40:7)``: the mean gain by window, half its 95% interval, windows won and lost."""
    if paired is None or paired["gain"] is None:
        return "–"
    text = f"{paired['gain']:+.4f}"
    if paired["upper"] is not None:
        text += f" ± {paired['upper'] - paired['gain']:.4f}"
    return f"{text} ({paired['won']}:{paired['lost']})"
