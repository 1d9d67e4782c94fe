"""The tables of a run, as Markdown that reads well in a terminal too."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from benchmarks.serving.aims import aims
from benchmarks.serving.comparison import Figures, middle
from benchmarks.serving.contestants import CONTESTANTS

_REACHED = {True: "reached", False: "not reached", None: "–"}


def machine() -> str:
    """One line on where the figures are from."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    libraries = ", ".join(
        f"{name} {version(name)}" for name in ("scikit-learn", "pandas", "lightgbm", "uvicorn")
    )
    return f"{cores} cores ({platform.machine()}), Python {platform.python_version()}; ours with {libraries}"


def report(found: Mapping[str, Any]) -> str:
    """Absolute numbers first, then each aim with what was found."""
    parts = [f"Machine: {found['machine']}"]
    if "compare" in found:
        parts += [_absolute(found["compare"]), _who(found)]
    lines = [(aim.told, aim.aim, aim.found, _REACHED[aim.reached]) for aim in aims(found)]
    parts.append(_table(("ratio", "aim", "found", ""), lines, left=(0, 1, 2, 3)))
    parts += [f"{name} failed: {reason}" for name, reason in found.get("failed", {}).items()]
    return "\n\n".join(parts)


def _absolute(figures: Figures) -> str:
    heads = (
        "server",
        "1 client: req/s",
        "p50 ms",
        "64 clients: req/s",
        "p50 ms",
        "p99 ms",
        "CPU ms/req",
        "1,000 rows, 8 clients: calls/s",
        "p50 ms",
        "CPU ms/call",
        "failed",
    )
    names = [one.name for one in CONTESTANTS if any(one.name in shots for shots in figures.values())]
    return _table(heads, [_line(name, figures) for name in names])


def _line(name: str, figures: Figures) -> tuple[str, ...]:
    one, many, wide = (figures.get(case, {}).get(name, []) for case in ("one", "many", "wide"))
    failed = sum(shot["failed"] for shots in (one, many, wide) for shot in shots)
    return (
        name,
        _number(one, "per_second", 0),
        _number(one, "p50_ms", 3),
        _number(many, "per_second", 0),
        _number(many, "p50_ms", 2),
        _number(many, "p99_ms", 2),
        _number(many, "cpu_ms", 3),
        _number(wide, "per_second", 1),
        _number(wide, "p50_ms", 1),
        _number(wide, "cpu_ms", 1),
        f"{failed:,}",
    )


def _who(found: Mapping[str, Any]) -> str:
    there = {name for shots in found["compare"].values() for name in shots}
    lines = [f"- {one.name}: {one.told}" for one in CONTESTANTS if one.name in there]
    lines += [
        f"- {name}: not in this run, {reason.splitlines()[0]}" for name, reason in found["absent"].items()
    ]
    lines += [f"- {name}'s environment: {versions}" for name, versions in found["environments"].items()]
    many = found["compare"].get("many", {})
    if "echo" in many:
        spent = middle(many["echo"], "generator_cpu_ms") * 1000
        lines.append(
            f"- the generator: {spent:.0f} µs of processor time a request against the echo at 64 clients"
        )
    return "\n".join(lines)


def _number(shots: Sequence[Mapping[str, Any]], figure: str, digits: int) -> str:
    return f"{middle(list(map(dict, shots)), figure):,.{digits}f}" if shots else "–"


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    widths = [max(map(len, column)) for column in zip(heads, *lines, strict=True)]

    def row(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * width if at in left else "-" * (width - 1) + ":" for at, width in enumerate(widths)]
    return "\n".join([row(heads), row(rule), *(row(line) for line in lines)])
