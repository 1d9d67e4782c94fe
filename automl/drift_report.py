"""What a drift report says, and the rule it was made by."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from automl.columns import ColumnKind
from automl.domain import Domain, JointRule
from automl.drift_columns import MISSING_SHARE, WASSERSTEIN

_TOP = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRule:
    """What is compared, and from where on it counts.

    The newest ``window`` rows (of a window larger than ``reference_rows``, a sample of so many) against a sample
    of at most ``reference_rows`` of the others (at least ``min_reference``).
    ``numeric`` is a Wasserstein distance in standard deviations of the reference, ``categorical`` a
    Jensen-Shannon distance, ``missing`` a difference of missing shares. ``q`` is the share of false ones among
    the columns called drifted that is put up with, so also the share of unchanged windows in which any column
    is; p-values come from ``draws`` random windows, more where it takes more. The whole drifts when at least
    ``share`` of the columns do; ``joint`` says when all columns together do, and is reported beside it.
    """

    window: int = 1000
    reference_rows: int = 5000
    min_reference: int = 500
    share: float = 0.3
    numeric: float = 0.1
    categorical: float = 0.1
    missing: float = 0.1
    q: float = 0.01
    draws: int = 199
    joint: JointRule | None = field(default_factory=JointRule)

    def lacking(self, *, reference: int, current: int) -> str | None:
        """Why rows of these numbers can't be compared yet, or None."""
        if current < self.window:
            return f"a full window of {self.window:,} rows is needed, {current:,} are there"
        if reference < self.min_reference:
            return f"a reference of at least {self.min_reference:,} rows is needed, {reference:,} are there"
        return None

    def threshold(self, method: str) -> float:
        """From where on a score of this method matters."""
        if method == WASSERSTEIN:
            return self.numeric
        return self.missing if method == MISSING_SHARE else self.categorical


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """One column. It drifted when ``score`` or the change of its missing share reached its threshold, and
    ``q_value`` the rule's q.

    ``method`` is ``missing_share`` where values are not compared: dates, and columns with no value in one
    of the windows. ``usual`` is what 95% of windows without change score at most, ``p_value`` the chance of
    this column's change without one, ``q_value`` the same adjusted for the number of columns.
    """

    name: str
    kind: ColumnKind
    method: str
    score: float
    threshold: float
    drifted: bool
    missing_reference: float
    missing_current: float
    usual: float
    p_value: float
    q_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """Evidence, not a decision. ``share`` is that of drifted columns; ``drifted``: it reaches the rule's.

    ``joint`` has its own flag: it may be set where no column drifted by itself.
    """

    share: float
    drifted: bool
    columns: tuple[ColumnDrift, ...]
    rows_reference: int
    rows_current: int
    rule: DriftRule
    joint: Domain | None = field(default=None, compare=False)

    @property
    def drifted_columns(self) -> tuple[str, ...]:
        """Their names, the most changed first."""
        changed = [column for column in self.columns if column.drifted]
        return tuple(column.name for column in sorted(changed, key=lambda each: -each.score / each.threshold))

    @property
    def top_columns(self) -> tuple[str, ...]:
        """Where the rows have moved: the drifted columns, then those that a joint shift showed in. At most 10."""
        told = self.joint.columns if self.joint is not None and self.joint.drifted else ()
        names = [*self.drifted_columns, *(part.name for part in told)]
        return tuple(dict.fromkeys(names))[:_TOP]

    def to_json(self) -> dict[str, Any]:
        return {
            "share": self.share,
            "drifted": self.drifted,
            "columns": [{**asdict(column), "kind": column.kind.value} for column in self.columns],
            "rows_reference": self.rows_reference,
            "rows_current": self.rows_current,
            "rule": asdict(self.rule),
            "joint": None if self.joint is None else self.joint.to_json(),
            "top_columns": list(self.top_columns),
        }
