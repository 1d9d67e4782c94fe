"""Training that takes too long is given up, at once and without a word about what it was given."""

from __future__ import annotations

import time

import pytest

from automl.engines.limits import unheard_timeouts, within


class Heavy:
    """A search's trials with all their rows: a second to be written out."""

    written = 0

    def __repr__(self) -> str:
        Heavy.written += 1
        return "heavy"


def for_ever(*_: object, **__: object) -> None:
    while True:
        time.sleep(0.001)


def test_what_ends_in_time_gives_its_result() -> None:
    assert within(10.0, divmod, 7, 2) == (3, 1)
    assert within(10.0, sorted, [1, 3, 2], named={"reverse": True}) == [3, 2, 1]


def test_what_is_raised_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        within(10.0, divmod, 7, 0)


def test_what_takes_longer_is_stopped_and_nothing_of_it_is_written_out() -> None:
    with unheard_timeouts(), pytest.raises(TimeoutError, match=r"stopped after 0\.05 s"):
        within(0.05, for_ever, Heavy(), named={"more": Heavy()})
    assert Heavy.written == 0
