"""Which pseudo-labels given in the past may still train."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.pseudo_rule import PseudoRule
from automl.tallies import Positions


class Spent(StrEnum):
    """Why a label no longer counts; the first that holds, in this order."""

    SUPERSEDED = "superseded"
    REVOKED = "revoked"
    SECOND_GENERATION = "second_generation"
    EXPIRED = "expired"
    FROM_THE_FUTURE = "from_the_future"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """``positions`` of the labels that still count, ascending, and how many of the others fell to what."""

    positions: Positions
    spent: Mapping[Spent, int]


def standing(
    given_at: npt.NDArray[np.datetime64],
    teachers: npt.NDArray[Any],
    has_truth: npt.NDArray[np.bool_],
    rule: PseudoRule,
    *,
    now: datetime,
    first_generation: Collection[int],
    revoked: Collection[int] = (),
    taken_back: npt.NDArray[np.bool_] | None = None,
) -> Standing:
    """The pseudo-labels that may still train at ``now`` (aware); all arrays are (n,).

    A label counts while its row has no truth, neither its teacher (a model version) is ``revoked`` nor the label
    itself ``taken_back``, the teacher is one of the ``first_generation`` (trained on true labels only), and it
    is younger than the rule's lifetime.
    ``given_at`` is UTC. A label of a later time than ``now`` doesn't count: clocks that disagree must not
    make a label immortal. Raises ValueError on lengths that differ or a naive ``now``.
    """
    if now.tzinfo is None:
        raise ValueError("now must be an aware datetime")
    gone = np.zeros(len(has_truth), dtype=bool) if taken_back is None else np.asarray(taken_back, dtype=bool)
    if not len(given_at) == len(teachers) == len(has_truth) == len(gone):
        raise ValueError("times, teachers and truths must be of one length")
    moment = np.datetime64(now.astimezone(UTC).replace(tzinfo=None), "us")
    age: npt.NDArray[Any] = moment - np.asarray(given_at, dtype="datetime64[us]")
    by = np.asarray(teachers, dtype=np.int64)
    tests: tuple[tuple[Spent, npt.NDArray[np.bool_]], ...] = (
        (Spent.SUPERSEDED, np.asarray(has_truth, dtype=bool)),
        (Spent.REVOKED, gone | np.isin(by, np.array(sorted(revoked), dtype=np.int64))),
        (Spent.SECOND_GENERATION, ~np.isin(by, np.array(sorted(first_generation), dtype=np.int64))),
        (Spent.EXPIRED, np.asarray(age >= np.timedelta64(rule.lifetime), dtype=bool)),
        (Spent.FROM_THE_FUTURE, np.asarray(age < np.timedelta64(0, "us"), dtype=bool)),
    )
    counts, spent = np.ones(len(by), dtype=bool), {}
    for reason, holds in tests:
        spent[reason] = int(np.sum(counts & holds))
        counts &= ~holds
    return Standing(positions=np.flatnonzero(counts).astype(np.intp), spent=spent)
