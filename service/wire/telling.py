"""What a caller is told of each row, and how it is written as JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode
UNNAMEABLE = re.compile(r'["\\\x00-\x1f]')
"""In what can't be the name of a struct's field."""


def encode_answer(
    version: int,
    ids: Sequence[str],
    values: Sequence[Any],
    shares: Sequence[Sequence[float]] | None,
    classes: Sequence[str],
    more: Sequence[Mapping[str, Any]] | None = None,
) -> bytes:
    """``{"model_version", "predictions": [{"id", "value", "probabilities"?}]}``; ``more`` is told of each row too."""
    predictions = told_predictions(ids, values, shares, classes, more)
    return _encode({"model_version": version, "predictions": predictions})


def told_predictions(
    ids: Sequence[str],
    values: Sequence[Any],
    shares: Sequence[Sequence[float]] | None,
    classes: Sequence[str],
    more: Sequence[Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """What a caller is told of each row, with ``more`` of each."""
    if shares is None:
        told = [{"id": name, "value": value} for name, value in zip(ids, values, strict=True)]
    else:
        told = [
            {"id": name, "value": value, "probabilities": dict(zip(classes, share, strict=True))}
            for name, value, share in zip(ids, values, shares, strict=True)
        ]
    return told if more is None else [{**one, **further} for one, further in zip(told, more, strict=True)]


class _Answer(msgspec.Struct, gc=False):
    model_version: int
    predictions: list[Any]


class _Value(msgspec.Struct, gc=False):
    id: str
    value: Any


class _Shared(_Value, gc=False):
    probabilities: Any


More = Callable[[Sequence[Any], Sequence[Sequence[float]] | None], Sequence[Mapping[str, Any]]]
Teller = Callable[[Sequence[str], Sequence[Any], Sequence[Sequence[float]] | None], bytes]


def teller(version: int, classes: Sequence[str] | None, more: More | None = None) -> Teller:
    """Writes answers as :func:`encode_answer` does, to the byte, in a third of the time where no ``more`` is to be told of
    each. ``classes`` is None for numbers."""
    if more is not None:
        names = classes or ()
        return lambda ids, values, shares: encode_answer(
            version, ids, values, shares, names, more(values, shares)
        )
    if classes is None:
        return lambda ids, values, _: _encode(
            _Answer(version, [_Value(name, value) for name, value in zip(ids, values, strict=True)])
        )
    if any(UNNAMEABLE.search(name) for name in classes):
        return lambda ids, values, shares: encode_answer(version, ids, values, shares, classes)
    renamed = {f"c{place}": name for place, name in enumerate(classes)}
    shared = msgspec.defstruct("Shares", [(name, float) for name in renamed], rename=renamed, gc=False)

    def tell(ids: Sequence[str], values: Sequence[Any], shares: Sequence[Sequence[float]] | None) -> bytes:
        told = [
            _Shared(name, value, shared(*share))
            for name, value, share in zip(ids, values, shares or (), strict=True)
        ]
        return _encode(_Answer(version, told))

    return tell
