"""A run's start and end as OpenLineage events: as its own classes write them, told once each, whoever is away meanwhile."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attr
import pytest
from openlineage.client import set_producer
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    dataset_version_dataset,
    error_message_run,
    input_statistics_input_dataset,
    job_type_job,
    output_statistics_output_dataset,
    processing_engine_run,
    schema_dataset,
)
from openlineage.client.serde import Serde
from pydantic import ValidationError
from small_house import NOW, make_model, make_project, open_registry

from registry.records import NewModel, Project, RunStatus
from registry.store import Registry
from service.conclusion import ended_event
from service.lineage.follower import Follower, Unsent
from service.lineage.openlineage import openlineage, teller
from service.lineage.sinks import sink
from service.settings import Settings

FACETS = {
    "version": dataset_version_dataset.DatasetVersionDatasetFacet,
    "errorMessage": error_message_run.ErrorMessageRunFacet,
    "inputStatistics": input_statistics_input_dataset.InputStatisticsInputDatasetFacet,
    "jobType": job_type_job.JobTypeJobFacet,
    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    "processing_engine": processing_engine_run.ProcessingEngineRunFacet,
}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def project(registry: Registry) -> Project:
    return make_project(registry)


def claimed(registry: Registry, project: Project) -> Any:
    registry.runs.enqueue(
        project.id,
        trigger={"kind": "manual", "fired": [], "evidence": {}},
        reason="asked for",
        plan={},
        dataset_version=1,
        seed=1,
        at=NOW,
    )
    run = registry.runs.claim("test", lease_seconds=60, at=NOW)
    assert run is not None
    return run


def conclude(registry: Registry, project: Project, run: Any, status: RunStatus, **more: Any) -> None:
    told = ended_event(
        project.name, run, "promoted" if status is RunStatus.COMPLETED else status.value, "why"
    )
    registry.runs.conclude(
        run.id, run.fence, status=status, events=(told,), at=NOW + timedelta(seconds=9), **more
    )


def a_model(registry: Registry, project: Project) -> NewModel:
    plain = make_model(registry, project)
    return NewModel(
        blob=plain.blob,
        engine="flaml",
        estimator="lgbm",
        config={},
        dataset_version=1,
        details=dict(plain.details),
    )


def follower(registry: Registry, tell: Any, *, at: list[Any] | None = None) -> Follower:
    times = at or [NOW]
    settings = Settings(home=registry.home, alert_retry_seconds=5)
    return Follower("openlineage", registry, settings, tell, clock=lambda: times[-1])


def as_its_classes_write_it(event: dict[str, Any]) -> dict[str, Any]:
    """The same event, put together from openlineage-python's classes (which check it) and written by its own serializer."""
    set_producer(event["producer"])

    def facets(given: dict[str, Any]) -> dict[str, Any]:
        made = {}
        for name, facet in given.items():
            own = {key: value for key, value in facet.items() if not key.startswith("_")}
            if name == "schema":
                fields = [schema_dataset.SchemaDatasetFacetFields(**one) for one in own["fields"]]
                made[name] = schema_dataset.SchemaDatasetFacet(fields=fields)
            else:
                made[name] = FACETS[name](**own)
        return made

    def dataset(cls: Any, one: dict[str, Any], more: str) -> Any:
        more_facets = {more: facets(one[more])}
        return cls(namespace=one["namespace"], name=one["name"], facets=facets(one["facets"]), **more_facets)

    made = RunEvent(
        eventTime=event["eventTime"],
        producer=event["producer"],
        run=Run(event["run"]["runId"], facets(event["run"]["facets"])),
        job=Job(event["job"]["namespace"], event["job"]["name"], facets(event["job"]["facets"])),
        eventType=RunState[event["eventType"]],
        inputs=[dataset(InputDataset, one, "inputFacets") for one in event["inputs"]],
        outputs=[dataset(OutputDataset, one, "outputFacets") for one in event["outputs"]],
    )
    assert attr.has(type(made))
    written: dict[str, Any] = json.loads(Serde.to_json(made))
    return written


def without_nothing(value: Any) -> Any:
    """Their serializer leaves out what is empty."""
    if isinstance(value, dict):
        kept = {name: without_nothing(one) for name, one in value.items()}
        return {name: one for name, one in kept.items() if one not in ({}, [], None)}
    return [without_nothing(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("status", "kind", "more"),
    [
        (RunStatus.COMPLETED, "COMPLETE", {}),
        (RunStatus.FAILED, "FAIL", {"error": "search: out of memory"}),
        (RunStatus.CANCELLED, "ABORT", {"error": "cancelled on request"}),
    ],
)
def test_a_run_is_told_as_openlineages_own_classes_write_it(
    registry: Registry, project: Project, status: RunStatus, kind: str, more: dict[str, Any]
) -> None:
    sent: list[Any] = []
    told = follower(registry, teller(registry, sent.append))
    told.look()
    run = claimed(registry, project)
    registry.runs.describe(run.id, run.fence, snapshot={"train_rows": 100, "holdout_rows": 20}, at=NOW)
    told.look()
    assert [event["eventType"] for event in sent] == ["START"]
    models = (a_model(registry, project),) if status is RunStatus.COMPLETED else ()
    conclude(registry, project, run, status, models=models, **more)
    told.look()
    told.look()
    start, end = sent
    assert (start["eventType"], end["eventType"]) == ("START", kind)
    assert start["run"]["runId"] == end["run"]["runId"]
    for event in sent:
        assert without_nothing(event) == without_nothing(as_its_classes_write_it(event))
    (rows,) = end["inputs"]
    content = registry.datasets.version(project.id, 1).content_hash
    assert rows["facets"]["version"]["datasetVersion"] == f"1 sha256:{content}"
    assert rows["inputFacets"]["inputStatistics"]["rowCount"] == 120
    assert {one["name"] for one in rows["facets"]["schema"]["fields"]} == {"size", "colour"}
    assert [one["name"] for one in end["outputs"]] == (["fruit.models.2"] if models else [])
    assert end["run"]["facets"].get("errorMessage", {}).get("message") == more.get("error")


def test_what_was_before_the_first_look_is_not_told_and_what_comes_between_two_processes_is(
    registry: Registry, project: Project
) -> None:
    conclude(registry, project, claimed(registry, project), RunStatus.FAILED)
    sent: list[Any] = []
    follower(registry, teller(registry, sent.append)).look()
    assert sent == []
    conclude(registry, project, claimed(registry, project), RunStatus.FAILED)
    follower(registry, teller(registry, sent.append)).look()
    assert [event["eventType"] for event in sent] == ["START", "FAIL"]


def test_a_receiver_that_is_away_is_tried_again_later_and_misses_nothing(
    registry: Registry, project: Project
) -> None:
    times, sent, away = [NOW], list[Any](), [True]

    def send(event: Any) -> None:
        if away[0]:
            raise Unsent("it is away")
        sent.append(event["eventType"])

    told = follower(registry, teller(registry, send), at=times)
    told.look()
    for _ in range(2):
        conclude(registry, project, claimed(registry, project), RunStatus.FAILED)
    told.look()
    away[0] = False
    told.look()
    assert sent == []  # it waits
    times.append(NOW + timedelta(seconds=6))
    told.look()
    assert sent == ["START", "FAIL", "START", "FAIL"]


def test_what_nobody_foresaw_is_tried_again_later_too(
    registry: Registry, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    times, sent = [NOW], list[Any]()

    def send(event: Any) -> None:
        sent.append(event["eventType"])
        if len(sent) == 1:
            raise KeyError("experiment")

    told = follower(registry, teller(registry, send), at=times)
    told.look()
    conclude(registry, project, claimed(registry, project), RunStatus.FAILED)
    told.look()
    told.look()
    assert sent == ["START"]  # it waits
    assert "KeyError: 'experiment'; trying again at" in caplog.text
    assert "Traceback" in caplog.text
    times.append(NOW + timedelta(seconds=6))
    told.look()
    assert sent == ["START", "START", "FAIL"]


@pytest.mark.parametrize("broken", ["", '{"event": 1, "star', "[]", '{"event": 1, "more": 2}'])
def test_a_half_written_place_is_as_none(registry: Registry, project: Project, broken: str) -> None:
    sent: list[Any] = []
    told = follower(registry, teller(registry, lambda event: sent.append(event["eventType"])))
    conclude(registry, project, claimed(registry, project), RunStatus.FAILED)
    file = registry.home / "followers" / "openlineage.json"
    file.parent.mkdir()
    file.write_text(broken)
    told.look()
    assert sent == []  # what was before is not told
    conclude(registry, project, claimed(registry, project), RunStatus.FAILED)
    told.look()
    assert sent == ["START", "FAIL"]


@pytest.mark.parametrize(("seconds", "taken", "told_of"), [(40, False, 4), (70, True, 1)])
def test_a_long_backlog_is_told_by_one_process_and_ends_where_another_took_over(
    registry: Registry, project: Project, seconds: int, taken: bool, told_of: int
) -> None:
    times, sent = [NOW], list[Any]()

    def send(event: Any) -> None:
        sent.append(event["eventType"])
        times.append(times[-1] + timedelta(seconds=seconds))
        other = registry.leases.acquire("follower: openlineage", "another", seconds=600, at=times[-1])
        assert (other is not None) is taken

    told = follower(registry, teller(registry, send), at=times)
    told.look()
    for _ in range(2):
        conclude(registry, project, claimed(registry, project), RunStatus.FAILED)
    told.look()
    assert len(sent) == told_of


def test_who_is_stopped_tells_no_further_run(registry: Registry, project: Project) -> None:
    sent: list[Any] = []

    def send(event: Any) -> None:
        sent.append(event["eventType"])
        told.stop()

    told = follower(registry, teller(registry, send))
    told.look()
    for _ in range(2):
        conclude(registry, project, claimed(registry, project), RunStatus.FAILED)
    told.look()
    assert sent == ["START", "FAIL"]


def test_what_a_receiver_will_never_take_does_not_hold_up_the_rest(
    registry: Registry, project: Project
) -> None:
    sent: list[Any] = []

    def send(event: Any) -> None:
        if len(sent) == 0:
            sent.append("refused")
            raise Unsent("unprocessable", final=True)
        sent.append(event["eventType"])

    told = follower(registry, teller(registry, send))
    told.look()
    conclude(registry, project, claimed(registry, project), RunStatus.FAILED)
    told.look()
    assert sent == ["refused", "FAIL"]


def test_one_process_tells_at_a_time_and_a_deleted_projects_runs_are_passed_over(
    registry: Registry, project: Project
) -> None:
    sent: list[Any] = []
    told = follower(registry, teller(registry, sent.append))
    told.look()
    conclude(registry, project, claimed(registry, project), RunStatus.FAILED)
    lease = registry.leases.acquire("follower: openlineage", "another", seconds=60, at=NOW)
    assert lease is not None
    told.look()
    assert sent == []
    registry.leases.release(lease)
    registry.projects.delete("fruit", at=NOW)
    told.look()
    assert sent == []


class Receiver(BaseHTTPRequestHandler):
    taken: list[tuple[str | None, Any]]
    status = 201

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        type(self).taken.append((self.headers["authorization"], json.loads(body)))
        self.send_response(type(self).status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[tuple[str, type[Receiver]]]:
    kind = type("One", (Receiver,), {"taken": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api/v1/lineage", kind
    server.shutdown()
    server.server_close()


def test_an_endpoint_gets_the_key_and_its_answers_tell_whether_to_try_again(
    receiver: tuple[str, type[Receiver]],
) -> None:
    url, kind = receiver
    sink(url, "secret")({"a": 1})
    assert kind.taken == [("Bearer secret", {"a": 1})]
    for status, final in ((503, False), (401, False), (422, True)):
        kind.status = status
        with pytest.raises(Unsent, match=f"answered {status}") as refused:
            sink(url, None)({})
        assert refused.value.final is final
    with pytest.raises(Unsent, match="out of reach"):
        sink("http://127.0.0.1:9/x?key=hidden", None)({})


def test_a_file_gets_a_line_for_each_event(registry: Registry, project: Project, tmp_path: Path) -> None:
    file = tmp_path / "events" / "lineage.ndjson"
    settings = Settings(home=registry.home, openlineage_url=f"file://{file}")
    told = openlineage(registry, settings, clock=lambda: NOW)
    assert told is not None
    told.look()
    conclude(registry, project, claimed(registry, project), RunStatus.FAILED)
    told.look()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["eventType"] for line in lines] == ["START", "FAIL"]
    with pytest.raises(Unsent, match="can't be written"):
        sink("file:///dev/null/x", None)({})
    assert openlineage(registry, Settings(home=registry.home), clock=lambda: NOW) is None


def test_an_address_of_another_kind_is_refused_when_the_server_starts() -> None:
    with pytest.raises(ValidationError, match="openlineage_url"):
        Settings(openlineage_url="kafka://broker")
