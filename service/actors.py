"""Who does something: as the ledgers keep it, and as two people are told apart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """``key`` is the public part of the key that was shown, None where none was asked for or none is known; then the
    way they came is all there is to say: ``api`` or ``dashboard``."""

    key: str | None = None
    via: str = "api"

    @property
    def name(self) -> str:
        return self.via if self.key is None else f"key {self.key}"


NOBODY = Actor()
