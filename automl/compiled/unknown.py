"""Why something has no compiled form."""

from __future__ import annotations


class Unknown(Exception):
    """A step, or a setting of one, that no compiled form is known for; the message names it."""


def name_of(part: object) -> str:
    """A step as a person knows it."""
    return type(part).__name__
