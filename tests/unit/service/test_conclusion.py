"""A conclusion that was overtaken neither promotes nor asks."""

from __future__ import annotations

from small_house import NOW

from registry.approval_records import NewApproval
from registry.records import RunStatus
from service.conclusion import Conclusion


def test_who_was_overtaken_asks_nobody_and_says_why() -> None:
    question = NewApproval(epoch=1, champion=1, approvers=1, reason="better", expires_at=NOW)
    asks = Conclusion(
        status=RunStatus.COMPLETED,
        verdict={"outcome": "awaiting_approval", "reason": "Awaiting approval: better"},
        approval=question,
    )
    done = asks.overtaken("epoch 2")
    assert (done.approval, done.promotion) == (None, None)
    assert done.verdict is not None
    assert done.verdict["outcome"] == "inconclusive"
    assert "epoch 2" in done.verdict["reason"]
