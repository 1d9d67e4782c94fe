"""How a challenger is approved by people."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from service.policy_part import Part


class Approval(Part):
    """What ``promote_mode: manual`` asks of people: as many different ``approvers`` within ``expires_after``.

    With two, each shows a key of their own; a key that was revoked meanwhile doesn't count. One refusal ends it. Raised, it
    reaches what is open; lowered, it does not.
    """

    expires_after: timedelta = Field(default=timedelta(days=7), gt=timedelta(0), le=timedelta(days=365))
    approvers: int = Field(default=1, ge=1, le=2)
