"""What is known of an approval: who was asked about what, and what they said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ApprovalStatus(StrEnum):
    """``stale``: the champion changed, so what was asked about is no longer the question."""

    OPEN = "open"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    STALE = "stale"


class Word(StrEnum):
    APPROVE = "approve"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApproval:
    """What is to be asked: within ``expires_at``, of as many different ``approvers``. ``starter`` is who started the run
    by hand."""

    epoch: int
    champion: int | None
    approvers: int
    reason: str
    expires_at: datetime
    starter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What somebody said. ``key`` is the public part of the key they showed; ``version`` is the one they approved."""

    word: Word
    version: int | None
    who: str
    key: str | None
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """``judged`` is the version that the verdict is about, ``version`` the one that approving it makes champion unless
    the other is named: the same model trained on all rows, where there is one."""

    number: int
    project_id: int
    epoch: int
    run: int | None
    probation: int | None
    champion: int | None
    judged: int
    version: int
    starter: str | None
    approvers: int
    status: ApprovalStatus
    reason: str
    asked_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    said: tuple[Said, ...] = ()

    def standing(self, epoch: int, now: datetime) -> ApprovalStatus:
        """Its status while the project is at ``epoch``: an open one may be over before anyone wrote so down."""
        if self.status is not ApprovalStatus.OPEN:
            return self.status
        if epoch != self.epoch:
            return ApprovalStatus.STALE
        return ApprovalStatus.EXPIRED if now >= self.expires_at else ApprovalStatus.OPEN

    @property
    def approved_by(self) -> tuple[Said, ...]:
        return tuple(one for one in self.said if one.word is Word.APPROVE)
