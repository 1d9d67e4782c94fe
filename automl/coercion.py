"""Raw columns (text from CSV, typed from Parquet or JSON) into the five kinds of a schema.

Whether a value is accepted depends on that value alone, never on its neighbours in a batch, so that a row
means the same uploaded, in a request of one and in a request of a thousand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from automl.columns import FALSE_WORDS, TRUE_WORDS, Column, ColumnKind, scalar_text
from automl.errors import SchemaError

Positions = npt.NDArray[np.intp]

MISSING_WORDS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")
"""Texts that mean "no value", in any column."""

_MISSING = pa.array(MISSING_WORDS)
_TRUE = pa.array([*sorted(TRUE_WORDS), "1"])
_FALSE = pa.array([*sorted(FALSE_WORDS), "0"])
_UTC = pa.timestamp("us", tz="UTC")
_WHOLE_IN_FLOAT = 2**53

NUMBER = r"^[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|(?i:inf|infinity|nan))$"
ISO_TIME = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}(:?\d{2})?)?)?$"
"""RFC 3339 with the zone optional, or a day alone."""
_ZONED = r"(Z|:\d{2}(\.\d+)?[+-]\d{2}(:?\d{2})?)$"


@dataclass(frozen=True, slots=True)
class Coerced:
    """Typed values; those that could not be read are null, and listed by code with their positions."""

    values: pa.Array
    problems: tuple[tuple[str, Positions], ...] = ()


def coerce(values: pa.Array | pa.ChunkedArray, column: Column) -> Coerced:
    """The values of one column as its kind. Nulls stay null; nothing is raised for what can't be read."""
    plain_values = plain(values)
    if pa.types.is_null(plain_values.type):
        return Coerced(pa.nulls(len(plain_values), column.arrow_type))
    return _COERCIONS[column.kind](plain_values)


def plain(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array, dictionaries decoded, text as plain strings without outer blanks and missing words."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
        if isinstance(values, pa.ChunkedArray):  # an empty one, in older versions
            values = pa.concat_arrays(values.chunks)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type):
        values = values.cast(pa.string())
    if not pa.types.is_string(values.type):
        return values
    trimmed = pc.utf8_trim_whitespace(values)
    missing = pc.is_in(trimmed, value_set=_MISSING)
    return pc.if_else(missing, pa.scalar(None, pa.string()), trimmed) if pc.any(missing).as_py() else trimmed


def _number(values: pa.Array) -> Coerced:
    kind = values.type
    if pa.types.is_string(kind):
        return _number_from_text(values)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return _all_wrong(values, pa.float64())
    return _finite(values.cast(pa.float64(), safe=False))


def _number_from_text(values: pa.Array) -> Coerced:
    try:
        numbers = values.cast(pa.float64())
        if not pc.any(pc.is_nan(numbers)).as_py():
            return _finite(numbers)
    except pa.ArrowInvalid:
        pass
    readable = pc.match_substring_regex(values, NUMBER)
    finite = _finite(_only(values, readable).cast(pa.float64()))
    return Coerced(finite.values, (("unparsable_number", _false(readable)), *finite.problems))


def _finite(numbers: pa.Array) -> Coerced:
    seen = numbers.to_numpy(zero_copy_only=False)
    infinite = np.flatnonzero(np.isinf(seen))
    if infinite.size:
        seen = np.where(np.isinf(seen), np.nan, seen)
    elif numbers.null_count == 0 and not np.isnan(seen).any():
        return Coerced(numbers)
    problems = (("infinite_number", infinite),) if infinite.size else ()
    return Coerced(pa.array(seen, from_pandas=True), problems)


def _boolean(values: pa.Array) -> Coerced:
    if pa.types.is_boolean(values.type):
        return Coerced(values)
    if not (pa.types.is_string(values.type) or _is_number(values.type)):
        return _all_wrong(values, pa.bool_())
    words = pc.utf8_lower(_text(values).values)
    yes = pc.is_in(words, value_set=_TRUE)
    known = pc.or_(yes, pc.is_in(words, value_set=_FALSE))
    return Coerced(
        pc.if_else(known, yes, pa.scalar(None, pa.bool_())),
        _problem("unparsable_boolean", _false(pc.or_(known, pc.is_null(words)))),
    )


def _datetime(values: pa.Array) -> Coerced:
    kind = values.type
    if pa.types.is_string(kind):
        return _datetime_from_text(values)
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return _all_wrong(values, _UTC)
    if kind == _UTC:
        return Coerced(values)
    options = pc.CastOptions(target_type=pa.timestamp("us"), allow_time_truncate=True)
    try:
        return Coerced(pc.cast(values, options=options).cast(_UTC))
    except pa.ArrowInvalid:  # beyond the years that microseconds can count
        return Coerced(pa.nulls(len(values), _UTC), _problem("unparsable_datetime", _valid(values)))


def _datetime_from_text(values: pa.Array) -> Coerced:
    iso = pc.match_substring_regex(values, ISO_TIME)
    times = _only(values, iso)
    if pc.any(pc.greater(pc.binary_length(times), 26)).as_py():  # finer than microseconds: cut
        times = pc.replace_substring_regex(times, r"(\.\d{6})\d{1,3}", r"\1")
    zoned = pc.match_substring_regex(times, _ZONED)
    try:
        local = _only(times, pc.invert(zoned)).cast(pa.timestamp("us")).cast(_UTC)
        parsed = pc.coalesce(local, _only(times, zoned).cast(_UTC))
    except pa.ArrowInvalid:  # some day or hour that no calendar has
        parsed = _each_time(times, zoned)
    bad = np.flatnonzero(_mask(pc.and_(pc.is_valid(values), pc.is_null(parsed))))
    return Coerced(parsed, _problem("unparsable_datetime", bad))


def _each_time(times: pa.Array, zoned: pa.Array) -> pa.Array:
    """Each distinct text on its own, for the rare table with impossible dates."""
    coded = pc.dictionary_encode(times)
    parsed = [_one_time(text.as_py()) for text in coded.dictionary]
    return pa.array(parsed, _UTC).take(coded.indices)


def _one_time(text: str) -> Any:
    single = pa.array([text])
    try:
        if pc.match_substring_regex(single, _ZONED)[0].as_py():
            return single.cast(_UTC)[0]
        return single.cast(pa.timestamp("us")).cast(_UTC)[0]
    except pa.ArrowInvalid:
        return None


def _text(values: pa.Array) -> Coerced:
    kind = values.type
    if pa.types.is_string(kind):
        return Coerced(values)
    if pa.types.is_floating(kind):
        coded = pc.dictionary_encode(values)
        texts = [_float_text(number) for number in coded.dictionary.to_pylist()]
        return Coerced(pa.array(texts, pa.string()).take(coded.indices))
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _all_wrong(values, pa.string())
    return Coerced(values.cast(pa.string()))


def _float_text(number: float | None) -> str | None:
    return None if number is None or math.isnan(number) else scalar_text(number)


_COERCIONS: Mapping[ColumnKind, Callable[[pa.Array], Coerced]] = {
    ColumnKind.NUMERIC: _number,
    ColumnKind.CATEGORICAL: _text,
    ColumnKind.BOOLEAN: _boolean,
    ColumnKind.DATETIME: _datetime,
    ColumnKind.TEXT: _text,
}


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _only(values: pa.Array, mask: pa.Array) -> pa.Array:
    return pc.if_else(mask, values, pa.scalar(None, values.type))


def _mask(values: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _false(values: pa.Array) -> Positions:
    return np.flatnonzero(_mask(pc.fill_null(pc.invert(values), False)))


def _valid(values: pa.Array) -> Positions:
    return np.flatnonzero(_mask(pc.is_valid(values)))


def _problem(code: str, positions: Positions) -> tuple[tuple[str, Positions], ...]:
    return ((code, positions),) if positions.size else ()


def _all_wrong(values: pa.Array, target: pa.DataType) -> Coerced:
    return Coerced(pa.nulls(len(values), target), _problem("wrong_type", _valid(values)))


def table_from_rows(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Rows of JSON as a raw table; a key that a row lacks is a missing value in it.

    A column of one type keeps it; mixed types become text. Raises SchemaError: ``not_rows`` when a row is
    no object, ``nested_value`` for an object or list in a cell, ``not_utf8`` for text that is no Unicode.
    """
    names: dict[str, None] = {}
    for row in rows:
        if not isinstance(row, Mapping):
            raise SchemaError(
                f"a row must be an object of column: value, not {type(row).__name__}",
                code="not_rows",
                remedy='send {"rows": [{"column": value, …}, …]}',
            )
        names.update(dict.fromkeys(row))
    arrays = [raw_array([row.get(name) for row in rows], name) for name in names]
    return pa.Table.from_arrays(arrays, names=list(names))


_DIRECT: Mapping[type, pa.DataType] = {str: pa.string(), bool: pa.bool_(), float: pa.float64()}


def raw_array(values: Sequence[object], name: str) -> pa.Array:
    """Python scalars as a raw column: of their one type, else as text. Raises as table_from_rows does."""
    kinds = {type(value) for value in values}
    kinds.discard(type(None))
    if not kinds:
        return pa.nulls(len(values))
    try:
        if len(kinds) == 1 and (direct := _DIRECT.get(next(iter(kinds)))) is not None:
            return pa.array(values, direct)
        if kinds == {int} and all(v is None or -(2**63) <= v < 2**63 for v in values):  # type: ignore[operator]
            return pa.array(values, pa.int64())
        if kinds == {int, float} and all(type(v) is not int or abs(v) <= _WHOLE_IN_FLOAT for v in values):
            return pa.array([None if v is None else float(v) for v in values], pa.float64())  # type: ignore[arg-type]
        return pa.array([_cell_text(value, name) for value in values], pa.string())
    except UnicodeEncodeError:
        raise SchemaError(
            f"column {name!r} holds text that is not valid Unicode",
            code="not_utf8",
            column=name,
            remedy="send UTF-8 without lone surrogates",
        ) from None


def _cell_text(value: object, name: str) -> str | None:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value != value:  # NaN, NaT
        return None
    if isinstance(value, date):  # and datetime
        return value.isoformat()
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 1024:
        return "inf"  # beyond any float; Python refuses to write very long ones
    if isinstance(value, str | bool | int | float | Decimal):
        return scalar_text(value)
    raise SchemaError(
        f"column {name!r} holds a {type(value).__name__} where a single value is expected",
        code="nested_value",
        column=name,
        remedy="flatten objects and lists into columns of their own",
    )
