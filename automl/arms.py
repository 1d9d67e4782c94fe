"""Do pseudo-labels help? Three models with one budget and one seed, and the judge twice.

The arms are the champion, a challenger trained on true labels only, and one trained on true and pseudo-labels.
The third is used only when it proves better than the second, on rows with true labels, and no audit has
shown its labeller to be bad.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.judge import Outcome, Rules, Scored, Verdict, judge
from automl.pseudo_audit import Audit, Judgement
from automl.slices import Slice
from automl.task import Task


class Arm(StrEnum):
    TRUE_ONLY = "true_only"
    WITH_PSEUDO = "with_pseudo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """Which arm stands as the challenger and what was said of it.

    ``pseudo`` is the verdict of the third arm against the second (None where there was no third); ``verdict`` that of
    the challenger against the champion; ``reason`` says whether pseudo-labels were used and why.
    """

    challenger: Arm
    pseudo: Verdict | None
    verdict: Verdict
    reason: str

    @property
    def uses_pseudo_labels(self) -> bool:
        return self.challenger is Arm.WITH_PSEUDO

    def to_json(self) -> dict[str, Any]:
        return {
            "challenger": self.challenger.value,
            "pseudo": None if self.pseudo is None else self.pseudo.to_json(),
            "verdict": self.verdict.to_json(),
            "reason": self.reason,
        }


def three_arms(
    champion: Scored | None,
    true_only: Scored,
    with_pseudo: Scored | None,
    y: npt.NDArray[Any],
    rules: Rules,
    *,
    truly_labelled: npt.NDArray[np.bool_],
    seed: int,
    task: Task,
    train_prior: npt.NDArray[Any],
    groups: npt.NDArray[Any] | None = None,
    labeller: Audit | None = None,
    slices: Sequence[Slice] = (),
    effect_factors: Mapping[Arm, float] | None = None,
) -> Arms:
    """Choose between the two challengers, then judge the chosen one against the champion.

    All predictions are for the same holdout rows with labels ``y``; ``truly_labelled`` (n,) says that each of
    them is truth. Two questions are put to the same rows, so each spends half of ``rules.alpha``: the
    chance of using pseudo-labels that don't help *or* promoting a challenger that is no better stays at
    ``rules.alpha``. (Were both nulls true, a false choice and a false promotion cost one half each; were the
    pseudo arm truly better, only promotions of either arm can be false.) What a reversal has to show and the
    champion's floor are no matter between the two challengers; ``effect_factors`` gives arms a
    ``required_effect_factor`` of their own, for only one of them may be a reversal. Without a third arm this is
    :func:`automl.judge.judge` as it stands.

    ``labeller`` is the audit of the pseudo-labels, or of the same teacher's word on truly labelled rows it was not
    trained on. A bad one refuses the third arm whatever its score: wrong labels can pass for a gain by
    smoothing an overfitted model, and would be believed by the next person who reads them. Raises
    ValueError where a holdout row's label is not truth.
    """
    more: dict[str, Any] = {
        "seed": seed,
        "task": task,
        "train_prior": train_prior,
        "groups": groups,
        "slices": slices,
    }
    if np.shape(truly_labelled) != np.shape(y) or not np.all(truly_labelled):
        raise ValueError("a holdout may hold truly labelled rows only: no pseudo-label is ever judged on")
    if labeller is not None and labeller.judgement is Judgement.BAD:
        with_pseudo, why = None, f"Pseudo-labels are refused: {labeller.reason}."
    else:
        why = "No pseudo-labels were on offer."
    if with_pseudo is None:
        verdict = judge(champion, true_only, y, rules, **more)
        return Arms(challenger=Arm.TRUE_ONLY, pseudo=None, verdict=verdict, reason=why)
    next_alpha = None if rules.next_alpha is None else rules.next_alpha / 2
    half = replace(rules, alpha=rules.alpha / 2, next_alpha=next_alpha)
    between = replace(half, needs_approval=False, required_effect_factor=1.0, floor=None)
    pseudo = judge(true_only, with_pseudo, y, between, **more)
    arm = Arm.WITH_PSEUDO if pseudo.promotes else Arm.TRUE_ONLY
    chosen = with_pseudo if pseudo.promotes else true_only
    factor = (effect_factors or {}).get(arm, rules.required_effect_factor)
    verdict = judge(champion, chosen, y, replace(half, required_effect_factor=factor), **more)
    return Arms(challenger=arm, pseudo=pseudo, verdict=verdict, reason=_sentence(pseudo))


def _sentence(pseudo: Verdict) -> str:
    """The judge's sentence, with its outcome in the words of this question."""
    words = {
        Outcome.PROMOTED: "Pseudo-labels are used",
        Outcome.REJECTED: "Pseudo-labels are refused",
        Outcome.INCONCLUSIVE: "Pseudo-labels are not used, nothing is shown",
    }
    return f"{words[pseudo.outcome]}: {pseudo.reason.split(': ', 1)[1]}"
