"""The block of numbers: numeric and boolean columns and the parts of times, imputed, marked, scaled and clipped."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.compiled.moments import PARTS as MOMENT_PARTS
from automl.compiled.moments import moment
from automl.date_parts import PARTS

Floats = npt.NDArray[np.float64]
LARGEST = 1e100
"""As in :mod:`automl.pinning`: numbers beyond are taken as this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """What one feature goes through: a missing value becomes ``median``, then ``(value - mean) / scale``, clipped."""

    median: float
    mean: float
    scale: float
    least: float
    most: float

    def of(self, value: float) -> float:
        scaled = (value - self.mean) / self.scale
        return self.least if scaled < self.least else self.most if scaled > self.most else scaled


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberBlock:
    """``numbers`` are the columns taken as they are, ``parts`` those of times: (column, part, value when missing).

    ``marked`` are the features (numbers, then parts) beside which an indicator of missing values stands.
    """

    numbers: tuple[str, ...]
    parts: tuple[tuple[str, str, float], ...]
    scalings: tuple[Scaling, ...]
    marked: tuple[int, ...]
    marks: tuple[Scaling, ...]

    @property
    def width(self) -> int:
        return len(self.scalings) + len(self.marks)

    def fill(self, numbers: Mapping[str, Floats], times: Mapping[str, Any], out: Floats) -> None:
        """Column-wise: ``numbers`` with NaN and ``times`` (datetime64[us]) with NaT where missing."""
        width = len(self.scalings)
        block, marks = out[:, :width], out[:, width : self.width]
        for at, name in enumerate(self.numbers):
            block[:, at] = numbers[name]
        for at, (name, part, filled) in enumerate(self.parts, start=len(self.numbers)):
            values = PARTS[part](times[name])
            block[:, at] = values if np.isnan(filled) else np.where(np.isnan(values), filled, values)
        missing = np.isnan(block)
        np.clip(block, -LARGEST, LARGEST, out=block)
        np.copyto(block, [scaling.median for scaling in self.scalings], where=missing)
        _scale(block, self.scalings)
        if self.marks:
            marks[:] = missing[:, self.marked]
            _scale(marks, self.marks)


def _scale(block: Floats, scalings: Sequence[Scaling]) -> None:
    block -= [scaling.mean for scaling in scalings]
    block /= [scaling.scale for scaling in scalings]
    np.clip(block, [scaling.least for scaling in scalings], [scaling.most for scaling in scalings], out=block)


class NumberRow:
    """The block for one row, as bytes. Reads the leading values of a row: numbers, booleans, then times."""

    def __init__(
        self, block: NumberBlock, numeric: Sequence[str], boolean: Sequence[str], times: Sequence[str]
    ) -> None:
        marks = {feature: len(block.scalings) + place for place, feature in enumerate(block.marked)}
        self._absent = [scaling.of(0.0) for scaling in block.marks]
        self._numeric = [_NumberCell(block, name, marks) for name in numeric]
        self._boolean = [_BooleanCell(block, name, marks) for name in boolean]
        self._times = [_TimeCell(block, name, marks) for name in times]
        self._cells = [cell.quick for cell in self._numeric]
        self._first_boolean = len(self._numeric)
        self._first_time = self._first_boolean + len(self._boolean)
        self._end = self._first_time + len(self._times)
        self._empty = [0.0] * len(block.scalings) + self._absent
        self._pack = struct.Struct(f"={block.width}d").pack

    def __call__(self, row: Sequence[Any]) -> bytes | None:
        """None when some value is one that only the long way settles."""
        out = self._empty.copy()
        for value, (place, mean, scale, least, most, cell) in zip(row, self._cells, strict=False):
            kind = type(value)
            if kind is float or kind is int:
                if -LARGEST <= value <= LARGEST:
                    if place >= 0:
                        scaled = (value - mean) / scale
                        out[place] = scaled if least <= scaled <= most else least if scaled < least else most
                    continue
                if value == value:
                    if not cell.far(value, out):
                        return None
                    continue
            elif value is not None:
                return None
            if place >= 0:
                cell.missing(out)
        for at, boolean in enumerate(self._boolean, start=self._first_boolean):
            if not boolean.write(row[at], out):
                return None
        for at, time in enumerate(self._times, start=self._first_time):
            if not time.write(row[at], out):
                return None
        return self._pack(*out)


class _Cell:
    """One column's place in the block; -1 where the model does not use it."""

    def __init__(self, block: NumberBlock, name: str, marks: Mapping[int, int]) -> None:
        self.place = block.numbers.index(name) if name in block.numbers else -1
        self.scaling = (
            block.scalings[self.place]
            if self.place >= 0
            else Scaling(median=0.0, mean=0.0, scale=1.0, least=0.0, most=0.0)
        )
        self._filled = self.scaling.of(self.scaling.median)
        self._mark = marks.get(self.place, -1)
        self._marked = block.marks[self._mark - len(block.scalings)].of(1.0) if self._mark >= 0 else 0.0

    def missing(self, out: list[float]) -> None:
        out[self.place] = self._filled
        if self._mark >= 0:
            out[self._mark] = self._marked


class _NumberCell(_Cell):
    @property
    def quick(self) -> tuple[int, float, float, float, float, _NumberCell]:
        """What the loop over a row needs of it, without a look-up of attributes."""
        scaling = self.scaling
        return self.place, scaling.mean, scaling.scale, scaling.least, scaling.most, self

    def far(self, value: float, out: list[float]) -> bool:
        """A number beyond the largest; False for what no float can hold."""
        if not -1.7976931348623157e308 <= value <= 1.7976931348623157e308:
            return False
        if self.place >= 0:
            out[self.place] = self.scaling.of(LARGEST if value > 0 else -LARGEST)
        return True


class _BooleanCell(_Cell):
    def write(self, value: object, out: list[float]) -> bool:
        if value is not True and value is not False and value is not None:
            return False
        if self.place >= 0 and value is None:
            self.missing(out)
        elif self.place >= 0:
            out[self.place] = self.scaling.of(1.0 if value else 0.0)
        return True


class _TimeCell:
    def __init__(self, block: NumberBlock, name: str, marks: Mapping[int, int]) -> None:
        self._parts = []
        self._marks: list[tuple[int, float]] = []
        self._filled: list[tuple[int, float]] = []
        for place, (column, part, filled) in enumerate(block.parts, start=len(block.numbers)):
            if column != name:
                continue
            scaling = block.scalings[place]
            self._parts.append((place, MOMENT_PARTS[part], scaling))
            missing = filled != filled
            self._filled.append((place, scaling.of(scaling.median if missing else filled)))
            if missing and place in marks:
                mark = marks[place]
                self._marks.append((mark, block.marks[mark - len(block.scalings)].of(1.0)))

    def write(self, value: object, out: list[float]) -> bool:
        if value is None:
            for place, number in (*self._filled, *self._marks):
                out[place] = number
            return True
        time: datetime | None = moment(value)
        if time is None:
            return False
        for place, part, scaling in self._parts:
            out[place] = scaling.of(part(time))
        return True
