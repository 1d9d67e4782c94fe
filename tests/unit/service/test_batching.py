from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.batching import Batcher, Overloaded


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
            first = asyncio.create_task(gathers.submit(2, 1))
            await asyncio.sleep(0)
            rest = [asyncio.create_task(gathers.submit(number, 1)) for number in (3, 4, 5)]
            await asyncio.sleep(0)
            work.gate.set()
            assert await asyncio.gather(first, *rest) == [4, 6, 8, 10]
        assert work.batches == [[1], [2], [3, 4, 5]]

    asyncio.run(play())


def test_one_bad_call_fails_alone() -> None:
    async def play() -> None:
        work = Doubler()
        with ThreadPoolExecutor(1) as pool:
            gathers = batcher(work, pool)
            work.gate.clear()
            tasks = [asyncio.create_task(gathers.submit(number, 1)) for number in (1, 13, 3)]
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
            running = asyncio.create_task(gathers.submit(1, 10))
            await asyncio.sleep(0)
            waiting = asyncio.create_task(gathers.submit(2, 10))
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
            running = asyncio.create_task(gathers.submit(1, 1))
            await asyncio.sleep(0)
            gone = asyncio.create_task(gathers.submit(2, 1))
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
            tasks = [asyncio.create_task(gathers.submit(number, 1)) for number in range(5)]
            await asyncio.sleep(0)
            work.gate.set()
            await asyncio.gather(*tasks)
        assert max(len(batch) for batch in work.batches) <= 2

    asyncio.run(play())
