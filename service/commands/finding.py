"""One thing that ``incumbent doctor`` looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at. ``ok`` is None when it is neither good nor bad."""

    check: str
    ok: bool | None
    detail: str
    remedy: str = ""

    @property
    def mark(self) -> str:
        return {True: "ok", False: "FAIL", None: "–"}[self.ok]

    def to_json(self) -> dict[str, Any]:
        return {"check": self.check, "ok": self.ok, "detail": self.detail, "remedy": self.remedy or None}
