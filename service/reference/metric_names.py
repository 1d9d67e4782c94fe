"""docs/reference/metrics.md: what ``GET /metrics`` tells."""

from __future__ import annotations

from collections.abc import Iterator

from service.metrics import Metrics
from service.reference.words import MADE, cell
from service.standing_metrics import families

_INTRODUCTION = """# Metrics

`GET /metrics` is Prometheus text, of the process that is asked. A series appears with the first thing it counts.
"""


def page() -> str:
    return (
        MADE + "\n" + _INTRODUCTION + "\n| metric | kind | |\n|---|---|---|\n" + "\n".join(_metrics()) + "\n"
    )


def _metrics() -> Iterator[str]:
    for metric in (*Metrics().registry.collect(), *families()):
        name = metric.name + ("_total" if metric.type == "counter" else "")
        yield f"| `{name}` | {metric.type} | {cell(metric.documentation)} |"
