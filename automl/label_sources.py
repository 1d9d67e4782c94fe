"""Labels come from several hands: how much each may weigh, and which one has gone bad.

A source is audited against a model trained on the labels of the others. No model is right always, so what counts is
that its labels disagree with that model more than those of the other sources do with theirs, and more
than its rows are hard: two tests, of which both must hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy  # its parts come when they are first used

from automl.proportions import Proportion, wilson
from automl.tallies import Positions, Values
from automl.tempering import temperature, tempered

Learner = Callable[[Positions, Positions], Values]
"""Trains on the labels of the first rows and returns probabilities (n, K) for the second ones."""
_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRule:
    """``weight`` is that of one row; all rows of the source together weigh at most ``max_share`` of everything."""

    weight: float = 1.0
    max_share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1 or not 0 < self.max_share <= 1:
            raise ValueError("weight must lie between 0 and 1, max_share be above 0 and at most 1")


def weigh(
    sources: Sequence[str], rules: Mapping[str, SourceRule], *, default: SourceRule | None = None
) -> Values:
    """The training weight of each row, (n,), by its source; sources without a rule have the ``default``.

    Weights of a source above its share are lowered together until it keeps it. Where all that is there is
    capped at less than everything, the caps are kept in proportion to each other: a single source has all the
    weight whatever its cap.
    """
    if not len(sources):
        return np.zeros(0)
    names, codes = np.unique(np.asarray(sources, dtype=str), return_inverse=True)
    each = [rules.get(str(name), default or SourceRule()) for name in names]
    weight = np.array([rule.weight for rule in each])
    totals = np.asarray(weight * np.bincount(codes), dtype=np.float64)
    caps = np.array([rule.max_share for rule in each])
    held = _within(totals, caps)
    factor = np.divide(held, totals, out=np.zeros_like(held), where=totals > 0)
    return np.asarray((weight * factor)[codes], dtype=np.float64)


def _within(totals: Values, caps: Values) -> Values:
    """The largest totals, none above the given one, with no source above its cap of their sum."""
    there = totals > 0
    scarce = float(caps[there].sum())
    if scarce <= 1.0 + 1e-12:  # nothing is left to fill up the rest: proportions are all there is
        filled = np.where(there, caps, 0.0)
        ratios = totals[there] / caps[there]
        return filled * float(ratios.min(initial=np.inf)) if there.any() else totals
    capped = np.zeros(len(totals), dtype=bool)
    while True:
        # what is not capped fills the rest: sum = free / (1 - caps of the capped)
        whole = float(totals[~capped].sum()) / (1.0 - float(caps[capped].sum()))
        over = ~capped & there & (totals > caps * whole * (1 + 1e-12))
        if not over.any():
            return np.where(capped, np.minimum(totals, caps * whole), totals)
        capped |= over


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRule:
    """``alpha`` is the chance that any good source is named (Holm). ``min_rows`` labels are needed to be audited.

    ``margin`` is how much more than its due a source must disagree to matter: sources differ a little without
    being bad. ``groups`` is the largest number of models trained in one round.
    """

    alpha: float = 0.05
    min_rows: int = 30
    margin: float = 0.03
    groups: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAudit:
    """One source, as it stood when it was named or at the end.

    ``disagreement`` is with the models of the others. ``due`` is what would be expected of a good source with
    these rows. ``wrong`` is the share of its labels that would explain the rest. ``p`` is Holm's; None
    where it has too few labels to say.
    """

    source: str
    disagreement: Proportion
    due: float
    wrong: float
    p: float | None
    bad: bool

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "disagreement": self.disagreement.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcesAudit:
    """All sources, the bad ones first in the order they were named, then by name."""

    sources: tuple[SourceAudit, ...]
    reason: str

    @property
    def bad(self) -> tuple[str, ...]:
        return tuple(each.source for each in self.sources if each.bad)

    def to_json(self) -> dict[str, Any]:
        return {"sources": [each.to_json() for each in self.sources], "bad": self.bad, "reason": self.reason}


def audit_sources(
    learner: Learner,
    y: npt.NDArray[Any],
    sources: Sequence[str],
    *,
    classes: int,
    rule: AuditRule | None = None,
    seed: int,
) -> SourcesAudit:
    """Name the sources whose labels ``y`` (n, class positions) can't be trusted.

    In a round each source's rows are predicted by a model that was trained without it (and, with more than
    ``rule.groups`` sources, without some others). The worst is named if its Holm-adjusted p-value is at most ``alpha``, is
    taken out, and the round is repeated: a bad source also spoils the models that the others are held
    against. At least one source stays. Raises ValueError where the arguments don't fit.
    """
    rule = rule or AuditRule()
    truth, names = np.asarray(y, dtype=np.intp), np.asarray(sources, dtype=str)
    if truth.shape != names.shape or (len(truth) and not 0 <= truth.min() <= truth.max() < classes):
        raise ValueError(f"a label below {classes} and a source for each row were expected")
    named: list[SourceAudit] = []
    rows = np.arange(len(truth), dtype=np.intp)
    while True:
        found = _round(learner, truth, names, rows, classes, rule, seed)
        # of sources that are all certain, the one that is furthest off
        worst = min(found, key=lambda each: (_p(each), -each.wrong), default=None)
        if worst is None or not worst.bad:
            break
        named.append(worst)
        rows = rows[names[rows] != worst.source]
    return SourcesAudit(sources=(*named, *found), reason=_sentence(named, found))


def _p(each: SourceAudit) -> float:
    return 2.0 if each.p is None else each.p


def _round(
    learner: Learner,
    y: Positions,
    names: npt.NDArray[np.str_],
    rows: Positions,
    classes: int,
    rule: AuditRule,
    seed: int,
) -> list[SourceAudit]:
    there, codes = np.unique(names[rows], return_inverse=True)
    if len(there) < 2:
        return [_alone(str(name)) for name in there]
    random = np.random.default_rng(seed)
    by_source = random.permutation(np.arange(len(there)) % min(rule.groups, len(there)))[codes]
    by_row = random.permutation(np.arange(len(rows)) % _FOLDS)
    without = _Held.of(learner, rows, by_source, y, classes)
    within = _Held.of(learner, rows, by_row, y, classes)
    tests = []
    for s, name in enumerate(there):
        own = codes == s
        test = without.tested(str(name), own, rule)
        # rows unlike all others' make any source look bad to the others' model, but not to one that knows such rows
        p = None if test.p is None else max(test.p, _p(within.tested(str(name), own, rule)))
        tests.append(replace(test, p=p))
    return _holm(tests, rule.alpha)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What models that had not seen them say of all rows: whether the label differs, and how sure they are.

    ``sure`` are the rows on which wrong labels show best. They are picked by the models' word alone, never by
    the labels under test.
    """

    predicted: Values
    y: Positions
    differs: npt.NDArray[np.bool_]
    sure: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, learner: Learner, rows: Positions, parts: Positions, y: Positions, classes: int) -> _Held:
        predicted = np.empty((len(rows), classes))
        for part in np.unique(parts):
            inside = parts == part
            predicted[inside] = learner(rows[~inside], rows[inside])
        truth = y[rows]
        differs = np.asarray(predicted.argmax(axis=1) != truth, dtype=bool)
        honest = tempered(predicted, temperature(predicted, truth)).max(axis=1)
        return cls(predicted=predicted, y=truth, differs=differs, sure=_telling(honest, parts))

    def tested(self, source: str, own: npt.NDArray[np.bool_], rule: AuditRule) -> SourceAudit:
        """Two tests of one source; ``p`` is the larger one, before Holm."""
        mine, theirs = own & self.sure, ~own & self.sure
        n, k = int(mine.sum()), int(self.differs[mine].sum())
        others, their = int(theirs.sum()), int(self.differs[theirs].sum())
        heat = temperature(self.predicted[theirs], self.y[theirs])
        sureness = tempered(self.predicted[mine], heat).max(axis=1)
        due = max(their / max(others, 1), float(np.mean(1.0 - sureness)) if n else 0.0)
        p: float | None = None
        if int(own.sum()) >= rule.min_rows:
            more_than_others = scipy.stats.hypergeom.sf(
                k - 1, n + others, k + their, n
            )  # Fisher's exact test
            more_than_due = scipy.stats.binom.sf(k - 1, n, min(due + rule.margin, 1.0))
            p = float(max(more_than_others, more_than_due))
        # a wrong label disagrees where the model is right; in K classes mostly where it is wrong, too
        full = 1.0 - due - due / (self.predicted.shape[1] - 1)
        wrong = float(np.clip((k / n - due) / full, 0.0, 1.0)) if n and full > 0 else 0.0
        return SourceAudit(source=source, disagreement=wilson(k, n), due=due, wrong=wrong, p=p, bad=False)


def _telling(sureness: Values, parts: Positions) -> npt.NDArray[np.bool_]:
    """The surest rows of each part, as many of them as make 20% wrong labels stand out most.

    Where the model errs on a share e, so many wrong labels raise its disagreement by 0.2 (1 - 2e): more of its
    standard error the smaller e is, but the fewer rows the larger that error. Each model's rows are picked by
    themselves: the one that was trained without the bad source is the surest, and picked together with the
    others' its rows would be all there is, with nothing to hold them against.
    """
    sure = np.zeros(len(sureness), dtype=bool)
    for part in np.unique(parts):
        own = np.flatnonzero(parts == part)
        order = own[np.argsort(-sureness[own], kind="stable")]
        count = np.arange(1, len(order) + 1)
        errs = np.clip(np.cumsum(1.0 - sureness[order]) / count, 0.0, 0.5)
        seen = np.sqrt(count) * (1.0 - 2.0 * errs) / np.sqrt(errs * (1.0 - errs) + 0.01)
        sure[order[: int(seen.argmax()) + 1]] = True
    return sure


def _alone(source: str) -> SourceAudit:
    return SourceAudit(source=source, disagreement=wilson(0, 0), due=0.0, wrong=0.0, p=None, bad=False)


def _holm(tests: list[SourceAudit], alpha: float) -> list[SourceAudit]:
    """Holm's step-down (1979): the chance of any false name is at most alpha."""
    order = sorted((i for i, each in enumerate(tests) if each.p is not None), key=lambda i: _p(tests[i]))
    adjusted: dict[int, float] = {}
    highest = 0.0
    for step, i in enumerate(order):
        highest = max(highest, min(_p(tests[i]) * (len(order) - step), 1.0))
        adjusted[i] = highest
    return [
        replace(each, p=adjusted.get(i), bad=adjusted.get(i, 2.0) <= alpha) for i, each in enumerate(tests)
    ]


def _sentence(named: list[SourceAudit], rest: list[SourceAudit]) -> str:
    if named:
        return "; ".join(
            f"{each.source!r} disagrees with the model of the others on {each.disagreement.estimate:.0%} of its "
            f"{each.disagreement.of:,} labels, {each.due:.0%} would be expected: about {each.wrong:.0%} are wrong"
            for each in named
        )
    if len(rest) < 2:
        return "one source alone can't be held against others"
    few = [each.source for each in rest if each.p is None]
    if few:
        return f"no source stands out; too few labels to say of {', '.join(map(repr, few))}"
    return "no source stands out"
