"""Callers of other model servers find their protocol here: the Open Inference Protocol v2 and MLflow's invocations."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from wire_house import House, rows_of, serving


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    projects: dict[str, dict[str, Any]] = {
        "fruit": {"compiled": True},
        "plain": {"compiled": False},
        "weight": {"compiled": True, "kind": "number"},
    }
    with serving(tmp_path_factory.mktemp("protocols"), projects, max_predict_rows=100) as made:
        yield made


def asked(count: int, target: str = "ripe") -> list[dict[str, Any]]:
    return [
        {name: value for name, value in row.items() if name != target}
        for row in rows_of(count, 4).to_pylist()
    ]


def tensors(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kinds = {"size": "FP64", "count": "INT64", "fresh": "BOOL"}
    return [
        {
            "name": name,
            "shape": [len(rows)],
            "datatype": kinds.get(name, "BYTES"),
            "data": [row[name] for row in rows],
        }
        for name in rows[0]
    ]


def infer(house: House, body: dict[str, Any], path: str = "fruit") -> Any:
    return house.http.post(f"/v2/models/{path}/infer", json=body)


@pytest.mark.parametrize("project", ["fruit", "plain"])
def test_tensors_are_answered_as_the_same_rows_are(house: House, project: str) -> None:
    rows = asked(5)
    told = house.predict(project, {"rows": rows}).json()["predictions"]
    answer = infer(house, {"id": "42", "inputs": tensors(rows)}, project)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["model_name"], said["model_version"], said["id"]) == (project, "1", "42")
    outputs = {output["name"]: output for output in said["outputs"]}
    assert outputs["predict"] == {
        "name": "predict",
        "datatype": "BYTES",
        "shape": [5],
        "data": [one["value"] for one in told],
    }
    classes = json.loads(outputs["probabilities"]["parameters"]["classes"])
    assert outputs["probabilities"]["shape"] == [5, len(classes)]
    flat = [one["probabilities"][name] for one in told for name in classes]
    assert outputs["probabilities"]["data"] == pytest.approx(flat, abs=1e-12)
    assert outputs["id"]["data"] == [row["ref"] for row in rows]


def test_a_regression_predicts_numbers_and_only_the_outputs_asked_for_come(house: House) -> None:
    rows = asked(3, "count")
    answer = infer(house, {"inputs": tensors(rows), "outputs": [{"name": "predict"}]}, "weight").json()
    (output,) = answer["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("predict", "FP64", [3])
    assert "id" not in answer


def test_columns_may_be_nested_and_hold_nulls(house: House) -> None:
    inputs = tensors(asked(2))
    for tensor in inputs:
        tensor["shape"], tensor["data"] = [2, 1], [[value] for value in tensor["data"]]
    inputs[1]["data"][0] = [None]
    assert infer(house, {"inputs": inputs}).status_code == 200


def test_only_the_version_that_serves_can_be_asked_for(house: House) -> None:
    body = {"inputs": tensors(asked(1))}
    assert infer(house, body, "fruit/versions/1").json()["model_version"] == "1"
    other = infer(house, body, "fruit/versions/2")
    assert other.status_code == 404
    assert "version 1" in other.json()["error"]
    assert infer(house, body, "nobody").status_code == 404


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"inputs": []}, "no inputs"),
        ({"inputs": None}, "no inference request"),
        ({"outputs": [{"name": "heat"}]}, "no output 'heat'"),
        ({0: {"shape": [2]}}, "promises 2"),
        ({0: {"shape": [1, 3]}}, "shape"),
        ({0: {"datatype": "FP128"}}, "unknown datatype"),
        ({1: {"data": ["tall"]}}, "is FP64"),
        ({1: {"data": [True]}}, "is FP64"),
        ({0: {"name": "size"}}, "twice"),
        ({0: {"shape": [2], "data": ["a", "b"]}}, "different numbers of rows"),
        ({0: {"shape": [10**9], "data": ["a"]}}, "the most is 100"),
        ({1: {"name": "tallness"}}, "'size'"),
    ],
)
def test_what_is_wrong_with_a_request_is_said_in_an_error(house: House, change: Any, said: str) -> None:
    body: dict[str, Any] = {"inputs": tensors(asked(1))}
    for key, value in change.items():
        if isinstance(key, int):
            body["inputs"][key].update(value)
        else:
            body[key] = value
    answer = infer(house, body)
    assert 400 <= answer.status_code < 500
    assert set(answer.json()) == {"error"}
    assert said in answer.json()["error"]


def test_the_server_and_its_models_say_what_they_are(house: House) -> None:
    get = house.http.get
    assert get("/v2").json()["name"] == "incumbent"
    assert get("/v2/health/live").json()["live"] is True
    assert get("/v2/health/ready").json()["ready"] is True
    assert get("/v2/models/fruit/ready").json() == {"name": "fruit", "ready": True}
    assert get("/v2/models/fruit/versions/9/ready").status_code == 404
    told = get("/v2/models/fruit").json()
    assert told["versions"] == ["1"]
    inputs = {one["name"]: one["datatype"] for one in told["inputs"]}
    assert (inputs["size"], inputs["fresh"], inputs["colour"]) == ("FP64", "BOOL", "BYTES")
    assert [one["name"] for one in told["outputs"]] == ["predict", "probabilities", "id"]
    assert get("/v2/models/fruit/versions/1").json() == told
    assert "error" in get("/v2/models/nobody").json()


def invoke(house: House, body: Any, media_type: str = "application/json", **headers: str) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return house.http.post(
        "/v1/projects/fruit/invocations", content=content, headers={"content-type": media_type, **headers}
    )


def test_all_shapes_of_an_invocation_give_the_answers_that_rows_get(house: House) -> None:
    rows = asked(4)
    names = list(rows[0])
    told = {
        "predictions": [one["value"] for one in house.predict("fruit", {"rows": rows}).json()["predictions"]]
    }
    columns = {name: [row[name] for row in rows] for name in names}
    split = {"columns": names, "index": [0, 1, 2, 3], "data": [list(row.values()) for row in rows]}
    assert invoke(house, {"dataframe_records": rows}).json() == told
    assert invoke(house, {"dataframe_split": split}).json() == told
    assert invoke(house, {"inputs": columns, "params": {}}).json() == told
    assert invoke(house, {"instances": rows}).json() == told
    text = "\n".join([",".join(names), *(",".join(_cell(row[name]) for name in names) for row in rows)])
    assert invoke(house, text.encode(), "text/csv; charset=utf-8").json() == told
    packed = gzip.compress(json.dumps({"dataframe_records": rows}).encode())
    assert invoke(house, packed, **{"content-encoding": "gzip"}).json() == told


def _cell(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize(
    "body",
    [
        b"[1]", b"{", {}, {"inputs": [[1, 2]]}, {"inputs": {"a": [1], "b": [1, 2]}}, {"dataframe_records": []},
        {"dataframe_records": [1]}, {"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}},
        {"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}, {"inputs": {}, "instances": []},
    ],
)  # fmt: skip
def test_an_unreadable_invocation_is_refused_in_both_manners(house: House, body: Any) -> None:
    answer = invoke(house, body)
    said = answer.json()
    assert (answer.status_code, said["code"], said["error_code"]) == (
        400,
        "invalid_invocation",
        "BAD_REQUEST",
    )
    assert said["message"] == said["detail"]


def test_rows_at_fault_and_foreign_formats_are_named_in_invocations_too(house: House) -> None:
    row = {**asked(1)[0], "size": "tall"}
    answer = invoke(house, {"dataframe_records": [row]})
    assert (answer.status_code, answer.json()["field"]) == (422, "rows[0].size")
    assert invoke(house, b"<rows/>", "text/xml").status_code == 415
