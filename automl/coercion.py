"""Raw columns (text from CSV, typed from Parquet or JSON) into the five kinds of a schema.

Whether a value is accepted depends on that value alone, never on its neighbours in a batch, so that a row
means the same uploaded, in a request of one and in a request of a thousand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from automl.columns import FALSE_WORDS, TRUE_WORDS, Column, ColumnKind, scalar_text, short

Positions = npt.NDArray[np.intp]

MISSING_WORDS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")
"""Texts that mean "no value", in any column."""

_MISSING = pa.array(MISSING_WORDS)
_TRUE = pa.array([*sorted(TRUE_WORDS), "1"])
_FALSE = pa.array([*sorted(FALSE_WORDS), "0"])
_UTC = pa.timestamp("us", tz="UTC")

NUMBER = r"^[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|(?i:inf|infinity|nan))$"
ISO_TIME = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}(:?\d{2})?)?)?$"
"""RFC 3339 with the zone optional, or a day alone."""
_ZONED = r"(Z|:\d{2}(\.\d+)?[+-]\d{2}(:?\d{2})?)$"


_MESSAGES: Mapping[str, str] = {
    "unparsable_number": "{} is not a number",
    "infinite_number": "{} is not a finite number",
    "unparsable_boolean": "{} is not true or false",
    "unparsable_datetime": "{} is not an ISO 8601 date or time",
    "wrong_type": "{} is of a type this column can't hold",
    "unknown_label": "{} is none of the known classes",
    "unparsable_label": "{} is not a finite number",
    "missing_id": "the row has no id",
    "duplicate_id": "the id {} stands in an earlier row too",
}


def explain(code: str, value: object) -> str:
    """A fault's sentence: what is wrong with this value."""
    return _MESSAGES[code].format(short(value))


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
    """One array, dictionaries decoded, text as plain strings without outer blanks; missing words and NaN are null."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
        if isinstance(values, pa.ChunkedArray):  # an empty one, in older versions
            values = pa.concat_arrays(values.chunks)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type):
        values = values.cast(pa.string())
    if pa.types.is_floating(values.type) and not pa.types.is_float16(values.type):
        # NaN is how tools write a missing value, in whatever column it stands.
        return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
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
