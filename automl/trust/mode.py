"""What follows from an entry of the gate vector."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """``hard``: an absolute limit that the challenger has to keep. ``non_inferior``: it may not be worse than the champion
    by more than a margin. ``report``: it is told, and never blocks."""

    HARD = "hard"
    NON_INFERIOR = "non_inferior"
    REPORT = "report"
