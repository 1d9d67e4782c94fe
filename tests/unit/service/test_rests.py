from __future__ import annotations

import threading
import time

import pytest

from service.rests import LONGEST_PAUSE, LONGEST_PIECE, MOST_OWED, REST, Pauses, Rests


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


class Hands:
    """A thread's processor time and the clock, moved by hand; sleeping moves the clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.used = 3.0
        self.slept: list[float] = []
        self.rests = Rests(clock=lambda: self.now, processor=lambda: self.used, sleep=self._sleep)

    def work(self, seconds: float) -> None:
        self.now += seconds
        self.used += seconds

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_who_answers_a_call_never_rests() -> None:
    hands = Hands()
    hands.work(1.0)
    hands.rests.rest()
    assert hands.slept == []


def test_who_works_beside_the_loop_rests_four_times_as_long_as_it_works() -> None:
    hands = Hands()
    hands.rests.begin()
    for _ in range(3):
        hands.work(0.001)
        hands.rests.rest()
    assert hands.slept == pytest.approx([0.004] * 3)


def test_less_than_half_a_millisecond_goes_on() -> None:
    hands = Hands()
    hands.rests.begin()
    hands.work(0.0004)
    hands.rests.rest()
    assert hands.slept == []
    hands.work(0.0002)
    hands.rests.rest()
    assert hands.slept == pytest.approx([0.0024])


def test_waiting_is_no_work() -> None:
    hands = Hands()
    hands.rests.begin()
    hands.now += 10.0
    hands.rests.rest()
    assert hands.slept == []


def test_two_that_work_at_once_have_a_fifth_of_the_time_together() -> None:
    hands = Hands()
    hands.rests.begin()
    hands.work(0.001)
    both = threading.Barrier(2)

    def other() -> None:
        hands.rests.begin()
        both.wait()
        hands.used += 0.001
        hands.rests.rest()

    thread = threading.Thread(target=other)
    thread.start()
    hands.rests.rest()  # sleeps four, by hand
    hands.now -= hands.slept[0]
    both.wait()
    thread.join()
    assert hands.slept == pytest.approx([0.004, 0.009])


def test_a_rest_is_bounded_however_long_the_piece_was() -> None:
    hands = Hands()
    hands.rests.begin()
    hands.work(5.0)
    hands.rests.rest()
    assert hands.slept == pytest.approx([REST * LONGEST_PIECE])
    assert hands.slept[0] <= LONGEST_PAUSE


def test_who_is_waited_for_counts_and_does_not_rest() -> None:
    hands = Hands()
    hands.rests.begin(waits=False)
    hands.work(0.002)
    hands.rests.rest()
    assert hands.slept == []
    hands.rests.begin()
    hands.work(0.001)
    hands.rests.rest()
    assert hands.slept == pytest.approx([0.008 + 0.004])


def test_what_many_worked_at_once_is_not_owed_for_ever() -> None:
    hands = Hands()
    hands.rests.begin(waits=False)
    for _ in range(100):
        hands.used += LONGEST_PIECE
        hands.rests.rest()
    hands.now += MOST_OWED
    hands.rests.begin()
    hands.work(0.001)
    hands.rests.rest()
    assert hands.slept == pytest.approx([0.004])
