"""The winner once more, trained on all rows: is it still the model that was judged?

The judge needs rows that nobody was trained on, so a promoted model lacks the newest ones. Trained again on all of
them, the same pipeline can't be judged any more: it has seen the holdout. What can be checked is that it
did not become another model, and that it got no worse even on rows it knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from automl.engines.plain import AllClasses
from automl.gates import guard_gates
from automl.metrics import metric
from automl.tallies import Values
from automl.task import Task
from automl.verdict import Gate, Rules, Scored

LEAST_AGREEMENT = 0.9
"""Share of rows on which the refitted model has to say what the judged one or the truth says."""
MOST_APART = 0.1
"""Standard deviations of the labels by which numbers may on average lie outside of judged and truth."""


def trained_anew(
    pipeline: Pipeline,
    rows: pd.DataFrame,
    y: npt.NDArray[Any],
    *,
    n_classes: int,
    weights: Values | None = None,
) -> Pipeline:
    """A clone of the pipeline, trained on these rows; ``y`` are class positions, or numbers with ``n_classes`` 0.

    ``weights`` reach the model where it can take any. It answers for all classes, those without rows too.
    """
    fresh = clone(pipeline)
    name, model = fresh.steps[-1]
    if n_classes:
        model = model.classifier if isinstance(model, AllClasses) else model
    taken = weights is not None and has_fit_parameter(model, "sample_weight")
    if n_classes and len(np.unique(y)) < n_classes:
        model = AllClasses(model, (), n_classes)
    fresh.steps[-1] = (name, model)
    return fresh.fit(rows, y, **({f"{name}__sample_weight": weights} if taken else {}))


@dataclass(frozen=True, slots=True, kw_only=True)
class RefitCheck:
    """What became of the refitted model. ``scores`` are on the holdout, which it has seen by now."""

    gates: tuple[Gate, ...]
    judged_score: float
    refitted_score: float

    @property
    def passed(self) -> bool:
        return all(gate.passed is not False for gate in self.gates)

    @property
    def reason(self) -> str:
        broken = "; ".join(f"{gate.name}: {gate.reason}" for gate in self.gates if gate.passed is False)
        if broken:
            return f"the model trained on all rows is not the judged one any more ({broken})"
        return f"trained on all rows; {'; '.join(gate.reason for gate in self.gates if gate.passed)}"

    def to_json(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "reason": self.reason,
            "gates": [gate.to_json() for gate in self.gates],
            "judged_score": self.judged_score,
            "refitted_score": self.refitted_score,
        }


def check_refit(
    judged: Scored,
    refitted: Scored,
    y: npt.NDArray[Any],
    rules: Rules,
    *,
    task: Task,
    baseline_score: float | None = None,
) -> RefitCheck:
    """Compare both on the holdout, on which ``judged`` was judged and ``refitted`` was trained.

    The refitted model may be worse by ``rules.min_effect`` at most (for rmse and mae: that share of
    ``baseline_score``), may not contradict the judged model where the truth does not either, and keeps
    the limits of latency and size. Answers that are not finite numbers fail.
    """
    measure = metric(rules.metric)
    unit = (baseline_score or 0.0) if measure.in_target_units else 1.0
    if not np.isfinite(refitted.predictions).all():
        sane = Gate(
            name="refit_predictions", passed=False, reason="it answers with numbers that are not finite"
        )
        return RefitCheck(gates=(sane,), judged_score=_score(measure, y, judged), refitted_score=float("nan"))
    before, after = _score(measure, y, judged), _score(measure, y, refitted)
    loss, allowed = measure.gain(before, after), rules.min_effect * unit
    quality = Gate(
        name="refit_quality",
        passed=bool(loss <= allowed),
        reason=f"{rules.metric} is {after:.4g} on the holdout it has seen, {before:.4g} was judged",
        evidence={"loss": loss, "allowed": allowed},
    )
    agreement = _agreement(judged.predictions, refitted.predictions, y, task)
    return RefitCheck(
        gates=(quality, agreement, *guard_gates(refitted, rules)), judged_score=before, refitted_score=after
    )


def _score(measure: Any, y: npt.NDArray[Any], scored: Scored) -> float:
    return float(measure.score(y, scored.predictions))


def _agreement(before: Values, after: Values, y: npt.NDArray[Any], task: Task) -> Gate:
    """A model that learnt from the holdout moves from what was judged towards the truth; elsewhere it should stay."""
    evidence: Mapping[str, Any]
    if task.is_classification:
        said, again = before.argmax(axis=1), after.argmax(axis=1)
        share = float(np.mean((again == said) | (again == y)))
        same = float(np.mean(again == said))
        evidence = {"agreement": share, "same_class": same, "least": LEAST_AGREEMENT}
        passed = share >= LEAST_AGREEMENT
        reason = f"{share:.1%} of its answers are those judged or true ({same:.1%} those judged)"
    else:
        outside = np.maximum(np.minimum(before, y) - after, after - np.maximum(before, y)).clip(min=0.0)
        unit = float(np.std(y)) or 1.0
        apart = float(np.mean(outside)) / unit
        evidence = {"apart": apart, "most": MOST_APART}
        passed = apart <= MOST_APART
        reason = f"its answers lie {apart:.3f} standard deviations outside of judged and truth"
    return Gate(name="refit_agreement", passed=passed, reason=reason, evidence=evidence)
