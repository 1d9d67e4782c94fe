"""The labels of a run that a person should look at once more, of the training rows and of those that judge."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from automl.trust.exhibit import Exhibit, drawn
from automl.trust.label_errors import out_of_sample, rows_within, suspects

MOST_TOLD = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A label to look at: of which row (``row_id``, empty where rows have none), what it is, what a model says, how sure."""

    row_id: str
    label: Any
    says: Any
    sure: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelReview:
    """Of ``rows`` labels looked at ``suspected`` are doubted, the surest of them in ``doubts``. ``denied`` of ``surest`` is
    what the gate goes by (see :class:`automl.trust.label_errors.Suspects`)."""

    rows: int
    suspected: int
    denied: int
    surest: int
    doubts: tuple[Doubt, ...]

    @property
    def share(self) -> float:
        return self.denied / self.surest if self.surest else 0.0

    def to_json(self, exhibit: Exhibit) -> dict[str, Any]:
        text = exhibit.schema.target.text
        return {
            "rows": self.rows,
            "suspected": self.suspected,
            "share": self.share,
            "denied": self.denied,
            "surest": self.surest,
            "review": [
                {"id": one.row_id, "label": text(one.label), "says": text(one.says), "sure": one.sure}
                for one in self.doubts
            ],
        }


def reviewed(exhibit: Exhibit, *, without: Collection[str] = ()) -> LabelReview | None:
    """Rows trained on and rows that judge, together: where the world changed between them, a model of the older ones alone
    would deny right labels of the newest. None where there is too little to learn from.

    Columns ``without`` which it learns are those that know the label: they would explain a wrong one as well."""
    kept = tuple(column for column in exhibit.schema.columns if column.name not in without)
    schema = replace(exhibit.schema, columns=kept)
    rows = pd.concat([exhibit.train, exhibit.whole], ignore_index=True).drop(
        columns=list(without), errors="ignore"
    )
    y, ids = np.concatenate([exhibit.train_y, exhibit.whole_y]), [*exhibit.train_ids, *exhibit.whole_ids]
    most = rows_within(exhibit.seconds / 2, len(exhibit.features), len(exhibit.task.classes))
    picked = drawn(len(rows), most, seed=exhibit.seed)
    y = y[picked]
    said = out_of_sample(
        rows.iloc[picked].reset_index(drop=True),
        y,
        schema=schema,
        task=exhibit.task,
        seed=exhibit.seed,
    )
    if said is None:
        return None
    found = suspects(y, said, exhibit.task)

    def told(value: float) -> Any:
        return exhibit.task.decode(int(value)) if exhibit.task.is_classification else float(value)

    doubts = [
        Doubt(
            row_id=ids[picked[at]] if len(ids) == len(rows) else "",
            label=told(y[at]),
            says=told(found.says[at]),
            sure=float(np.round(found.sure[at], 4)),
        )
        for at in found.order[:MOST_TOLD]
    ]
    return LabelReview(
        rows=len(y),
        suspected=int(found.suspected.sum()),
        denied=found.denied,
        surest=found.surest,
        doubts=tuple(doubts),
    )
