"""One column as coordinates in which far means unlike: numbers in robust units, categories by how rare they are.

Numpy and Arrow alone: the server scores rows before it has reason to import anything heavier.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from automl.date_parts import PARTS, useful_parts
from automl.tallies import Values

KEPT_WORDS = 50
"""Categories with a coordinate of their own; rarer ones share one, unseen ones another."""
_TYPICAL = 2.0  # the mean squared distance of two rows in a number of unit variance
_LARGEST = 1e12
_SPANS = ((25.0, 75.0, 1.349), (5.0, 95.0, 3.290), (1.0, 99.0, 4.653))
_BITS = 2**15

Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Numbers in units of their usual spread from the median, and by orders of magnitude beyond (asinh).

    The spread is that of the middle half (for normal numbers the standard deviation), of a wider middle where half
    of them are equal. A number that never varied has a unit so small that any other stands out. ``low`` to ``high``
    is where nine of ten lie.
    """

    centre: float
    unit: float
    low: float
    high: float

    @classmethod
    def fit(cls, numbers: Values) -> Scale:
        seen = numbers[np.isfinite(numbers)]
        if not seen.size:
            return cls(centre=0.0, unit=1.0, low=math.nan, high=math.nan)
        centre = float(np.median(seen))
        low, high = (float(edge) for edge in np.percentile(seen, (5.0, 95.0)))
        unit = max(abs(centre), 1.0) * 1e-3
        for lower, upper, width in _SPANS:
            edges = np.percentile(seen, (lower, upper))
            if (spread := float(edges[1] - edges[0])) > 0:
                unit = spread / width
                break
        else:
            unit = float(seen.std()) or unit
        return cls(centre=centre, unit=unit, low=low, high=high)

    def coordinates(self, numbers: Values) -> Values:
        """Missing numbers lie at the median: that they are missing is told apart."""
        units = np.clip((numbers - self.centre) / self.unit, -_LARGEST, _LARGEST)
        return np.where(np.isnan(units), 0.0, np.arcsinh(units))

    def to_json(self) -> Json:
        return {"centre": self.centre, "unit": self.unit, "low": self.low, "high": self.high}


def surprise(share: float | Values, rows: int) -> Any:
    """The coordinate of something that a share of the rows has: its information in nats, squared in a distance.

    What no row has counts as seen once in twice as many.
    """
    return np.sqrt(-np.log(np.clip(share, 0.5 / max(rows, 1), 1.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberColumn:
    """A number (or true and false), and that it is missing."""

    name: str
    scale: Scale
    missing: float

    @classmethod
    def fit(cls, name: str, values: pa.Array) -> NumberColumn:
        share = values.null_count / max(len(values), 1)
        missing = float(surprise(share, len(values)))
        return cls(name=name, scale=Scale.fit(_numbers(values)), missing=missing)

    @property
    def width(self) -> int:
        return 2

    def coordinates(self, values: pa.Array) -> Values:
        numbers = _numbers(values)
        gone = np.isnan(numbers) * self.missing
        return np.column_stack([self.scale.coordinates(numbers), gone])

    @property
    def usual(self) -> tuple[float, float] | None:
        return None if math.isnan(self.scale.low) else (self.scale.low, self.scale.high)

    def to_json(self) -> Json:
        return {"name": self.name, "scale": self.scale.to_json(), "missing": self.missing}

    @classmethod
    def from_json(cls, data: Json) -> NumberColumn:
        return cls(name=data["name"], scale=Scale(**data["scale"]), missing=data["missing"])


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryColumn:
    """Words, each at its own distance from all others; then the rare, the unseen and the missing ones.

    ``places`` are the coordinates of these, ``rare`` the words beyond ``words``.
    """

    name: str
    words: tuple[str, ...]
    rare: tuple[str, ...]
    places: tuple[float, ...]

    @classmethod
    def fit(cls, name: str, values: pa.Array) -> CategoryColumn:
        counted = pc.value_counts(values.drop_null())
        pairs = zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)
        frequent = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
        kept, rest = frequent[:KEPT_WORDS], frequent[KEPT_WORDS:]
        rows = len(values)
        counts = [count for _, count in kept] + [sum(count for _, count in rest), 0, values.null_count]
        shares = np.array(counts) / max(rows, 1)
        places = surprise(shares, rows)
        # Many words that are all rare would drown the other columns, and say nothing.
        apart = float(np.sum(2.0 * shares * (1.0 - shares) * places**2))
        factor = min(1.0, math.sqrt(_TYPICAL / apart)) if apart > 0 else 1.0
        return cls(
            name=name,
            words=tuple(word for word, _ in kept),
            rare=tuple(word for word, _ in rest),
            places=tuple((factor * places).tolist()),
        )

    @property
    def width(self) -> int:
        return len(self.words) + 3

    def coordinates(self, values: pa.Array) -> Values:
        known, rows = len(self.words), len(values)
        codes = pc.index_in(values, pa.array([*self.words, *self.rare], pa.string()))
        place = codes.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.intp)
        missing = values.is_null().to_numpy(zero_copy_only=False).astype(np.bool_)
        place = np.where(place >= known, known, np.where(place < 0, known + 1, place))
        place[missing] = known + 2
        found = np.zeros((rows, self.width))
        found[np.arange(rows), place] = np.array(self.places)[place]
        return found

    @property
    def usual(self) -> None:
        return None

    def to_json(self) -> Json:
        return {"name": self.name, "words": self.words, "rare": self.rare, "places": self.places}

    @classmethod
    def from_json(cls, data: Json) -> CategoryColumn:
        parts = {part: tuple(data[part]) for part in ("words", "rare", "places")}
        return cls(name=data["name"], **parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class DateColumn:
    """The parts of a time that come round again. The date itself moves on by itself, and is no sign of anything."""

    name: str
    parts: tuple[tuple[str, Scale], ...]
    missing: float

    @classmethod
    def fit(cls, name: str, values: pa.Array) -> DateColumn:
        times = _times(values)
        useful = [part for part, _ in useful_parts(times, is_order=True)]
        parts = tuple((part, Scale.fit(PARTS[part](times))) for part in useful)
        return cls(
            name=name,
            parts=parts,
            missing=float(surprise(values.null_count / max(len(values), 1), len(values))),
        )

    @property
    def width(self) -> int:
        return len(self.parts) + 1

    def coordinates(self, values: pa.Array) -> Values:
        times = _times(values)
        found = [scale.coordinates(PARTS[part](times)) for part, scale in self.parts]
        return np.column_stack([*found, np.isnat(times) * self.missing])

    @property
    def usual(self) -> None:
        return None

    def to_json(self) -> Json:
        parts = [[part, scale.to_json()] for part, scale in self.parts]
        return {"name": self.name, "parts": parts, "missing": self.missing}

    @classmethod
    def from_json(cls, data: Json) -> DateColumn:
        parts = tuple((part, Scale(**scale)) for part, scale in data["parts"])
        return cls(name=data["name"], parts=parts, missing=data["missing"])


@dataclass(frozen=True, slots=True, kw_only=True)
class TextColumn:
    """How long a text is, and what part of its words no text had; ``known`` are hashes of words."""

    name: str
    length: Scale
    known: frozenset[int]
    strange: Scale
    missing: float

    @classmethod
    def fit(cls, name: str, values: pa.Array) -> TextColumn:
        texts = values.to_pylist()
        half = max(len(texts) // 2, 1)
        # What is new among the words of one half to the other: among its own, nothing is.
        strange = _strangeness(texts[half:], _known(texts[:half]))
        return cls(
            name=name,
            length=Scale.fit(_lengths(values)),
            known=_known(texts),
            strange=Scale.fit(strange),
            missing=float(surprise(values.null_count / max(len(values), 1), len(values))),
        )

    @property
    def width(self) -> int:
        return 3

    def coordinates(self, values: pa.Array) -> Values:
        strange = np.maximum(_strangeness(values.to_pylist(), self.known), self.strange.centre)
        gone = values.is_null().to_numpy(zero_copy_only=False) * self.missing
        return np.column_stack(
            [self.length.coordinates(_lengths(values)), self.strange.coordinates(strange), gone]
        )

    @property
    def usual(self) -> None:
        return None

    def to_json(self) -> Json:
        return {
            "name": self.name,
            "length": self.length.to_json(),
            "known": sorted(self.known),
            "strange": self.strange.to_json(),
            "missing": self.missing,
        }

    @classmethod
    def from_json(cls, data: Json) -> TextColumn:
        return cls(
            name=data["name"],
            length=Scale(**data["length"]),
            known=frozenset(data["known"]),
            strange=Scale(**data["strange"]),
            missing=data["missing"],
        )


OddColumn: TypeAlias = NumberColumn | CategoryColumn | DateColumn | TextColumn


def _numbers(values: pa.Array) -> Values:
    return np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _times(values: pa.Array) -> npt.NDArray[np.datetime64]:
    micro = values.cast(pa.timestamp("us", tz="UTC")).cast(pa.timestamp("us"))
    return np.asarray(micro.to_numpy(zero_copy_only=False), dtype="datetime64[us]")


def _lengths(values: pa.Array) -> Values:
    return np.log1p(_numbers(pc.utf8_length(values)))


def _known(texts: Sequence[str | None]) -> frozenset[int]:
    return frozenset(code for text in texts for code in _codes(text))


def _codes(text: str | None) -> list[int]:
    return [zlib.crc32(word.encode()) % _BITS for word in (text or "").lower().split()]


def _strangeness(texts: Sequence[str | None], known: frozenset[int]) -> Values:
    shares = []
    for text in texts:
        codes = _codes(text)
        shares.append(sum(code not in known for code in codes) / len(codes) if codes else 0.0)
    return np.array(shares, dtype=np.float64)
