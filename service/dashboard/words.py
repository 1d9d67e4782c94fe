"""How numbers, times and names are written on a page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

MOST = 80
"""Characters of a caller's value that a cell shows; the title holds more of it."""

METRICS = {
    "auto": "score",
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
    "accuracy": "accuracy",
    "f1": "F1",
    "balanced_accuracy": "balanced accuracy",
    "average_precision": "average precision",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "mase": "MASE",
}
_LOSSES = frozenset({"log_loss", "rmse", "mae", "mase"})
_STEPS = ((60, "s"), (3600, "min"), (86_400, "h"), (math.inf, "d"))


def gate_state(gate: Mapping[str, Any]) -> tuple[str, str]:
    """How a gate stands and the word for it. One that only reports is noted, whatever it found against the model.

    >>> gate_state({"name": "size", "passed": None, "evidence": {}})
    ('open', 'no demand')
    >>> gate_state({"name": "fairness", "passed": False, "evidence": {"blocks": False}})
    ('noted', 'noted')
    """
    evidence = gate["evidence"]
    if gate["passed"]:
        return "yes", "passed"
    if evidence.get("failed") is True:
        return "no" if evidence.get("blocks") else "open", "not examined"
    if gate["passed"] is False:
        return ("noted", "noted") if evidence.get("blocks") is False else ("no", "failed")
    return "open", "not decided" if gate["name"] == "improvement" else "no demand"


def metric_name(name: str | None) -> str:
    return METRICS.get(name or "", name or "score")


def lower_is_better(name: str | None) -> bool:
    return name in _LOSSES


def score(value: float | None) -> str:
    """Four decimals below ten, four digits beyond; a dash for nothing.

    >>> score(0.6985), score(584.0), score(3776.4)
    ('0.6985', '584.0', '3,776')
    """
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.{_decimals(value)}f}"


def signed(value: float | None, beside: float | None = None) -> str:
    """With its sign, a true minus, and as many decimals as the score it stands ``beside`` (by itself: its own).

    >>> signed(-0.0129), signed(2.2813, beside=523.4), signed(0.0)
    ('−0.0129', '+2.3', '±0.0000')
    """
    if value is None or not math.isfinite(value):
        return "–"
    near = value if beside is None or not math.isfinite(beside) else beside
    text = f"{abs(value):,.{_decimals(near)}f}"
    if float(text.replace(",", "")) == 0:
        return "±" + text
    return ("+" if value > 0 else "−") + text


def _decimals(value: float) -> int:
    return 4 if abs(value) < 10 else max(0, 3 - math.floor(math.log10(abs(value))))


def count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def short_count(value: float | None) -> str:
    """
    >>> short_count(950), short_count(44760), short_count(2_400_000)
    ('950', '44.8k', '2.4M')
    """
    if value is None:
        return "–"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:,.0f}"


def share(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1%}" if 0 < abs(value) < 0.1 else f"{value:.0%}"


def size(value: float | None) -> str:
    if value is None:
        return "–"
    for unit in ("B", "KiB", "MiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds * 1000:.2g} ms" if seconds < 1 else f"{seconds:.2g} s"


def span(seconds: float | None) -> str:
    """
    >>> span(3.2), span(95), span(7200), span(200_000)
    ('3 s', '1.6 min', '2 h', '2.3 d')
    """
    if seconds is None:
        return "–"
    before = 1.0
    for upto, unit in _STEPS:
        if abs(seconds) < upto:
            number = round(seconds / before, 1)
            return f"{number:.0f} {unit}" if unit == "s" or number >= 10 else f"{number:g} {unit}"
        before = upto
    raise AssertionError("unreachable: the last step has no end")


def ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "never"
    past = (now - moment).total_seconds()
    if abs(past) < 5:
        return "just now"
    return f"{span(past)} ago" if past > 0 else f"in {span(-past)}"


def clock(moment: datetime | None) -> str:
    return "–" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def moment(value: Any) -> datetime | None:
    """A time as JSON keeps it."""
    if isinstance(value, datetime) or value is None:
        return value
    read = datetime.fromisoformat(str(value))
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def short(value: Any, most: int = MOST) -> str:
    """A caller's value as one line of at most ``most`` characters."""
    text = " ".join(str(value).split()) if isinstance(value, str) else str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def trimmed(text: str) -> str:
    """A number without the zeros that say nothing.

    >>> trimmed("0.0020"), trimmed("7.7100"), trimmed("1,000")
    ('0.002', '7.71', '1,000')
    """
    return text.rstrip("0").rstrip(".") if "." in text else text


def upper(text: Any) -> str:
    """A sentence with a capital to begin it; the rest stays as it is."""
    return str(text)[:1].upper() + str(text)[1:]


def plural(number: float, one: str, many: str | None = None) -> str:
    return f"{number:,.0f} {one if number == 1 else many or one + 's'}"


def seconds(value: timedelta | None) -> float | None:
    return None if value is None else value.total_seconds()
