"""How sure a served model is of each answer: a conformal set or interval, and whether the row is like those it knows."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from automl.conformal import Conformal, prediction_set
from automl.oddness import Oddness
from automl.task import Label
from registry.records import Model, Project
from registry.store import Registry
from service.outliers import ODDNESS
from service.policy import Policy
from service.trust_reports import CERTAINTY

_ODD_FROM = 0.99
Told = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Certainty:
    """What the policy asks to be told of each answer, ready to be told. ``threshold`` belongs to ``coverage``; both are None
    where that isn't asked for or not known. ``lacking`` says what is asked for and can't be told, and why."""

    labels: tuple[Label, ...]
    coverage: float | None = None
    threshold: float | None = None
    oddness: Oddness | None = None
    odd_from: float = _ODD_FROM
    lacking: tuple[str, ...] = ()

    @property
    def needs_rows(self) -> bool:
        """Whether the rows themselves are needed, not only the answers."""
        return self.oddness is not None

    def told(
        self, values: Sequence[Any], shares: Sequence[Sequence[float]] | None, table: pa.Table | None = None
    ) -> Told:
        """One entry a row: ``set`` or ``interval``, and with the typed rows ``odd``."""
        told: Told = [{} for _ in values]
        if self.threshold is not None and shares is not None:
            for one, share in zip(told, shares, strict=True):
                one["set"] = [self.labels[k] for k in prediction_set(share, self.threshold)]
        elif self.threshold is not None:
            for one, value in zip(told, values, strict=True):
                one["interval"] = self._interval(float(value))
        if self.oddness is not None and table is not None:
            for one, score in zip(told, self.oddness.scores(table).score.tolist(), strict=True):
                one["odd"] = score >= self.odd_from
        return told

    def to_json(self) -> dict[str, Any]:
        return {"coverage": self.coverage, "odd": self.needs_rows, "lacking": list(self.lacking)}

    def _interval(self, value: float) -> dict[str, float] | None:
        reach = self.threshold
        if reach is None or math.isinf(reach):
            return None
        return {"lower": value - reach, "upper": value + reach}


def certainty_of(
    registry: Registry, project: Project, model: Model, labels: tuple[Label, ...]
) -> Certainty | None:
    """What the project's policy asks for; None where that is nothing."""
    policy = Policy.stored(project.policy)
    asked, lacking = policy.answers, []
    if asked.coverage is None and not asked.odd:
        return None
    threshold, oddness = None, None
    if asked.coverage is not None:
        kept = model.attachments.get(CERTAINTY)
        if kept is None:
            lacking.append(f"coverage: version {model.version} brought no errors on rows it had not seen")
        else:
            found = Conformal.from_json(json.loads(registry.blobs.open(kept.digest)))
            threshold = found.threshold(asked.coverage)
            if math.isinf(threshold):
                lacking.append(f"coverage: {found.rows} rows that judged promise no {asked.coverage:g}")
    if asked.odd:
        measure = model.attachments.get(ODDNESS)
        if measure is None:
            lacking.append(f"odd: version {model.version} has too few rows or columns to measure by")
        else:
            oddness = Oddness.from_bytes(registry.blobs.open(measure.digest))
    return Certainty(
        labels=labels,
        coverage=asked.coverage,
        threshold=threshold,
        oddness=oddness,
        odd_from=_ODD_FROM if policy.outliers is None else policy.outliers.threshold,
        lacking=tuple(lacking),
    )
