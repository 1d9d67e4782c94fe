"""The benchmark's load generator: it counts what a server really did, and sees answers that mix versions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.serving.contestants import http_request
from benchmarks.serving.load import Generator, read_requests, write_requests

OLD, NEW = [0.1, 0.2], [0.8, 0.9]
EXPECTED = [{"1": OLD, "2": NEW}]


def answer(version: int, shares: list[float]) -> bytes:
    predictions = [{"id": "r", "probabilities": {"no": 1 - share, "yes": share}} for share in shares]
    return json.dumps({"model_version": version, "predictions": predictions}).encode()


def load(says: Callable[[int], tuple[int, bytes]], *, delay: float = 0.0, **order: Any) -> dict[str, Any]:
    """What the generator reports of a server on a real socket that says this to its n-th call."""

    async def play() -> dict[str, Any]:
        calls = iter(range(10**9))

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
                    await asyncio.sleep(delay)
                    status, body = says(next(calls))
                    writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body)
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        told = {"port": server.sockets[0].getsockname()[1], "connections": 4, "seconds": 0.3, "warm": 0.05}
        report = await Generator({**told, **order}, [http_request("/predict", b'{"rows": [{}]}')]).run()
        server.close()
        return report

    return asyncio.run(play())


def test_answers_of_one_version_each_are_no_fault():
    report = load(lambda call: (200, answer(1, OLD) if call % 2 else answer(2, NEW)), expected=EXPECTED)
    assert report["failed"] == 0
    assert report["answers"] > 0
    assert set(report["versions"]) == {"1", "2"}


@pytest.mark.parametrize("wrong", [answer(1, [0.1, 0.9]), answer(2, OLD), answer(3, OLD), answer(1, [0.1])])
def test_an_answer_that_mixes_versions_or_lacks_a_row_is_a_fault(wrong):
    report = load(lambda call: (200, wrong if call == 3 else answer(1, OLD)), expected=EXPECTED)
    assert report["failed"] == 1, report["faults"]


def test_a_refusal_is_a_fault_with_its_status():
    report = load(lambda call: (503, b"{}") if call < 5 else (200, b"{}"))
    assert report["faults"] == {"status 503": 5}


def test_no_more_requests_are_sent_than_were_ordered():
    report = load(lambda call: (200, b"{}"), requests=50, seconds=5)
    assert report["answered_in_all"] == 50
    assert report["seconds"] < 4


def test_at_a_rate_a_server_that_is_too_slow_is_charged_for_those_who_wait():
    """4 connections and 50 ms an answer are 80 a second: at 200 a second the queue grows."""
    slow = load(lambda call: (200, b"{}"), delay=0.05, rate=200, seconds=1.0)
    assert slow["p50_ms"] > 150, "only the answer itself was counted, not the wait for a free connection"


def test_at_a_rate_that_a_server_holds_the_latency_is_its_own():
    quick = load(lambda call: (200, b"{}"), rate=100, seconds=1.0, connections=8)
    assert 70 < quick["per_second"] < 130
    assert quick["p50_ms"] < 20


def test_requests_are_read_as_they_were_written(tmp_path: Path):
    requests = [b"a", b"", b"\x00" * 300]
    write_requests(tmp_path / "requests", requests)
    assert read_requests(tmp_path / "requests") == requests
