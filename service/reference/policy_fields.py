"""docs/reference/policy-fields.md: every field of the policy with its type, bounds and default."""

from __future__ import annotations

import types
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from service.policy import Policy
from service.policy_part import Part
from service.reference.words import MADE, cell, prose, value

_PLAIN = {int: "whole number", float: "number", str: "text", bool: "true or false", timedelta: "duration"}
_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
_INTRODUCTION = """# The policy, field by field

What each part is for: [the policy](../policy.md). A duration is ISO 8601 (`PT10M`, `P7D`). A part that may be null is
turned off by it. An unknown field or a value out of its bounds is refused with a 422 that names it.
"""


def page() -> str:
    return MADE + "\n" + _INTRODUCTION + "\n" + "\n".join(_part(Policy, "")) + "\n"


def _part(part: type[Part], path: str) -> Iterator[str]:
    """One table for the part, then one for each part within it."""
    yield f"## {f'`{path}`' if path else 'The whole'}\n"
    if _own_words(part):
        yield f"{prose(part.__doc__)}\n"
    yield "| field | type | default | |"
    yield "|---|---|---|---|"
    for name, field in part.model_fields.items():
        default = (
            value(field.get_default(call_default_factory=True))
            if not field.is_required()
            else "must be given"
        )
        yield f"| `{name}` | {cell(_type(field))} | {cell(default)} | {cell(prose(field.description))} |"
    yield ""
    for name, field in part.model_fields.items():
        for inner in _parts(field.annotation):
            yield from _part(inner, f"{path}.{name}" if path else name)


def _own_words(part: type[Part]) -> bool:
    return part.__doc__ is not None and part.__doc__ != Part.__doc__


def _parts(kind: Any) -> Iterator[type[Part]]:
    """The parts that a value of this type may be, or may hold under names of its owner's."""
    if isinstance(kind, type) and issubclass(kind, Part):
        yield kind
    for inner in get_args(kind):
        yield from _parts(inner)


def _type(field: FieldInfo) -> str:
    return _said(field.annotation) + _bounds(field.metadata)


def _said(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _said(inner[0]) + _bounds(inner[1:])
    if origin is Literal:
        return ", ".join(f"`{word!s}`".replace("'", '"') for word in inner)
    if origin in (Union, types.UnionType):
        return " or ".join("null" if one is type(None) else _said(one) for one in inner)
    if origin is dict:
        return f"object of {_said(inner[1])}"
    if isinstance(kind, type) and issubclass(kind, Part):
        return "part"
    return _PLAIN.get(kind, str(kind))


def _bounds(metadata: Any) -> str:
    told: list[str] = []
    for held in metadata:
        inner = getattr(held, "metadata", None) if isinstance(held, FieldInfo) else [held]
        for one in inner or ():
            told += [
                f"{sign} {_bound(getattr(one, name))}" for name, sign in _BOUNDS.items() if hasattr(one, name)
            ]
    return f" ({', '.join(told)})" if told else ""


def _bound(held: Any) -> str:
    return f"{int(held.total_seconds())} s" if isinstance(held, timedelta) else str(held)
