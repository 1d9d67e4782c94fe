"""The front of the service over real sockets: encodings, deadlines, clients that leave, a log that is behind, keys."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np
import pytest
from small_house import NOW
from wire_house import House, rows_of, serving

from registry.journal import read
from service.log_reading import read_records
from service.wire import key_cache


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    projects: dict[str, dict[str, Any]] = {
        "fruit": {"compiled": True, "named": False},
        "plain": {"compiled": False, "named": False},
    }
    folder = tmp_path_factory.mktemp("wire")
    with serving(
        folder, projects, max_predict_bytes=4_000_000, gzip_answer_bytes=20_000, flush_seconds=3600
    ) as made:
        yield made


def asked(count: int) -> list[dict[str, Any]]:
    return rows_of(count, 6).drop_columns(["ref", "ripe"]).to_pylist()


class Slow:
    """A model that holds the thread until it is let go, and counts its calls."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun = threading.Semaphore(0)
        self.rows: list[int] = []

    def predict_proba(self, frame: Any) -> Any:
        self.rows.append(len(frame))
        self.begun.release()
        self.gate.wait(20)
        return np.tile([0.5, 0.5], (len(frame), 1))


@pytest.fixture
def slow(house: House) -> Iterator[Slow]:
    champions = house.app.state.context.serving._champions
    kept, model = champions["plain"], Slow()
    champions["plain"] = replace(kept, pipeline=model)
    yield model
    model.gate.set()
    champions["plain"] = kept


def test_bodies_and_answers_may_be_gzipped(house: House) -> None:
    few, many = {"rows": asked(2)}, {"rows": asked(1_500)}
    packed = gzip.compress(json.dumps(few).encode())
    answer = house.predict("fruit", packed, content_encoding="gzip")
    assert len(answer.json()["predictions"]) == 2
    assert "content-encoding" not in answer.headers
    large = house.predict("fruit", many, accept_encoding="gzip")
    assert large.headers["content-encoding"] == "gzip"
    assert len(large.json()["predictions"]) == 1_500
    assert "content-encoding" not in house.predict("fruit", many, accept_encoding="identity").headers


@pytest.mark.parametrize(
    ("body", "encoding", "status", "code"),
    [
        (b"not gzip", "gzip", 422, "broken_gzip"),
        (gzip.compress(b'{"rows": []}')[:-4], "gzip", 422, "broken_gzip"),
        (gzip.compress(b" " * 5_000_000), "gzip", 413, "body_too_large"),
        (gzip.compress(b" " * 3_000_000) * 2, "gzip", 413, "body_too_large"),
        (b"{}", "br", 415, "unknown_encoding"),
    ],
)
def test_encodings_that_hide_something_are_refused(
    house: House, body: bytes, encoding: str, status: int, code: str
) -> None:
    answer = house.predict("fruit", body, content_encoding=encoding)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_query_or_another_method_reaches_the_routes_behind(house: House) -> None:
    answer = house.http.post("/v1/projects/fruit/predict?log=true", json={"rows": asked(1)})
    assert answer.json()["predictions"][0]["value"] in ("yes", "no")
    assert house.http.get("/v1/projects/fruit/predict").status_code == 405
    assert "/v1/projects/{project}/predict" in house.http.get("/openapi.json").json()["paths"]


def test_a_call_that_is_not_answered_by_its_deadline_is_told_so(house: House, slow: Slow) -> None:
    started = time.monotonic()
    answer = house.predict("plain", {"rows": asked(1)}, X_Deadline_Ms="150")
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")
    assert time.monotonic() - started < 5
    assert (
        house.predict("plain", {"rows": asked(1)}, X_Deadline_Ms="soon").json()["code"] == "invalid_deadline"
    )


def test_calls_whose_client_left_cost_no_model_time(house: House, slow: Slow) -> None:
    body = json.dumps({"rows": asked(1)}).encode()
    request = b"POST /v1/projects/plain/predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    at = house.http.base_url
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(house.predict, "plain", {"rows": asked(2)})
        assert slow.begun.acquire(timeout=10)
        for _ in range(5):
            leaving = socket.create_connection((at.host, at.port or 80))
            leaving.sendall(request + body)
            time.sleep(0.05)
            leaving.close()
        time.sleep(0.3)
        staying = pool.submit(
            lambda: httpx.post(f"{house.url}/v1/projects/plain/predict", content=body, timeout=20)
        )
        time.sleep(0.1)
        slow.gate.set()
        assert first.result().status_code == 200
        assert staying.result().status_code == 200
    assert slow.rows == [2, 1]


def test_small_calls_keep_their_pace_beside_large_ones(house: House) -> None:
    large = json.dumps({"rows": asked(5_000)}).encode()
    over = threading.Event()

    def keep_busy() -> list[float]:
        taken = []
        with httpx.Client(base_url=house.url, timeout=30) as http:
            while not over.is_set():
                started = time.perf_counter()
                assert http.post("/v1/projects/fruit/predict", content=large).status_code == 200
                taken.append(time.perf_counter() - started)
        return taken

    small = {"rows": asked(1)}
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(keep_busy)
        times = []
        while len(times) < 150:
            started = time.perf_counter()
            assert house.predict("fruit", small).status_code == 200
            times.append(time.perf_counter() - started)
        over.set()
    assert median(times) < median(busy.result()) / 4


def test_what_is_answered_is_in_the_journal_by_then(house: House) -> None:
    journal = house.app.state.context.observation._journal
    journal.rotate()
    before = {number for number, _ in journal.sealed()}
    ids = [one["id"] for one in house.predict("fruit", {"rows": asked(3)}).json()["predictions"]]
    journal.rotate()
    (path,) = [path for number, path in journal.sealed() if number not in before]
    (logged,) = read_records(read(path))
    assert logged.rows["_row_id"].to_pylist() == ids
    assert logged.predictions["value"].null_count == 0


def test_a_log_that_is_behind_refuses_calls_until_it_has_caught_up(house: House) -> None:
    observation = house.app.state.context.observation
    observation.flush()
    assert house.predict("fruit", {"rows": asked(5)}).status_code == 200
    kept, observation._most_bytes = observation._most_bytes, 500
    try:
        answer = house.predict("fruit", {"rows": asked(1)})
        assert (answer.status_code, answer.json()["code"]) == (503, "log_behind")
        assert answer.headers["retry-after"]
        observation.flush()
        assert house.predict("fruit", {"rows": asked(1)}).status_code == 200
    finally:
        observation._most_bytes = kept


def test_a_full_disk_is_no_answer_and_no_fault_of_the_model(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = house.app.state.context
    project = context.registry.projects.get("fruit").id
    failed = context.shadow.conduct(project, 1).failed

    def full(record: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(context.observation._journal, "append", full)
        answer = house.predict("fruit", {"rows": asked(1)})
        assert (answer.status_code, answer.json()["code"]) == (500, "unexpected")
    assert house.predict("fruit", {"rows": asked(1)}).status_code == 200
    assert context.shadow.conduct(project, 1).failed == failed


def test_metrics_count_every_row_and_call(house: House) -> None:
    def counts() -> tuple[float, float]:
        text = house.http.get("/metrics").text
        found = [line.rpartition(" ")[2] for line in text.splitlines() if 'project="fruit"' in line and (
            line.startswith("incumbent_predictions_total") or "duration_seconds_count" in line)]  # fmt: skip
        rows, calls = map(float, found)
        return rows, calls

    before = counts()
    for count in (1, 2, 700):
        house.predict("fruit", {"rows": asked(count)})
    after = counts()
    assert (after[0] - before[0], after[1] - before[1]) == (703, 3)


def test_a_key_is_asked_for_and_one_that_was_revoked_is_soon_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_cache, "KEPT_SECONDS", 0.4)
    with serving(tmp_path, {"fruit": {"compiled": True}}, require_keys=True) as house:
        keys = house.app.state.context.registry.keys
        key, secret = keys.create({"predict"}, label="a", at=NOW)
        _, other = keys.create({"data"}, label="b", at=NOW)
        body = {"rows": rows_of(1).drop_columns(["ripe"]).to_pylist()}
        assert house.predict("fruit", body).json()["code"] == "key_missing"
        assert house.predict("fruit", body, x_api_key="inc_no_body").json()["code"] == "key_invalid"
        assert house.predict("fruit", body, x_api_key=other).json()["code"] == "scope_missing"
        for _ in range(3):
            assert house.predict("fruit", body, authorization=f"Bearer {secret}").status_code == 200
            assert house.predict("fruit", body, x_api_key=secret).status_code == 200
        keys.revoke(key.prefix, at=NOW)
        time.sleep(0.5)
        assert house.predict("fruit", body, x_api_key=secret).json()["code"] == "key_invalid"
        tensors = house.http.post("/v2/models/fruit/infer", json={})
        assert (tensors.status_code, set(tensors.json())) == (401, {"error"})
