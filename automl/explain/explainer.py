"""Explains a fitted pipeline of ours: exactly where its model can, else by sampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.pipeline import Pipeline

from automl.engines.plain import AllClasses
from automl.explain.attribution import Attribute, Attributed, attribution
from automl.explain.explanation import Explanations, Floats, Method, Positions, Scale
from automl.explain.owners import Untraceable, owners
from automl.explain.sampling import sampled, walks
from automl.schema import Schema, frame
from automl.task import Task

TOLERANCE = 1e-4
"""How far contributions may be off the raw score before it is made up for, relative above 1; and how far that score may be
off the pipeline's answers."""
_BACKGROUND_ROWS = 1_000


class Explainer:
    """One model's. ``background`` holds typed rows like those it was trained on; ``score`` gives what the deployed model
    answers to a typed table, (n, K) probabilities or (n,) numbers.

    Whether the exact way is right is tried out on the background first; :attr:`why_sampled` says why it is not used.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        schema: Schema,
        task: Task,
        background: pa.Table,
        score: Callable[[pa.Table], Floats],
    ) -> None:
        if not background.num_rows:
            raise ValueError("an explanation needs rows to compare with")
        self._schema, self._task, self._score = schema, task, score
        self._background = _thinned(_aligned(background, schema), _BACKGROUND_ROWS)
        self.columns: tuple[str, ...] = tuple(pipeline[0].features)
        seen = {column.name for column in pipeline[0].columns_}
        self._used = tuple(name for name in self.columns if name in seen)
        self.why_sampled = ""
        self._exact: _Exact | None = None
        try:
            self._exact = self._try_exact(pipeline)
        except Untraceable as mixed:
            self.why_sampled = f"{mixed} mixes columns"
        except Exception as error:  # whatever a model's own attribution does, there is another way
            self.why_sampled = f"{type(error).__name__}: {error}"

    @property
    def background(self) -> pa.Table:
        """The training rows that it compares with, typed, at most 1,000."""
        return self._background

    @property
    def used(self) -> tuple[str, ...]:
        """The columns that the model looks at."""
        return self._used

    @property
    def method(self) -> Method:
        return Method.SAMPLED if self._exact is None else self._exact.method

    def explain(self, table: pa.Table) -> Explanations:
        """Contributions for a table that :func:`automl.schema.check` has typed."""
        if self._exact is not None and (self._task.is_binary or not self._task.is_classification):
            return self._exact.explain(table, self._positions(table.num_rows, None))
        answers = self._score(table)
        positions = self._positions(table.num_rows, answers)
        if self._exact is not None:
            return self._exact.explain(table, positions)
        return self._sample(table, answers, positions)

    def _positions(self, rows: int, answers: Floats | None) -> Positions | None:
        """The classes to explain: the last of two, the predicted of more."""
        if not self._task.is_classification:
            return None
        if answers is None or self._task.is_binary:
            return np.ones(rows, dtype=np.intp)
        return np.asarray(answers.argmax(axis=1), dtype=np.intp)

    def _try_exact(self, pipeline: Pipeline) -> _Exact | None:
        model = pipeline[-1]
        present = None
        if isinstance(model, AllClasses):
            present, model = tuple(model.present), model.classifier
        owned = owners([step for _, step in pipeline.steps[:-1]])
        rows = frame(self._background, self._schema)
        encode = pipeline[:-1]
        found = attribution(model, np.asarray(encode.transform(rows), dtype=np.float64))
        if found is None:
            self.why_sampled = f"{type(model).__name__} has no exact attribution"
            return None
        method, attribute = found
        exact = _Exact(
            method=method,
            attribute=attribute,
            encode=lambda table: np.asarray(encode.transform(frame(table, self._schema)), dtype=np.float64),
            sums=_sums(owned, self.columns),
            columns=self.columns,
            present=present,
        )
        answers = self._score(self._background)
        positions = self._positions(len(answers), answers)
        self.why_sampled = exact.fault(self._background, answers, positions)
        return None if self.why_sampled else exact

    def _sample(self, table: pa.Table, answers: Floats, positions: Positions | None) -> Explanations:
        count = walks(len(self._used), self._background.num_rows)
        chosen = table.select([name for name in self._schema.names if name in table.column_names])
        background = _thinned(self._background, count)
        base, parts = sampled(chosen, background, self._used, self._score, positions)
        contributions = np.zeros((len(parts), len(self.columns)))
        contributions[:, [self.columns.index(name) for name in self._used]] = parts
        raw = answers if positions is None else answers[np.arange(len(answers)), positions]
        return Explanations(
            columns=self.columns,
            scale=Scale.VALUE if positions is None else Scale.PROBABILITY,
            method=Method.SAMPLED,
            raw=raw,
            base=base,
            contributions=_made_up(contributions, raw - base),
            positions=positions,
        )


class _Exact:
    """Attribution of encoded features, summed up by the caller's columns."""

    def __init__(
        self,
        *,
        method: Method,
        attribute: Attribute,
        encode: Callable[[pa.Table], Floats],
        sums: Floats,
        columns: tuple[str, ...],
        present: tuple[int, ...] | None,
    ) -> None:
        self.method = method
        self._attribute = attribute
        self._encode = encode
        self._sums = sums
        self._columns = columns
        self._present = present

    def explain(self, table: pa.Table, positions: Positions | None) -> Explanations:
        told = self._attribute(self._encode(table))
        raw, base, parts = self._picked(told, positions)
        contributions = parts @ self._sums
        return Explanations(
            columns=self._columns,
            scale=_scale(told, positions),
            method=self.method,
            raw=raw,
            base=base,
            contributions=_made_up(contributions, raw - base),
            positions=positions,
        )

    def fault(self, table: pa.Table, answers: Floats, positions: Positions | None) -> str:
        """Why this is not what the model says of these rows; empty where it is."""
        told = self._attribute(self._encode(table))
        raw, base, parts = self._picked(told, positions)
        if _gap(base + parts.sum(axis=1), raw) > TOLERANCE:
            return "its attribution does not add up to its raw score"
        if positions is None:
            answered = raw
        elif told.raw.shape[1] == 1:
            answered = 1 / (1 + np.exp(-raw))
        else:
            powers = np.exp(told.raw - told.raw.max(axis=1, keepdims=True))
            inner = self._inner(positions)
            answered = powers[np.arange(len(raw)), inner] / powers.sum(axis=1)
        expected = answers if positions is None else answers[np.arange(len(answers)), positions]
        return "" if _gap(answered, expected) <= TOLERANCE else "its raw score does not lead to its answers"

    def _picked(self, told: Attributed, positions: Positions | None) -> tuple[Floats, Floats, Floats]:
        """Of each row the score that is explained."""
        if told.raw.shape[1] > 1:
            rows, inner = np.arange(len(told.raw)), self._inner(positions)
            return told.raw[rows, inner], told.base[rows, inner], told.parts[rows, inner]
        raw, base, parts = told.raw[:, 0], told.base[:, 0], told.parts[:, 0]
        if positions is None:
            return raw, base, parts
        sign = np.where(
            self._inner(positions) == 1, 1.0, -1.0
        )  # of two classes known, the first may be explained
        return sign * raw, sign * base, sign[:, None] * parts

    def _inner(self, positions: Positions | None) -> Positions:
        assert positions is not None
        if self._present is None:
            return positions
        return np.asarray([self._present.index(int(one)) for one in positions], dtype=np.intp)


def _scale(told: Attributed, positions: Positions | None) -> Scale:
    if positions is None:
        return Scale.VALUE
    return Scale.LOG_ODDS if told.raw.shape[1] == 1 else Scale.MARGIN


def _sums(owned: tuple[str, ...], columns: tuple[str, ...]) -> Floats:
    """The matrix that adds features up to columns."""
    sums = np.zeros((len(owned), len(columns)))
    sums[np.arange(len(owned)), [columns.index(name) for name in owned]] = 1.0
    return sums


def _made_up(contributions: Floats, wanted: Floats) -> Floats:
    """With what rounding left over added to each row's largest contribution."""
    if not contributions.shape[1]:
        return contributions
    largest = np.abs(contributions).argmax(axis=1)
    contributions[np.arange(len(largest)), largest] += wanted - contributions.sum(axis=1)
    return contributions


def _gap(found: Floats, expected: Floats) -> float:
    return float(np.max(np.abs(found - expected) / np.maximum(1.0, np.abs(expected)), initial=0.0))


def _aligned(table: pa.Table, schema: Schema) -> pa.Table:
    """The schema's columns, typed; one that came later is empty."""
    there = frozenset(table.column_names)
    return pa.table(
        {
            column.name: table[column.name].cast(column.arrow_type)
            if column.name in there
            else pa.nulls(table.num_rows, column.arrow_type)
            for column in schema.columns
        }
    )


def _thinned(table: pa.Table, most: int) -> pa.Table:
    if table.num_rows <= most:
        return table
    picked: Any = np.linspace(0, table.num_rows - 1, most).astype(np.int64)
    return table.take(pa.array(picked))
