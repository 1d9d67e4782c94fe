"""Prediction calls that ask why: over the whole application, with the process that explains."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import psutil
import pytest
from fastapi.testclient import TestClient
from small_house import await_ready, make_champion, make_model, make_project, open_registry

from service.app import create_app
from service.explain_messages import Request
from service.explaining import MOST_ROWS, Explaining
from service.problems import Problem
from service.settings import Settings

ROW = {"size": 1.5, "colour": "red"}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A project with a champion of two versions (fruit), and one without (bare)."""
    folder = tmp_path_factory.mktemp("service")
    registry = open_registry(folder)
    project = make_project(registry)
    make_model(registry, project)
    make_model(registry, project, C=0.01)
    make_champion(registry, registry.projects.get("fruit"), 1)
    make_project(registry, name="bare")
    registry.close()
    with TestClient(create_app(Settings(home=folder / "home", scheduler=False))) as client:
        await_ready(client)
        yield client


def ask(http: TestClient, *rows: dict[str, Any], explain: str = "true", project: str = "fruit") -> Any:
    return http.post(f"/v1/projects/{project}/predict?explain={explain}", json={"rows": list(rows)})


def explaining(http: TestClient) -> Explaining:
    found: Explaining = http.app.state.explaining  # type: ignore[attr-defined]
    return found


def child(http: TestClient) -> int:
    """The process that explains, started where need be."""
    assert ask(http, ROW).status_code == 200
    pid = explaining(http).pid
    assert pid is not None
    return pid


def log_odds(share: float) -> float:
    return math.log(share / (1 - share))


def test_each_row_is_answered_with_contributions_that_add_up_to_its_log_odds(http: TestClient) -> None:
    answer = ask(http, ROW, {"size": None, "colour": "a new one"}, {"size": -2, "colour": "blue"})
    assert answer.status_code == 200, answer.text
    predictions = answer.json()["predictions"]
    assert len({one["id"] for one in predictions}) == 3
    for one in predictions:
        told = one["explanation"]
        assert told["scale"] == "log-odds"
        assert told["class"] == "yes"
        total = told["base"] + sum(part["contribution"] for part in told["contributions"])
        assert total == pytest.approx(log_odds(one["probabilities"]["yes"]), abs=1e-4)


def test_contributions_stand_by_the_callers_columns_with_the_values_that_were_read(http: TestClient) -> None:
    told = ask(http, {"size": "1.5", "colour": "red", "more": 1}).json()["predictions"][0]["explanation"]
    assert {part["column"]: part["value"] for part in told["contributions"]} == ROW
    sizes = [abs(part["contribution"]) for part in told["contributions"]]
    assert sizes == sorted(sizes, reverse=True)
    assert told["contributions"][0]["column"] == "size"  # what the label hangs on


def test_the_answer_itself_is_that_of_a_plain_call(http: TestClient) -> None:
    explained = ask(http, ROW).json()
    plain = ask(http, ROW, explain="false").json()
    assert explained["model_version"] == plain["model_version"]
    (one,), (other,) = explained["predictions"], plain["predictions"]
    assert "explanation" not in other
    assert one["value"] == other["value"]
    assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-12)


def test_an_explained_answer_is_logged_like_any_other(http: TestClient) -> None:
    name = ask(http, ROW).json()["predictions"][0]["id"]
    context = http.app.state.context  # type: ignore[attr-defined]
    context.observation.flush()
    project = context.registry.projects.get("fruit")
    assert context.registry.datasets.known(project.id, [name]) == {name}


@pytest.mark.parametrize(
    ("rows", "project", "explain", "status", "code"),
    [
        ([{"size": 1}], "fruit", "true", 422, "missing_column"),
        ([{"size": "tall", "colour": "red"}], "fruit", "true", 422, "unparsable_number"),
        ([ROW] * (MOST_ROWS + 1), "fruit", "true", 413, "too_many_rows_to_explain"),
        ([ROW], "bare", "true", 409, "no_champion"),
        ([ROW], "nowhere", "true", 404, "project_not_found"),
        ([ROW], "fruit", "perhaps", 422, "invalid_request"),
    ],
)
def test_what_is_wrong_is_a_problem(
    http: TestClient, rows: list[Any], project: str, explain: str, status: int, code: str
) -> None:
    answer = ask(http, *rows, explain=explain, project=project)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_plain_predictions_go_on_while_an_explanation_stands_still(http: TestClient) -> None:
    """The process that explains is held: had plain calls anything to wait for there, they would wait for ever."""
    held = child(http)
    os.kill(held, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(1) as beside:
            waiting = beside.submit(ask, http, ROW)
            for _ in range(20):
                assert ask(http, ROW, explain="false").status_code == 200
            assert not waiting.done()
            os.kill(held, signal.SIGCONT)
            assert waiting.result(timeout=30).status_code == 200
    finally:
        os.kill(held, signal.SIGCONT)


def test_it_works_in_a_process_of_lower_priority(http: TestClient) -> None:
    pid = child(http)
    assert pid != os.getpid()
    assert psutil.Process(pid).nice() > psutil.Process().nice()


def test_a_process_that_was_killed_is_followed_by_another(http: TestClient) -> None:
    killed = child(http)
    os.kill(killed, signal.SIGKILL)
    assert child(http) != killed


def test_a_new_champion_explains_itself(http: TestClient) -> None:
    before = ask(http, ROW).json()
    assert http.post("/v1/projects/fruit/models/2/promote").status_code == 200
    try:
        end = time.monotonic() + 20
        while (after := ask(http, ROW).json())["model_version"] == before["model_version"]:
            assert time.monotonic() < end
        one, told = after["predictions"][0], after["predictions"][0]["explanation"]
        total = told["base"] + sum(part["contribution"] for part in told["contributions"])
        assert total == pytest.approx(log_odds(one["probabilities"]["yes"]), abs=1e-4)
        assert told["base"] != before["predictions"][0]["explanation"]["base"]
    finally:
        http.post("/v1/projects/fruit/rollback")


def test_more_than_the_queue_holds_is_refused_at_once() -> None:
    narrow, hold = Explaining(queue_rows=100), Event()
    try:
        first = narrow.submit(80, hold.wait)
        narrow.submit(20, lambda: None)
        with pytest.raises(Problem) as refused:
            narrow.submit(1, lambda: None)
        assert (refused.value.status, refused.value.code) == (503, "explanations_overloaded")
        assert refused.value.headers is not None
        assert "Retry-After" in refused.value.headers
        hold.set()
        first.result(timeout=10)
        narrow.submit(0, lambda: None).result(timeout=10)
        narrow.submit(100, lambda: None).result(timeout=10)
    finally:
        hold.set()
        narrow.close()


def test_one_that_takes_too_long_is_ended(http: TestClient) -> None:
    hurried = explaining(http)
    held = child(http)
    os.kill(held, signal.SIGSTOP)
    usual, hurried._answer_within = hurried._answer_within, 0.3
    try:
        answer = ask(http, ROW)
        assert (answer.status_code, answer.json()["code"]) == (503, "explanation_too_slow")
    finally:
        hurried._answer_within = usual
    assert child(http) != held


def test_a_call_whose_turn_does_not_come_before_its_deadline_is_refused_and_not_logged(
    http: TestClient,
) -> None:
    def stored() -> int:
        observation.flush()
        return int(http.app.state.context.registry.datasets.facts(1).predictions)  # type: ignore[attr-defined]

    observation = http.app.state.context.observation  # type: ignore[attr-defined]
    before, go_on = stored(), Event()
    explaining(http).submit(1, lambda: go_on.wait(20))
    try:
        url = "/v1/projects/fruit/predict?explain=true"
        late = http.post(url, json={"rows": [ROW]}, headers={"X-Deadline-Ms": "100"})
        assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")
        odd = http.post(url, json={"rows": [ROW]}, headers={"X-Deadline-Ms": "soon"})
        assert (odd.status_code, odd.json()["field"]) == (422, "X-Deadline-Ms")
    finally:
        go_on.set()
    assert ask(http, ROW).status_code == 200
    assert stored() == before + 1


def test_nothing_is_explained_that_the_log_can_not_keep(http: TestClient) -> None:
    observation = http.app.state.context.observation  # type: ignore[attr-defined]
    kept, observation._most_bytes = observation._most_bytes, 0
    try:
        answer = ask(http, ROW)
    finally:
        observation._most_bytes = kept
    assert (answer.status_code, answer.json()["code"]) == (503, "log_behind")


def test_no_process_is_started_before_it_is_asked_and_none_is_left() -> None:
    served = Explaining()
    assert served.pid is None
    nobody = Request(key="nobody", rows=b"")
    reply = served.submit(1, lambda: served._asked(nobody)).result(timeout=60)
    assert reply is not None
    assert reply.lacking
    pid = served.pid
    assert pid is not None
    served.close()
    assert not psutil.pid_exists(pid)
