from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scripted_server import Script, Turn, scripted

from service.client import Incumbent, IncumbentError


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as made:
        yield made


ACCEPTED: Turn = (200, {}, {"accepted": 1, "unknown": [], "conflicting": []})


def test_feedback_whose_answer_was_lost_is_sent_again_under_the_same_key(script: Script) -> None:
    script.answers(None, ACCEPTED)
    with Incumbent(script.url) as client:
        assert client.feedback("p", {"a": True})["accepted"] == 1
    keys = [headers["idempotency-key"] for _, _, headers, _ in script.seen]
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_two_uploads_have_two_keys(script: Script) -> None:
    done: Turn = (201, {}, {"batch": 1})
    script.answers(done, done)
    with Incumbent(script.url) as client:
        client.upload("p", [{"a": 1}])
        client.upload("p", [{"a": 1}])
    first, second = (headers["idempotency-key"] for _, _, headers, _ in script.seen)
    assert first != second


def test_a_prediction_whose_answer_was_lost_is_not_asked_twice(script: Script) -> None:
    script.answers(None)
    with Incumbent(script.url) as client, pytest.raises(IncumbentError) as caught:
        client.predict("p", [{"a": 1}])
    assert caught.value.code == "unreachable"
    assert len(script.seen) == 1


def test_a_busy_server_is_asked_again(script: Script) -> None:
    busy: Turn = (503, {"retry-after": "0"}, {"code": "overloaded", "detail": "busy"})
    script.answers(busy, (200, {}, {"model_version": 1, "predictions": []}))
    with Incumbent(script.url) as client:
        assert client.predict("p", [{"a": 1}])["model_version"] == 1


def test_a_server_that_stays_busy_is_an_error_in_the_end(script: Script) -> None:
    busy: Turn = (503, {}, {"code": "overloaded", "detail": "busy"})
    script.answers(busy, busy)
    with Incumbent(script.url, retries=1) as client, pytest.raises(IncumbentError) as caught:
        client.predict("p", [{"a": 1}])
    assert caught.value.status == 503
    assert caught.value.code == "overloaded"


def test_a_problem_document_becomes_an_error_with_field_and_remedy(script: Script) -> None:
    problem = {
        "detail": "Column age is missing.",
        "code": "missing_column",
        "field": "age",
        "remedy": "Send it.",
    }
    script.answers((422, {"content-type": "application/problem+json"}, problem))
    with Incumbent(script.url) as client, pytest.raises(IncumbentError, match="Column age") as caught:
        client.predict("p", [{"a": 1}])
    error = caught.value
    assert (error.status, error.code, error.field, error.remedy) == (422, "missing_column", "age", "Send it.")
    assert error.problem == problem


def test_an_answer_that_is_no_problem_document_is_still_an_error(script: Script) -> None:
    script.answers((502, {}, b"<html>bad gateway</html>"))
    with Incumbent(script.url) as client, pytest.raises(IncumbentError) as caught:
        client.projects()
    assert caught.value.code == "http_502"


def test_nobody_listening_is_unreachable_with_a_remedy() -> None:
    with Incumbent("http://127.0.0.1:9", retries=0) as client, pytest.raises(IncumbentError) as caught:
        client.health()
    assert caught.value.code == "unreachable"
    assert "incumbent serve" in (caught.value.remedy or "")


def test_the_key_is_sent_as_a_bearer_token(script: Script) -> None:
    script.answers((200, {}, {"projects": []}))
    with Incumbent(script.url, key="inc_x_y") as client:
        assert client.projects() == []
    assert script.seen[0][2]["authorization"] == "Bearer inc_x_y"


def test_values_of_data_frames_are_written_as_json(script: Script) -> None:
    script.answers((200, {}, {"model_version": 1, "predictions": []}))
    with Incumbent(script.url) as client:
        client.predict("p", [{"a": np.int64(3), "b": float("nan"), "c": np.float32(0.5), "d": np.True_}])
    assert msgspec.json.decode(script.seen[0][3]) == {"rows": [{"a": 3, "b": None, "c": 0.5, "d": True}]}


def test_names_are_quoted_in_paths(script: Script) -> None:
    script.answers((200, {}, {}))
    with Incumbent(script.url) as client:
        client.project("a/b c")
    assert script.seen[0][1] == "/v1/projects/a%2Fb%20c"


def test_watching_ends_with_the_run(script: Script) -> None:
    states = [{"run": 1, "status": status} for status in ("queued", "running", "completed")]
    script.answers(*[(200, {}, state) for state in states])
    with Incumbent(script.url) as client:
        assert [state["status"] for state in client.watch("p", 1, every=0)] == [
            "queued",
            "running",
            "completed",
        ]


def test_a_file_says_how_far_it_is_on_its_way(script: Script, tmp_path: Path) -> None:
    script.answers((201, {}, {"batch": 1}))
    file = tmp_path / "rows.csv"
    file.write_text("a,y\n" + "1,yes\n" * 60_000)
    told: list[tuple[int, int]] = []
    with Incumbent(script.url) as client:
        client.upload("p", file, progress=lambda sent, size: told.append((sent, size)))
    size = file.stat().st_size
    assert told[-1] == (size, size)
    assert [sent for sent, _ in told] == sorted(sent for sent, _ in told)
    assert len(told) > 3


def test_events_of_a_run_come_once_though_the_connection_is_lost_in_between(script: Script) -> None:
    def trial(number: int) -> str:
        return f'id: {number}\nevent: trial\ndata: {{"number": {number}}}\n\n'

    status = 'event: status\ndata: {"run": 1, "status": "running"}\n\n'
    first = (status + trial(1) + ": still here\n\n" + trial(2)[:-9]).encode()
    end = 'event: end\ndata: {"run": 1, "status": "completed"}\n\n'
    whole = (status + trial(1) + trial(2) + trial(3) + end).encode()
    script.answers((200, {}, first), (200, {}, whole))
    with Incumbent(script.url) as client:
        found = list(client.events("p", 1))
    assert [event.name for event in found] == ["status", "trial", "trial", "trial", "end"]
    assert [event.data["number"] for event in found if event.name == "trial"] == [1, 2, 3]
