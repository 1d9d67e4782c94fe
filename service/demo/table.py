"""What continuous training was worth: the live answers beside those of the frozen first champion."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

from registry.store import Registry
from service.demo import flights
from service.demo.stream import Answers

CHUNK = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One month, or all of them. ``champions`` are the versions that answered in it."""

    month: str
    flights: int
    late_share: float
    frozen_auc: float
    live_auc: float
    frozen_log_loss: float
    live_log_loss: float
    champions: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            name: round(value, 5) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def frozen(home: Path, project: str, version: int, table: pd.DataFrame) -> npt.NDArray[np.float64]:
    """The probabilities that one model version gives, its bytes checked against their signature first."""
    registry = Registry.open(home)
    try:
        model = registry.models.get(registry.projects.get(project).id, version)
        pipeline = pickle.loads(registry.blobs.open(model.blob.digest))
    finally:
        registry.close()
    rows = table.drop(columns=flights.TARGET)
    starts = range(0, len(rows), CHUNK)
    return np.concatenate(
        [pipeline.predict_proba(rows.iloc[start : start + CHUNK])[:, 1] for start in starts]
    )


def by_month(table: pd.DataFrame, answers: Answers, frozen_late: npt.NDArray[np.float64]) -> list[Line]:
    """A line for each month that was played, then one for all; rows without an answer count in neither."""
    months = table[flights.TIME].dt.tz_convert(flights.NEW_YORK).dt.month.to_numpy()
    truth = table[flights.TARGET].to_numpy(dtype=bool)
    answered = ~np.isnan(answers.late)
    lines = [
        _line(f"{date(2013, int(month), 1):%b}", answered & (months == month), truth, answers, frozen_late)
        for month in np.unique(months[answered])
    ]
    return [*lines, _line("all", answered, truth, answers, frozen_late)] if lines else []


def _line(
    name: str,
    chosen: npt.NDArray[np.bool_],
    truth: npt.NDArray[np.bool_],
    answers: Answers,
    frozen_late: npt.NDArray[np.float64],
) -> Line:
    y, live, still = truth[chosen], answers.late[chosen], frozen_late[chosen]
    return Line(
        month=name,
        flights=int(chosen.sum()),
        late_share=float(y.mean()),
        frozen_auc=float(roc_auc_score(y, still)),
        live_auc=float(roc_auc_score(y, live)),
        frozen_log_loss=float(log_loss(y, still, labels=[False, True])),
        live_log_loss=float(log_loss(y, live, labels=[False, True])),
        champions=tuple(int(version) for version in np.unique(answers.version[chosen])),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything the demo has to tell at its end."""

    lines: Sequence[Line]
    promotions: Sequence[Mapping[str, Any]]
    runs: Sequence[Mapping[str, Any]]
    requests: int
    rows: int
    dropped: int
    first_failure: str | None
    labels: int
    p50_ms: float
    p99_ms: float
    seconds: float
    url: str
    home: str

    def to_json(self) -> dict[str, Any]:
        whole = asdict(self)
        return {**whole, "lines": [line.to_json() for line in self.lines], "runs": self.outcomes()}

    def outcomes(self) -> dict[str, int]:
        """How many runs ended in which way."""
        ends = [(run.get("verdict") or {}).get("outcome") or run.get("status") for run in self.runs]
        return {str(end): ends.count(end) for end in sorted(set(ends), key=str)}


def show(report: Report) -> None:
    """Prints the report for people."""
    from service.commands.console import out

    console = out()
    console.print()
    console.print(_months(report.lines))
    console.print("Promotions", style="bold")
    for promotion in reversed(report.promotions):
        before, after = promotion["from"], promotion["to"]
        step = f"v{after}" if before is None else f"v{before} → v{after}"
        console.print(f"  {step:<10} {promotion['reason']}", markup=False, soft_wrap=True)
    console.print()
    ends = ", ".join(f"{count} {end}" for end, count in report.outcomes().items())
    rows_each = report.rows / max(1, report.requests)
    console.print(f"Runs: {ends}.", markup=False)
    console.print(
        f"Requests: {report.requests:,} of {rows_each:.0f} rows on average, {report.dropped} dropped; "
        f"p50 {report.p50_ms:.0f} ms, p99 {report.p99_ms:.0f} ms. {report.labels:,} labels came back. "
        f"{report.seconds:.0f} seconds in all.",
        markup=False,
    )


def _months(lines: Sequence[Line]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(
        title="Late flights, 2013: the frozen January champion beside the one that keeps learning",
        box=box.SIMPLE_HEAD,
        title_justify="left",
    )
    table.add_column("month")
    for name in (
        "flights",
        "late",
        "AUC\nfrozen",
        "AUC\nlive",
        "gain",
        "log loss\nfrozen",
        "log loss\nlive",
    ):
        table.add_column(name, justify="right")
    table.add_column("champions")
    for line in lines:
        gain = line.live_auc - line.frozen_auc
        table.add_row(
            line.month,
            f"{line.flights:,}",
            f"{line.late_share:.1%}",
            f"{line.frozen_auc:.3f}",
            f"{line.live_auc:.3f}",
            f"{gain:+.3f}",
            f"{line.frozen_log_loss:.3f}",
            f"{line.live_log_loss:.3f}",
            ", ".join(f"v{version}" for version in line.champions),
            style="bold" if line.month == "all" else None,
            end_section=line is lines[-2] if len(lines) > 1 else False,
        )
    return table
