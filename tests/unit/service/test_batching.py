from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from service.batching import SLOW, Batcher, Overloaded, TooLate


class Doubler:
    """Doubles numbers; a gate lets a test hold the model busy."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, calls: Sequence[int]) -> Sequence[int | Exception]:
        self.gate.wait(5)
        self.batches.append(list(calls))
        return [ValueError("no odd thirteen") if call == 13 else call * 2 for call in calls]


def batcher(
    work: Doubler, pool: ThreadPoolExecutor, *, rows: int = 100, queue: int = 100
) -> Batcher[int, int]:
    return Batcher(work, pool, max_batch_rows=rows, max_queue_rows=queue)


def test_an_idle_model_answers_alone_and_a_busy_one_gathers_what_waits() -> None:
    async def play() -> None:
        work = Doubler()
        with ThreadPoolExecutor(1) as pool:
            gathers = batcher(work, pool)
            assert await gathers.submit(1, 1) == 2
            work.gate.clear()
            first = asyncio.ensure_future(gathers.submit(2, 1))
            await asyncio.sleep(0)
            rest = [asyncio.ensure_future(gathers.submit(number, 1)) for number in (3, 4, 5)]
            await asyncio.sleep(0)
            work.gate.set()
            assert await asyncio.gather(first, *rest) == [4, 6, 8, 10]
        assert work.batches == [[1], [2], [3, 4, 5]]

    asyncio.run(play())


def test_callers_who_call_again_at_once_stay_one_batch() -> None:
    async def play() -> None:
        work = Doubler()

        def slowly(calls: Sequence[int]) -> Sequence[int | Exception]:
            time.sleep(0.05)
            return work(calls)

        async def caller(gathers: Batcher[int, int], number: int) -> None:
            for _ in range(10):
                await gathers.submit(number, 1)

        with ThreadPoolExecutor(1) as pool:
            gathers = Batcher(slowly, pool, max_batch_rows=100, max_queue_rows=100)
            await asyncio.gather(*(caller(gathers, number) for number in range(8)))
        assert [len(batch) for batch in work.batches[2:-2]] == [8] * (len(work.batches) - 4)
        assert len(work.batches) <= 12

    asyncio.run(play())


def test_nobody_is_waited_for_who_does_not_call_again() -> None:
    async def play() -> None:
        work = Doubler()
        with ThreadPoolExecutor(1) as pool:
            gathers = batcher(work, pool)
            work.gate.clear()
            calls = [gathers.submit(number, 1) for number in (1, 2, 3)]
            await asyncio.sleep(0.3)
            work.gate.set()
            await asyncio.gather(*calls)
            started = time.perf_counter()
            assert await gathers.submit(4, 1) == 8
        assert time.perf_counter() - started < 0.2
        assert work.batches == [[1], [2, 3], [4]]

    asyncio.run(play())


def test_one_bad_call_fails_alone() -> None:
    async def play() -> None:
        work = Doubler()
        with ThreadPoolExecutor(1) as pool:
            gathers = batcher(work, pool)
            work.gate.clear()
            tasks = [asyncio.ensure_future(gathers.submit(number, 1)) for number in (1, 13, 3)]
            await asyncio.sleep(0)
            work.gate.set()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert answers[0] == 2
        assert isinstance(answers[1], ValueError)
        assert answers[2] == 6

    asyncio.run(play())


def test_a_full_queue_refuses_at_once() -> None:
    async def play() -> None:
        work = Doubler()
        with ThreadPoolExecutor(1) as pool:
            gathers = batcher(work, pool, queue=10)
            work.gate.clear()
            running = asyncio.ensure_future(gathers.submit(1, 10))
            await asyncio.sleep(0)
            waiting = asyncio.ensure_future(gathers.submit(2, 10))
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await gathers.submit(3, 1)
            work.gate.set()
            assert await asyncio.gather(running, waiting) == [2, 4]

    asyncio.run(play())


def test_calls_whose_client_went_away_are_not_worked_on() -> None:
    async def play() -> None:
        work = Doubler()
        with ThreadPoolExecutor(1) as pool:
            gathers = batcher(work, pool)
            work.gate.clear()
            running = asyncio.ensure_future(gathers.submit(1, 1))
            await asyncio.sleep(0)
            gone = gathers.submit(2, 1)
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.sleep(0)
            work.gate.set()
            await running
            await gathers.submit(3, 1)
        assert work.batches == [[1], [3]]

    asyncio.run(play())


def test_a_batch_holds_no_more_rows_than_allowed() -> None:
    async def play() -> None:
        work = Doubler()
        with ThreadPoolExecutor(1) as pool:
            gathers = batcher(work, pool, rows=2, queue=100)
            work.gate.clear()
            tasks = [asyncio.ensure_future(gathers.submit(number, 1)) for number in range(5)]
            await asyncio.sleep(0)
            work.gate.set()
            await asyncio.gather(*tasks)
        assert max(len(batch) for batch in work.batches) <= 2

    asyncio.run(play())


class Quick:
    """Triples numbers on the loop; leaves negative ones to the thread and breaks on 666."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, calls: Sequence[int]) -> list[Any]:
        self.batches.append(list(calls))
        if 666 in calls:
            raise RuntimeError("the whole batch is lost")
        return [SLOW if call < 0 else call * 3 for call in calls]


def two_ways(work: Doubler, quick: Quick, pool: ThreadPoolExecutor) -> Batcher[int, int]:
    return Batcher(work, pool, max_batch_rows=100, max_queue_rows=100, quick=quick)


def test_small_calls_of_one_turn_of_the_loop_are_one_batch_and_no_timer_holds_them_back() -> None:
    async def play() -> None:
        work, quick = Doubler(), Quick()
        with ThreadPoolExecutor(1) as pool:
            gathers = two_ways(work, quick, pool)
            calls = [gathers.submit(number, 1, seconds=1e-5) for number in (1, 2, 3)]
            assert quick.batches == []
            await asyncio.sleep(0)
            assert quick.batches == [[1, 2, 3]]
            assert await asyncio.gather(*calls) == [3, 6, 9]
        assert work.batches == []

    asyncio.run(play())


def test_no_turn_of_the_loop_takes_more_small_work_than_its_share() -> None:
    async def play() -> None:
        quick = Quick()
        with ThreadPoolExecutor(1) as pool:
            gathers = two_ways(Doubler(), quick, pool)
            await asyncio.gather(*[gathers.submit(number, 1, seconds=4e-4) for number in range(7)])
        assert [len(batch) for batch in quick.batches] == [3, 3, 1]

    asyncio.run(play())


def test_small_calls_do_not_wait_for_large_ones() -> None:
    async def play() -> None:
        work, quick = Doubler(), Quick()
        with ThreadPoolExecutor(1) as pool:
            gathers = two_ways(work, quick, pool)
            work.gate.clear()
            large = gathers.submit(10, 50, seconds=0.5)
            assert await asyncio.wait_for(gathers.submit(1, 1, seconds=1e-5), 2) == 3
            assert not large.done()
            work.gate.set()
            assert await large == 20

    asyncio.run(play())


def test_what_quick_work_leaves_or_breaks_on_is_done_in_the_thread() -> None:
    async def play() -> None:
        work, quick = Doubler(), Quick()
        with ThreadPoolExecutor(1) as pool:
            gathers = two_ways(work, quick, pool)
            left = [gathers.submit(number, 1, seconds=1e-5) for number in (1, -2)]
            assert await asyncio.gather(*left) == [3, -4]
            broken = [gathers.submit(number, 1, seconds=1e-5) for number in (5, 666)]
            assert await asyncio.gather(*broken) == [10, 1332]

    asyncio.run(play())


def test_calls_that_come_one_by_one_are_answered_as_they_come_until_two_come_together() -> None:
    async def play() -> None:
        quick = Quick()
        with ThreadPoolExecutor(1) as pool:
            gathers = two_ways(Doubler(), quick, pool)
            assert gathers.at_once(1) is None
            for number in range(4):
                await gathers.submit(number, 1, seconds=1e-5)
            assert gathers.at_once(7) == 21
            assert gathers.at_once(8) is None
            company = gathers.submit(8, 1, seconds=1e-5)
            await asyncio.sleep(0)
            assert await company == 24
            assert gathers.at_once(9) is None

    asyncio.run(play())


def test_a_call_that_waits_beyond_its_deadline_is_told_so_and_never_worked_on() -> None:
    async def play() -> None:
        work = Doubler()
        with ThreadPoolExecutor(1) as pool:
            gathers = two_ways(work, Quick(), pool)
            work.gate.clear()
            running = gathers.submit(1, 1)
            late = gathers.submit(2, 1, deadline=time.monotonic() + 0.05)
            with pytest.raises(TooLate):
                await asyncio.wait_for(late, 2)
            with pytest.raises(TooLate):
                await gathers.submit(3, 1, seconds=1e-5, deadline=time.monotonic() - 1)
            work.gate.set()
            await running
        assert work.batches == [[1]]

    asyncio.run(play())
