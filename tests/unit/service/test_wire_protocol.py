"""Bytes on a socket: whatever way a call takes through the server, connections behave alike."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from wire_house import House, rows_of, serving

USUAL = "/v1/projects/fruit/predict"
BEHIND = "/v1/projects/fruit/predict?log=true"
LONG = "/v1/projects/plain/predict"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    projects: dict[str, dict[str, Any]] = {
        "fruit": {"compiled": True, "named": True},
        "plain": {"compiled": False, "named": True},
    }
    with serving(tmp_path_factory.mktemp("protocol"), projects, keep_alive=1) as made:
        yield made


def rows(count: int, seed: int = 1) -> list[dict[str, Any]]:
    return rows_of(count, seed).drop_columns(["ripe"]).to_pylist()


def request(path: str, body: bytes, *headers: str, version: str = "1.1") -> bytes:
    lines = [f"POST {path} HTTP/{version}", "Host: x", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def asking(name: str) -> bytes:
    return json.dumps({"rows": [{**rows(1)[0], "ref": name}]}).encode()


class Line:
    """A raw connection."""

    def __init__(self, house: House) -> None:
        at = house.http.base_url
        self.socket = socket.create_connection((at.host, at.port or 80), timeout=10)
        self.file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> tuple[int, dict[str, str], Any]:
        status = int(self.file.readline().split()[1])
        headers = {}
        while line := self.file.readline().strip().decode():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        return status, headers, json.loads(self.file.read(int(headers["content-length"])))

    def ended(self) -> bool:
        return self.file.read(1) == b""

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *raised: object) -> None:
        self.file.close()
        self.socket.close()


def ids(answer: tuple[int, dict[str, str], Any]) -> list[str]:
    assert answer[0] == 200, answer
    return [one["id"] for one in answer[2]["predictions"]]


def test_one_connection_carries_calls_of_all_ways_one_after_the_other(house: House) -> None:
    with Line(house) as line:
        for number, path in enumerate([USUAL, BEHIND, USUAL, LONG, USUAL, USUAL, BEHIND, LONG]):
            line.send(request(path, asking(f"n{number}")))
            assert ids(line.answer()) == [f"n{number}"]
        line.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert line.answer()[2]["status"] == "ok"
        line.send(request(USUAL, asking("last")))
        assert ids(line.answer()) == ["last"]


@pytest.mark.parametrize("paths", [[USUAL] * 6, [LONG, USUAL, BEHIND, USUAL, LONG, USUAL], [USUAL, LONG] * 5])
def test_answers_to_pipelined_calls_leave_in_the_order_of_the_calls(house: House, paths: list[str]) -> None:
    with Line(house) as line:
        line.send(b"".join(request(path, asking(f"n{at}")) for at, path in enumerate(paths)))
        assert [ids(line.answer())[0] for _ in paths] == [f"n{at}" for at in range(len(paths))]
        line.send(request(USUAL, asking("after")))
        assert ids(line.answer()) == ["after"]


def test_odd_rows_get_their_problem_and_the_connection_goes_on(house: House) -> None:
    with Line(house) as line:
        for body, code in [
            (b"{", "invalid_json"),
            (json.dumps({"rows": [{**rows(1)[0], "size": "tall"}]}).encode(), "unparsable_number"),
            (b'{"rows": []}', "invalid_rows"),
        ]:
            line.send(request(USUAL, body))
            status, headers, problem = line.answer()
            assert (status, problem["code"]) == (422, code)
            assert (headers["content-type"], problem["instance"]) == ("application/problem+json", USUAL)
        line.send(request(USUAL, asking("then")))
        status, headers, _ = line.answer()
        assert (status, headers["content-type"]) == (200, "application/json")
        assert "date" in headers


def test_a_call_may_come_byte_by_byte_chunked_or_ask_first(house: House) -> None:
    body = asking("slowly")
    with Line(house) as line:
        whole = request(USUAL, body)
        for start in range(0, len(whole), 7):
            line.send(whole[start : start + 7])
        assert ids(line.answer()) == ["slowly"]
        head = f"POST {USUAL} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        line.send(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        assert ids(line.answer()) == ["slowly"]
        line.send(
            request(USUAL, b"", "Expect: 100-continue").replace(b"Length: 0", b"Length: %d" % len(body))
        )
        assert line.file.readline() == b"HTTP/1.1 100 Continue\r\n"
        line.file.readline()
        line.send(body)
        assert ids(line.answer()) == ["slowly"]


@pytest.mark.parametrize("path", [USUAL, LONG])
def test_a_connection_is_closed_when_the_client_asks_for_it(house: House, path: str) -> None:
    with Line(house) as line:
        line.send(request(path, asking("bye"), "Connection: close"))
        assert ids(line.answer()) == ["bye"]
        assert line.ended()
    with Line(house) as line:
        line.send(request(path, asking("old"), version="1.0"))
        assert ids(line.answer()) == ["old"]
        assert line.ended()


@pytest.mark.parametrize("path", [USUAL, BEHIND])
def test_an_idle_connection_is_closed_after_its_time_and_a_busy_one_is_not(house: House, path: str) -> None:
    with Line(house) as line:
        for _ in range(4):
            line.send(request(path, asking("still here")))
            line.answer()
            time.sleep(0.5)
        started = time.monotonic()
        assert line.ended()
        assert time.monotonic() - started < 5


def test_what_is_no_http_is_refused(house: House) -> None:
    with Line(house) as line:
        line.send(b"\x00\x01\x02 nonsense\r\n\r\n")
        assert b"400" in line.file.readline()
    with Line(house) as line:
        line.send(request(USUAL, asking("x")).replace(b"Content-Length: ", b"Content-Length: -"))
        assert b"400" in line.file.readline()


def test_an_answer_under_way_is_finished_when_the_server_stops(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    projects: dict[str, dict[str, Any]] = {"fruit": {"compiled": True}}
    with serving(tmp_path_factory.mktemp("stopping"), projects) as house, Line(house) as line:
        line.send(request(USUAL, asking("first")))
        line.answer()
        lane, gate = house.app.state.lanes.get("fruit"), Event()
        answering = lane._predictor
        lane._predictor = lambda calls: (gate.wait(10), answering(calls))[1]
        # The blank is settled by the check alone: the call waits for the thread when the server stops.
        line.send(request(USUAL, json.dumps({"rows": [{**rows(1)[0], "colour": " red"}]}).encode()))
        time.sleep(0.2)
        house.stop()
        time.sleep(0.3)
        gate.set()
        assert line.answer()[0] == 200
        assert line.ended()
