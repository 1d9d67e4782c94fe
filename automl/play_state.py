"""How far one policy's play has come: everything needed to go on from there, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class RunNote:
    """One run of a policy: why it started, what it was made from, and what became of it.

    ``row`` is the first one that a model promoted by it answers. ``seconds`` is processor time of learning,
    ``budget_seconds`` what such a run is allowed in production. ``gain`` is the judge's estimate on the holdout
    (better is positive) and ``gain_at_least`` its lower bound. ``model`` and ``replaced`` name the models of a
    promotion.
    """

    at: int
    look: int
    window: int
    row: int
    trigger: str
    reason: str
    outcome: str = ""
    why: str = ""
    train_rows: int = 0
    holdout_rows: int = 0
    seconds: float = 0.0
    budget_seconds: float = 0.0
    gain: float | None = None
    gain_at_least: float | None = None
    version: int | None = None
    model: str | None = None
    replaced: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reign:
    """The champion of the moment. ``since`` is the first row it answers, ``trained_until`` the last it was trained
    on; ``score`` its score on the ``judged_on`` rows of its holdout (None when nobody judged it) and ``unit``
    that of an allowed drop."""

    version: int
    model: str
    since: int
    trained_until: int
    score: float | None
    judged_on: int
    unit: float


@dataclass(slots=True, kw_only=True)
class Play:
    """``look`` is the next one. ``judged`` counts judgements since the last promotion, ``refusals`` looks without a
    run by what stood in the way. ``memory`` is the policy's own."""

    look: int = 0
    champion: Reign | None = None
    versions: int = 0
    judged: int = 0
    matured_at_last_run: int | None = None
    runs: list[RunNote] = field(default_factory=list)
    refusals: dict[str, int] = field(default_factory=dict)
    decay: dict[str, Any] | None = None
    decay_seen: int = 0
    shift: dict[str, Any] | None = None
    shift_seen: int = 0
    memory: dict[str, Any] = field(default_factory=dict)

    @property
    def promotions(self) -> list[RunNote]:
        """The runs whose model took over, the first champion's too."""
        return [run for run in self.runs if run.version is not None]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Play:
        """The inverse of :meth:`to_json`."""
        reign = data["champion"]
        return cls(
            **{
                **data,
                "champion": None if reign is None else Reign(**reign),
                "runs": [RunNote(**run) for run in data["runs"]],
            }
        )
