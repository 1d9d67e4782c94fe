"""How long work in the background lets others have their turn: something to call between its pieces."""

from __future__ import annotations

from collections.abc import Callable

Pause = Callable[[], None]


def no_pause() -> None:
    """For work that somebody waits for."""
