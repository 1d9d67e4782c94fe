"""Which unlabelled rows are most worth a person's label?

Those the candidates are unsure of (small margin) or disagree on (query by committee), each worth more where rows
are dense and where the inputs have drifted, and less beside one already chosen. Rows unlike all training rows are few
of them, and those first that came in company: a new group is worth a look, garbage is not. A share of the queue is
drawn at random with known probabilities: chosen rows are the hard ones, and a quality measured on them
alone would be too low.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.sampling import Estimate, horvitz_thompson
from automl.surroundings import Surroundings
from automl.tallies import Positions, Values

__all__ = ["Estimate", "Queue", "QueueRule", "Why", "horvitz_thompson", "queue"]

_AHEAD = 5
"""So many times the rows asked for are looked at when similar ones are passed over."""
_MOST = 5_000
_MOST_ODD = 500


class Why(StrEnum):
    """What raised a row most, or that it was drawn; ``check``: it has a label that may be wrong."""

    UNCERTAIN = "uncertain"
    DISPUTED = "disputed"
    DRIFTED = "drifted"
    NEW = "new"
    TYPICAL = "typical"
    DRAWN = "drawn"
    CHECK = "check"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRule:
    """How a row's worth is made up.

    ``uncertainty`` and ``disagreement`` weigh against each other. ``density`` is the part of its worth that the
    loneliest row loses, ``drift`` the part that a row wholly in the drifted region gains. ``variety`` passes
    over rows like those chosen before. ``random_share`` of the queue is drawn, one row at least unless it is 0.
    ``odd_rows`` is the share of the chosen rows that may be odd ones; at 1 they are chosen as any other.
    """

    uncertainty: float = 1.0
    disagreement: float = 1.0
    density: float = 0.3
    drift: float = 1.0
    variety: bool = True
    random_share: float = 0.1
    odd_rows: float = 0.05

    def __post_init__(self) -> None:
        if min(self.uncertainty, self.disagreement, self.drift) < 0 or not 0 <= self.density <= 1:
            raise ValueError("weights must be zero or more, and density at most 1")
        if not 0 <= self.random_share <= 1:
            raise ValueError(f"random_share must lie between 0 and 1, not {self.random_share}")
        if not 0 <= self.odd_rows <= 1:
            raise ValueError(f"odd_rows must lie between 0 and 1, not {self.odd_rows}")

    def drawn(self, wanted: int) -> int:
        """How many of ``wanted`` rows are drawn at random."""
        return 0 if self.random_share == 0 else min(max(round(wanted * self.random_share), 1), wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Rows to label, most useful first, the drawn ones spread evenly among them. All arrays are (b,).

    ``rows`` are positions in the pool of ``pool`` rows. ``values`` is what each is worth (0 and up; comparable
    within one queue), ``reasons`` why. ``probabilities`` is the chance with which each came to be in
    the queue: 1 for those chosen by worth, the drawn ones' share of all others else.
    """

    rows: Positions
    values: Values
    reasons: tuple[Why, ...]
    probabilities: Values
    pool: int

    @property
    def drawn(self) -> npt.NDArray[np.bool_]:
        return np.array([why is Why.DRAWN for why in self.reasons], dtype=bool)

    def estimate(
        self, answers: npt.NDArray[Any], answered: npt.NDArray[np.bool_], *, alpha: float = 0.05
    ) -> Estimate:
        """The mean over the pool of something that labels tell (that a prediction is wrong, say).

        ``answers`` and ``answered`` are (b,), in the order of the queue; what was not answered is not read. People
        stop before the end and skip rows. Drawn rows come in random order, so those answered count for those not,
        unless they are skipped for what they hold; chosen rows without an answer are left out of
        the mean, which is then over the pool without them.
        """
        done, drawn = np.asarray(answered, dtype=bool), self.drawn
        if done.shape != self.rows.shape or np.shape(answers) != self.rows.shape:
            raise ValueError(f"answers to {len(self.rows):,} rows were expected")
        others = self.pool - int(np.sum(~drawn))
        share = np.sum(done & drawn) / others if others else 0.0
        return horvitz_thompson(
            np.asarray(answers, dtype=np.float64)[done],
            np.where(drawn, share, 1.0)[done],
            population=self.pool - int(np.sum(~drawn & ~done)),
            alpha=alpha,
        )


def queue(
    candidates: npt.NDArray[Any],
    wanted: int,
    rule: QueueRule,
    *,
    seed: int,
    features: npt.NDArray[Any] | None = None,
    drift: npt.NDArray[Any] | None = None,
    odd: npt.NDArray[np.bool_] | None = None,
) -> Queue:
    """The ``wanted`` rows of a pool of n most worth a label (all n where there are fewer).

    ``candidates`` are the predictions of the last M models, the champion among them: probabilities (M, n, K)
    or numbers (M, n). ``features`` (n, d) is a numeric matrix without gaps, for density and variety; without
    it neither counts. ``drift`` (n,) from 0 to 1 says how much a row belongs to the drifted region
    (a domain classifier's probability), ``odd`` (n,) which rows lie far from all training rows. The same arguments
    give the same queue. Raises ValueError on shapes that don't fit.
    """
    predicted = np.asarray(candidates, dtype=np.float64)
    if predicted.ndim not in (2, 3) or not np.isfinite(predicted).all():
        raise ValueError(f"finite predictions of shape (M, n, K) or (M, n) were expected: {predicted.shape}")
    n = predicted.shape[1]
    moved = np.zeros(n) if drift is None else np.clip(np.asarray(drift, dtype=np.float64), 0.0, 1.0)
    if any(len(each) != n for each in (moved, features, odd) if each is not None):
        raise ValueError(f"features, drift and odd must have a row for each of the {n:,} in the pool")
    wanted = min(wanted, n)
    random = np.random.default_rng(seed)
    around = None if features is None else Surroundings.of(np.asarray(features, dtype=np.float64), random)
    unsure, disputed = uncertainty(predicted), disagreement(predicted)
    parts = np.stack([rule.uncertainty * unsure, rule.disagreement * disputed])
    value = parts.sum(axis=0) / max(rule.uncertainty + rule.disagreement, 1e-12)
    if around is not None:
        value = value * (1.0 - rule.density * (1.0 - around.density))
    raised = value * (1.0 + rule.drift * moved)
    tie = np.asarray(
        random.random(size=(n,)), dtype=np.float64
    )  # equal rows must not be asked for in the order of the table
    count = wanted - rule.drawn(wanted)
    # Where the rows have moved, being unlike the old ones is no fault.
    strange = None if odd is None else np.asarray(odd, dtype=bool) & (moved < 0.5)
    new, apart = company(strange, around, tie, rule, count)
    usual = min(count - len(new), int(np.sum(~apart)))
    chosen = _chosen(np.where(apart, -1.0, raised), tie, usual, around if rule.variety else None)
    reasons = [_why(parts[:, row], rule.drift * moved[row]) for row in chosen]
    chosen, reasons = with_new(chosen, reasons, new)
    return together(chosen, reasons, raised, wanted, random)


def company(
    odd: npt.NDArray[np.bool_] | None,
    around: Surroundings | None,
    tie: Values,
    rule: QueueRule,
    count: int,
) -> tuple[Positions, npt.NDArray[np.bool_]]:
    """The few odd rows among ``count`` to choose, those with most company among the odd first and each group once as
    far as it goes; and which rows are not to be chosen otherwise."""
    apart = (
        np.zeros(len(tie), dtype=bool) if odd is None or rule.odd_rows == 1 else np.asarray(odd, dtype=bool)
    )
    places = np.flatnonzero(apart)
    few = min(round(rule.odd_rows * count + 0.5 * (rule.odd_rows > 0)), len(places), count)
    if few == 0 or around is None:
        return places[np.argsort(tie[places])][:few], apart
    places = places[:_MOST_ODD]
    alike = np.stack([around.likeness(places, int(row)) for row in places])
    worth = alike.sum(axis=1) - 1.0 + 1e-6 * tie[places]
    new = []
    for _ in range(few):
        best = int(worth.argmax())
        new.append(places[best])
        worth = np.where(worth >= 0, worth * (1.0 - alike[best]), worth)
        worth[best] = -1.0
    return np.array(new, dtype=np.intp), apart


def with_new(chosen: Positions, reasons: list[Why], new: Positions) -> tuple[Positions, list[Why]]:
    """The chosen rows with the new ones spread evenly among them."""
    order = _interleaved(len(chosen), len(new))
    both = [*reasons, *[Why.NEW] * len(new)]
    return np.concatenate([chosen, new])[order].astype(np.intp), [both[at] for at in order]


def together(
    chosen: Positions, reasons: list[Why], worth: Values, wanted: int, random: np.random.Generator
) -> Queue:
    """The queue of chosen rows, filled up to ``wanted`` with rows drawn from all others."""
    n = len(worth)
    others = np.setdiff1d(np.arange(n), chosen)
    lots = random.permutation(others)[: wanted - len(chosen)]
    order = _interleaved(len(chosen), len(lots))
    rows = np.concatenate([chosen, lots])[order].astype(np.intp)
    both = [*reasons, *[Why.DRAWN] * len(lots)]
    chances = np.concatenate([np.ones(len(chosen)), np.full(len(lots), len(lots) / max(len(others), 1))])
    return Queue(
        rows=rows,
        values=worth[rows],
        reasons=tuple(both[i] for i in order),
        probabilities=chances[order],
        pool=n,
    )


def uncertainty(predicted: Values) -> Values:
    """One less the margin between the two likeliest classes of the mean prediction, (n,) from 0 to 1.

    Margins have been hard to beat on tables (Bahri et al. 2022). Numbers have none: 0.
    """
    if predicted.ndim == 2:
        return np.zeros(predicted.shape[1])
    mean = predicted.mean(axis=0)
    top = np.partition(mean, mean.shape[1] - 2, axis=1)[:, -2:]
    return np.asarray(np.clip(1.0 - (top[:, 1] - top[:, 0]), 0.0, 1.0), dtype=np.float64)


def disagreement(predicted: Values) -> Values:
    """How far the models differ, (n,) from 0 to 1: what uncertainty more labels could take away.

    The Jensen-Shannon divergence of their probabilities over its largest value (McCallum & Nigam 1998; Houlsby
    et al. 2011), or for numbers the standard deviation over the largest in the pool.
    """
    if predicted.ndim == 2:
        spread = predicted.std(axis=0)
        return np.asarray(spread / max(float(spread.max(initial=0.0)), 1e-12), dtype=np.float64)
    models, _, k = predicted.shape
    if models == 1:
        return np.zeros(predicted.shape[1])
    between = _entropy(predicted.mean(axis=0)) - _entropy(predicted).mean(axis=0)
    return np.asarray(np.clip(between / np.log(min(models, k)), 0.0, 1.0), dtype=np.float64)


def _entropy(p: Values) -> Values:
    return np.asarray(-np.sum(p * np.log(np.clip(p, 1e-12, 1.0)), axis=-1), dtype=np.float64)


def _chosen(value: Values, tie: Values, count: int, around: Surroundings | None) -> Positions:
    """The most valuable rows in order; with ``around``, each one taken lowers those like it."""
    order = np.lexsort((tie, -value))
    if around is None or count <= 1:
        return order[:count].astype(np.intp)
    ahead = order[: max(count, min(_AHEAD * count, _MOST))]
    worth, chosen = value[ahead] + 1e-12, []
    for _ in range(count):
        best = int(worth.argmax())
        chosen.append(ahead[best])
        worth *= 1.0 - around.likeness(ahead, int(ahead[best]))
        worth[best] = -1.0
    return np.array(chosen, dtype=np.intp)


def _interleaved(chosen: int, lots: int) -> Positions:
    """An order that keeps each part's own and spreads the lots evenly among the chosen."""
    places = np.concatenate(
        [(np.arange(chosen) + 0.5) / max(chosen, 1), (np.arange(lots) + 0.5) / max(lots, 1)]
    )
    return np.argsort(places, kind="stable").astype(np.intp)


def _why(parts: Values, drift: float) -> Why:
    if drift >= 0.5:
        return Why.DRIFTED
    return Why.DISPUTED if parts[1] > parts[0] else Why.UNCERTAIN
