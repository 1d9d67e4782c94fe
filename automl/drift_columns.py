"""What is compared of a column: its values made ready for a distance, or only which of them are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.columns import ColumnKind
from automl.distances import Distance, JensenShannon, MissingShare, Wasserstein, observed_distance

WASSERSTEIN = "wasserstein"
JENSEN_SHANNON = "jensenshannon"
MISSING_SHARE = "missing_share"
METHODS: Mapping[ColumnKind, str] = {
    ColumnKind.NUMERIC: WASSERSTEIN,
    ColumnKind.CATEGORICAL: JENSEN_SHANNON,
    ColumnKind.BOOLEAN: JENSEN_SHANNON,
    ColumnKind.TEXT: WASSERSTEIN,
}
"""Text is compared by its length. Dates move by themselves, so of them only the missing share is compared."""
_OTHER = "(other)"
_LARGEST = 1e150
_LEAST_UNIT = 0.001  # Evidently divides by no less


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparedColumn:
    """One column of both windows.

    ``old`` and ``new`` are numbers in standard deviations of the reference, or texts of few categories, both with
    their missing values; ``method`` is MISSING_SHARE where values are not compared (dates, and columns
    with no value in one of the windows).
    """

    name: str
    kind: ColumnKind
    method: str
    old: pd.Series[Any]
    new: pd.Series[Any]

    @property
    def missing(self) -> tuple[float, float]:
        """The share of missing values in the reference and in the current window."""
        return float(self.old.isna().mean()), float(self.new.isna().mean())

    @property
    def vanished(self) -> float:
        before, after = self.missing
        return abs(after - before)

    def values_distance(self) -> Distance | None:
        """The distance of its values, if they are compared."""
        if self.method == WASSERSTEIN:
            unit = max(float(np.std(self.old.dropna().to_numpy())), _LEAST_UNIT)
            return Wasserstein(self.as_numbers(), unit=unit)
        return JensenShannon(self._codes()) if self.method == JENSEN_SHANNON else None

    def missing_distance(self) -> Distance | None:
        """The distance of its missing shares; None where nothing is missing."""
        missing = np.concatenate([self.old.isna().to_numpy(), self.new.isna().to_numpy()])
        return MissingShare(missing) if missing.any() else None

    def as_numbers(self) -> npt.NDArray[np.float64]:
        """Both windows as numbers, reference first; categories by their codes, nan where missing."""
        if self.method == WASSERSTEIN:
            both = [self.old.to_numpy(dtype=np.float64), self.new.to_numpy(dtype=np.float64)]
            return np.concatenate(both)
        codes = self._codes().astype(np.float64)
        return np.where(codes < 0, np.nan, codes)

    def _codes(self) -> npt.NDArray[np.intp]:
        codes, _ = pd.factorize(pd.concat([self.old, self.new], ignore_index=True), sort=True)
        return codes


def compared(
    name: str, kind: ColumnKind, old: pd.Series[Any], new: pd.Series[Any], *, threshold: float
) -> ComparedColumn:
    """A column of both windows made ready. ``threshold`` is the Jensen-Shannon distance that is to be seen."""
    if kind not in METHODS or not old.notna().any() or not new.notna().any():
        return ComparedColumn(name=name, kind=kind, method=MISSING_SHARE, old=old, new=new)
    levels = _levels(int(old.count()), int(new.count()), threshold)
    ready = _numbers(old, new, kind) if METHODS[kind] == WASSERSTEIN else _categories(old, new, levels)
    return ComparedColumn(name=name, kind=kind, method=METHODS[kind], old=ready[0], new=ready[1])


def own_distances(columns: Mapping[str, ComparedColumn]) -> dict[str, float]:
    """The distances that Evidently gives, without it: quick, for very wide tables and for simulations."""
    return {
        name: observed_distance(distance, reference=len(column.old), current=len(column.new))
        for name, column in columns.items()
        for distance in [column.values_distance()]
        if distance is not None
    }


def _levels(reference: int, current: int, threshold: float) -> int:
    """How many categories can be told apart by windows of these sizes.

    Without any change the squared Jensen-Shannon distance of k categories is about (k - 1) / 8 · (1/n + 1/m).
    So many are kept that this stays at a quarter of the threshold's square; the rarest are one category.
    """
    return int(np.clip(2 * threshold**2 / (1 / reference + 1 / current), 2, 50))


def _numbers(
    old: pd.Series[Any], new: pd.Series[Any], kind: ColumnKind
) -> tuple[pd.Series[Any], pd.Series[Any]]:
    if kind is ColumnKind.TEXT:
        old, new = (values.map(len, na_action="ignore") for values in (old, new))
    old, new = (values.astype("float64").clip(-_LARGEST, _LARGEST) for values in (old, new))
    # evidently divides by the deviation, but never by less than 0.001: small units would hide a change
    middle, spread = float(old.mean()), float(old.std(ddof=0))
    if spread <= 1e-12 * abs(middle):  # all the same but for rounding
        spread = abs(middle)
    spread = spread or 1.0
    return (old - middle) / spread, (new - middle) / spread


def _categories(
    old: pd.Series[Any], new: pd.Series[Any], levels: int
) -> tuple[pd.Series[Any], pd.Series[Any]]:
    old, new = (values.astype(object).map(str, na_action="ignore") for values in (old, new))
    kept = set(old.value_counts().index[:levels])
    return tuple(  # type: ignore[return-value]
        values.where(values.isna() | values.isin(kept), _OTHER).astype(object) for values in (old, new)
    )
