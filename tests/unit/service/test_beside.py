"""Work that nobody waits for."""

from __future__ import annotations

import threading

import pytest

from service.beside import Beside


def test_what_it_raises_is_logged_and_the_next_piece_can_begin(caplog: pytest.LogCaptureFixture) -> None:
    beside = Beside()

    def breaks() -> None:
        raise RuntimeError("no such column")

    beside.begin("look-1", breaks, failed="the look at 100% of p failed")
    beside.join()
    assert not beside.busy
    (record,) = caplog.records
    assert record.getMessage() == "the look at 100% of p failed"
    assert record.exc_info is not None
    done = threading.Event()
    beside.begin("look-2", done.set, failed="never")
    beside.join()
    assert done.is_set()


def test_it_is_busy_until_the_work_has_ended() -> None:
    beside, go_on = Beside(), threading.Event()
    beside.begin("look", lambda: go_on.wait(10), failed="never")
    assert beside.busy
    go_on.set()
    beside.join()
    assert not beside.busy
