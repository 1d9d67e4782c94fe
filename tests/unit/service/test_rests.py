from __future__ import annotations

import time

from service.rests import LONGEST_PAUSE, Pauses


def test_a_pause_is_as_many_times_the_piece_of_work_before_it() -> None:
    slept: list[float] = []
    pause = Pauses(3.0, sleep=slept.append)
    time.sleep(0.01)
    pause()
    assert len(slept) == 1
    assert 0.03 <= slept[0] <= LONGEST_PAUSE
    assert pause.worked >= 0.01


def test_who_is_waited_for_does_not_pause() -> None:
    slept: list[float] = []
    pause = Pauses(0.0, sleep=slept.append)
    pause()
    assert slept == []


def test_a_long_piece_of_work_is_followed_by_a_bounded_pause() -> None:
    slept: list[float] = []
    pause = Pauses(1e6, sleep=slept.append)
    time.sleep(0.001)
    pause()
    assert slept == [LONGEST_PAUSE]
