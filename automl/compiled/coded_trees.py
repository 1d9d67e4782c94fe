"""Bit trees for rows whose categories are known by their codes: no feature of a category is ever written down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from automl.compiled.bit_trees import BitTrees, Surviving
from automl.compiled.lookups import ONE_BY_ONE_FROM, Bits, Lookups, Ordered, Places
from automl.compiled.positions import Positions

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

CODED_FROM = ONE_BY_ONE_FROM
"""Rows from which this is quicker than a matrix of features."""
_MOST_BYTES = 8 * 1024 * 1024
"""Of the lines of a model's categories."""
_MOST_JOINT = 1_200
"""Codes of two categories together that have one look-up; with more, their lines leave the processor's cache."""
_FLAGS_TOGETHER = 4
"""Flags that have one look-up."""


class _CodedPart:
    """What rows leave standing in the trees of one part.

    ``plain`` and ``categories`` as in :func:`coded_trees`.
    """

    def __init__(
        self, lookups: Lookups, plain: Sequence[int], categories: Sequence[tuple[int, Floats]]
    ) -> None:
        at = {feature: place for place, feature in enumerate(plain)}
        ordered = [each for each in lookups.ordered if each.feature in at]
        self._ordered = [at[each.feature] for each in ordered]
        self._positions = Positions([each.thresholds for each in ordered], [0] * len(ordered))
        self._tables = [_lines(lookups, each) for each in ordered]
        flags = [
            feature
            for feature in np.flatnonzero(np.isfinite(lookups.flag_thresholds)).tolist()
            if feature in at
        ]
        self._flags = [
            flags[start : start + _FLAGS_TOGETHER] for start in range(0, len(flags), _FLAGS_TOGETHER)
        ]
        self._flag_places = [[at[feature] for feature in group] for group in self._flags]
        self._flag_limits = [lookups.flag_thresholds[group][:, None] for group in self._flags]
        self._tables += [_flag_lines(lookups, group) for group in self._flags]
        self._joint = _joint([_category_lines(lookups, start, features) for start, features in categories])
        self._tables += [lines for _, lines in self._joint]
        self._tables = self._tables or [_untouched(lookups, 1)]

    @property
    def width(self) -> int:
        """Look-ups a row."""
        return len(self._tables)

    def surviving(self, plain: Floats, codes: Sequence[Codes]) -> Surviving:
        """``plain`` is (features, rows), without NaN; ``codes`` has one array for each category."""
        at = np.zeros((len(self._tables), plain.shape[1]), np.intp)
        known = len(self._ordered)
        if known:
            self._positions(plain[self._ordered], at[:known])
        for places, limits in zip(self._flag_places, self._flag_limits, strict=True):
            weights = 1 << np.arange(len(places))[:, None]
            ((plain[places] > limits) * weights).sum(axis=0, out=at[known])
            known += 1
        for members, _ in self._joint:
            at[known] = _joint_codes(members, codes)
            known += 1
        return lambda rows: self._left(at[:, rows])

    def _left(self, at: Places) -> Bits:
        left: Bits = self._tables[0].take(at[0], axis=0)
        one = np.empty_like(left)
        for lines, places in zip(self._tables[1:], at[1:], strict=True):
            lines.take(places, axis=0, out=one, mode="clip")
            np.bitwise_and(left, one, out=left)
        return left


class CodedTrees:
    """The answers of :class:`BitTrees`, (n, outputs), to the same bits. Made by :func:`coded_trees`."""

    def __init__(self, bits: BitTrees, parts: Sequence[_CodedPart]) -> None:
        self._bits = bits
        self._parts = parts

    @property
    def width(self) -> int:
        """Look-ups a row in the part that has most."""
        return max(part.width for part in self._parts)

    def __call__(self, plain: Floats, codes: Sequence[Codes]) -> Floats:
        """``plain`` is (features, rows), without NaN; ``codes`` has one array for each category."""
        surviving = (part.surviving(plain, codes) for part in self._parts)
        answers = self._bits.summed(plain.shape[1], surviving)
        assert answers is not None  # no part leaves rows to another way
        return answers


def coded_trees(
    bits: BitTrees, plain: Sequence[int], categories: Sequence[tuple[int, Floats]]
) -> CodedTrees | None:
    """``plain`` says which features are given as numbers; ``categories`` says of each category at which feature it
    begins, and has its features by code. None where tables would be too large, or a row would need too many look-ups."""
    if sum(len(features) for _, features in categories) * bits.line_bytes > _MOST_BYTES:
        return None
    made = CodedTrees(bits, [_CodedPart(part.lookups, plain, categories) for part in bits.parts])
    return made if made.width <= bits.widest else None


def _lines(lookups: Lookups, ordered: Ordered) -> Bits:
    return lookups.lines[ordered.first : ordered.first + len(ordered.thresholds) + 1]


def _untouched(lookups: Lookups, count: int) -> Bits:
    return lookups.lines[-1:].repeat(count, axis=0)


def _flag_lines(lookups: Lookups, features: Sequence[int]) -> Bits:
    """One line for each way in which these flags can be up, as the bits of its number."""
    lines = _untouched(lookups, 1 << len(features))
    ways = np.arange(len(lines))
    for place, feature in enumerate(features):
        lines[(ways >> place & 1).astype(bool)] &= lookups.lines[lookups.flag_lines[feature]]
    return lines


def _category_lines(lookups: Lookups, start: int, features: Floats) -> Bits:
    """What is left standing by all features of a category, whose first is ``start``, by its code."""
    lines = _untouched(lookups, len(features))
    within = range(start, start + features.shape[1])
    for each in lookups.ordered:
        if each.feature in within:
            places = each.thresholds.searchsorted(features[:, each.feature - start])
            lines &= _lines(lookups, each)[places]
    for feature in within[: max(0, len(lookups.flag_thresholds) - start)]:
        up = features[:, feature - start] > lookups.flag_thresholds[feature]
        lines[up] &= lookups.lines[lookups.flag_lines[feature]]
    return lines


_Member = tuple[int, int]
"""A category, and how far its next code is in the lines of several."""


def _joint(categories: Sequence[Bits]) -> list[tuple[list[_Member], Bits]]:
    """Categories of few codes get one look-up together, as long as the lines of all pairs stay few."""
    groups = [([(place, 1)], lines) for place, lines in enumerate(categories)]
    while len(groups) > 1:
        groups.sort(key=lambda group: len(group[1]), reverse=True)
        (some, first), (others, second) = groups[-2:]
        if len(first) * len(second) > _MOST_JOINT:
            break
        members = [(place, step * len(second)) for place, step in some] + others
        lines = (first[:, None] & second[None]).reshape(-1, first.shape[1])
        groups[-2:] = [(members, lines)]
    return groups


def _joint_codes(members: Sequence[_Member], codes: Sequence[Codes]) -> Codes:
    (place, step), *others = members
    found = codes[place] * step
    for place, step in others:
        found += codes[place] * step
    return found
