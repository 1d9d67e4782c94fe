"""What holds for every test."""

from __future__ import annotations

import pytest

from service.rests import BESIDE


@pytest.fixture(autouse=True)
def nobody_calls_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work beside an event loop rests, four times as long as it works. Tests call it by hand, in a process that answers
    nobody; servers that do answer are processes of their own, and rest."""
    monkeypatch.setattr(BESIDE, "begin", lambda *, waits=True: None)
