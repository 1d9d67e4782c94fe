from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labelling_home import LabellingHome, row_ids
from small_house import make_champion, make_model, open_registry

from registry.labeling import Labeling
from service.labelling_answers import AnswerBook

PATH = "/v1/projects/fruit/labeling"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[LabellingHome]:
    one = LabellingHome(tmp_path)
    yield one
    one.close()


def with_policy(folder: Path, **labelling: Any) -> LabellingHome:
    return LabellingHome(folder, policy={"labelling": labelling})


def test_without_a_model_typical_rows_come_first_and_a_tenth_is_drawn(tmp_path: Path) -> None:
    home = LabellingHome(tmp_path, champion=False, policy={"labelling": {"round_rows": 20}})
    home.unlabelled(60)
    answer = home.ask(limit=20)
    assert (answer["reason"], answer["model_version"], answer["accuracy"]) == (None, None, None)
    assert [row["why"] for row in answer["rows"]].count("drawn") == 2
    assert {row["why"] for row in answer["rows"]} <= {"typical", "new", "drawn"}
    assert all(row["guess"] is None and row["row"] for row in answer["rows"])
    first, second = answer["rows"][0]["id"], answer["rows"][1]["id"]
    assert home.answered("anna", (first, "yes"), (second, None))["labelled"] == 1
    exported = home.http.get("/v1/projects/fruit/labeling/export?format=csv&annotator=bob&limit=5")
    assert exported.status_code == 200
    assert len(exported.text.splitlines()) == 6


def test_rows_unlike_all_others_are_few_in_the_queue(tmp_path: Path) -> None:
    asked = {}
    for share in (0.05, 1.0):
        home = LabellingHome(
            tmp_path / str(share),
            champion=False,
            policy={"labelling": {"round_rows": 20, "odd_rows": share, "random_share": 0}},
        )
        home.unlabelled(200)
        garbage = set(home.unlabelled(10, name="garbage", size=1e6))
        asked[share] = len({row["id"] for row in home.ask(limit=20)["rows"]} & garbage)
    assert asked[0.05] <= 1 < asked[1.0]


def test_without_rows_or_unlabelled_ones_the_queue_is_empty_and_says_why(tmp_path: Path) -> None:
    home = LabellingHome(tmp_path, champion=False)
    home.registry.projects.create("new", task=dict(home.project.task), policy={}, at=home.now)
    new = home.http.get("/v1/projects/new/labeling").json()
    assert (new["rows"], new["reason"]) == ([], "the project has no rows yet")
    labelled = LabellingHome(tmp_path / "b")
    assert labelled.ask()["reason"] == "every row has its label"


def test_rows_come_most_useful_first_with_their_reason_and_their_chance(home: LabellingHome) -> None:
    ids = home.unlabelled(60)
    answer = home.ask(limit=40)
    assert answer["reason"] is None
    assert answer["pool"] == 60
    assert set(row_ids(answer)) <= set(ids)
    assert answer["classes"] == ["no", "yes"]
    chosen = [row for row in answer["rows"] if row["why"] != "drawn"]
    assert all(row["probability"] == 1 for row in chosen)
    first = answer["rows"][0]
    assert set(first["row"]) == {"size", "colour"}
    assert first["guess"] in ("yes", "no")
    # the champion is a logistic regression on the size, which is unsure around 0
    far = sorted(abs(row["row"]["size"]) for row in chosen)
    assert abs(first["row"]["size"]) <= far[len(far) // 2]


def test_a_share_of_the_rows_is_drawn_with_a_known_chance(tmp_path: Path) -> None:
    home = with_policy(tmp_path, round_rows=20, random_share=0.25)
    home.unlabelled(100)
    rows = home.ask(limit=20)["rows"]
    drawn = [row for row in rows if row["why"] == "drawn"]
    assert len(drawn) == 5
    assert {row["probability"] for row in drawn} == {5 / 85}


def test_two_annotators_never_have_the_same_row_and_one_keeps_theirs(home: LabellingHome) -> None:
    home.unlabelled(12)
    anna, ben = home.ask("anna"), home.ask("ben")
    assert len(row_ids(anna)) == len(row_ids(ben)) == 5
    assert not set(row_ids(anna)) & set(row_ids(ben))
    assert row_ids(home.ask("anna")) == row_ids(anna)
    assert len(row_ids(home.ask("carl"))) == 2
    dora = home.ask("dora")
    assert dora["rows"] == []
    assert "on others' desks" in dora["reason"]
    home.pass_time(minutes=16)
    assert len(row_ids(home.ask("dora", limit=12))) == 12


def test_answers_are_labels_of_that_person_on_disk_before_they_are_acknowledged(
    home: LabellingHome, tmp_path: Path
) -> None:
    home.unlabelled(6)
    first, second, third = row_ids(home.ask(limit=3))
    told = home.answered("anna", (first, "yes"), (second, "no"), (third, None))
    assert (told["labelled"], told["skipped"], told["waiting"]) == (2, 1, [])
    other = open_registry(tmp_path)  # as another process sees it
    version = other.datasets.facts(home.project.id).version
    assert version == told["dataset_version"]
    assert other.datasets.truths(home.project.id, [first, second, third]) == {
        first: "yes",
        second: "no",
        third: None,
    }
    other.close()
    assert home.held()[first] == ("yes", "human", "human:anna")
    assert not {first, second, third} & set(row_ids(home.ask("anna", limit=6)))


def test_a_skipped_row_goes_to_others_until_enough_have_skipped_it(home: LabellingHome) -> None:
    (row,) = home.unlabelled(1)
    assert row_ids(home.ask("anna")) == [row]
    home.answered("anna", (row, None))
    anna = home.ask("anna")
    assert (anna["rows"], anna["annotators"]) == ([], [{"name": "anna", "answered": 0, "skipped": 1}])
    assert row_ids(home.ask("ben")) == [row]
    home.answered("ben", (row, None))
    assert home.ask("carl")["rows"] == []


def test_two_people_have_to_agree_and_a_third_decides(tmp_path: Path) -> None:
    home = with_policy(tmp_path, annotators_per_row=2)
    ids = home.unlabelled(4)
    assert set(row_ids(home.ask("anna"))) == set(ids)
    assert set(row_ids(home.ask("ben"))) == set(ids)
    assert home.ask("carl")["rows"] == []
    waits = home.answered("anna", *((row, "yes") for row in ids))
    assert (waits["labelled"], waits["waiting"], waits["dataset_version"]) == (0, ids, None)
    told = home.answered("ben", (ids[0], "yes"), (ids[1], "yes"), (ids[2], "yes"), (ids[3], "no"))
    assert (told["labelled"], told["disputed"]) == (3, [ids[3]])
    assert told["agreement"]["method"] == "cohen"
    assert told["agreement"]["observed"] == 0.75
    asked = home.ask("carl")
    assert [(row["id"], row["votes"]) for row in asked["rows"]] == [(ids[3], 2)]
    assert asked["waiting"] == 1
    home.pass_time(seconds=1)
    assert home.answered("carl", (ids[3], "no"))["labelled"] == 1
    assert home.held()[ids[3]][:2] == ("no", "human")
    entries = home.registry.labels.entries(home.project.id).to_pylist()
    said = {entry["origin"]: entry["label"] for entry in entries if entry["_row_id"] == ids[3]}
    assert said == {"human:anna": "yes", "human:ben": "no", "human:carl": "no"}


def test_somebody_may_change_an_answer_as_long_as_the_row_waits(tmp_path: Path) -> None:
    home = with_policy(tmp_path, annotators_per_row=2)
    (row,) = home.unlabelled(1)
    home.answered("anna", (row, "yes"))
    home.answered("anna", (row, "no"))
    assert home.answered("ben", (row, "no"))["labelled"] == 1
    assert home.answered("ben", (row, "no"))["unchanged"] == 1
    assert home.answered("ben", (row, "yes"))["conflicting"] == [row]
    assert home.held()[row][0] == "no"


def test_answers_that_a_crash_left_behind_become_labels_with_the_next_call(
    home: LabellingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.unlabelled(3)
    (row,) = row_ids(home.ask(limit=1))
    with monkeypatch.context() as patch:
        patch.setattr(AnswerBook, "_tell", _dies)
        assert home.answer("anna", (row, "yes")).status_code == 500
    assert home.registry.datasets.truths(home.project.id, [row]) == {row: None}
    assert row not in row_ids(home.ask("ben", limit=1))
    assert home.held()[row] == ("yes", "human", "human:anna")
    with monkeypatch.context() as patch:
        patch.setattr(Labeling, "told", _dies)
        (row,) = row_ids(home.ask("anna", limit=1))
        assert home.answer("anna", (row, "no")).status_code == 500
    assert home.answered("anna", (row, "no"))["unchanged"] == 1
    entries = home.registry.labels.entries(home.project.id)["_row_id"].to_pylist()
    assert entries.count(row) == 1


def _dies(*_: object) -> None:
    raise MemoryError


def test_a_revoked_annotators_rows_come_back_to_the_queue(home: LabellingHome) -> None:
    home.unlabelled(4)
    before = home.registry.datasets.facts(home.project.id).truths
    mine = row_ids(home.ask("anna", limit=2))
    home.answered("anna", *((row, "yes") for row in mine))
    revoked = home.http.post(
        "/v1/projects/fruit/labels/revoke", json={"origin": "human:anna", "reason": "guessed"}
    ).json()
    assert revoked["revoked"] == 2
    assert home.registry.datasets.facts(home.project.id).truths == before
    assert set(mine) <= set(row_ids(home.ask("ben", limit=10)))
    assert home.ask("ben")["annotators"] == []


def test_wrong_answers_are_named_and_nothing_is_stored(home: LabellingHome) -> None:
    first, second = home.unlabelled(2)
    refused = home.answer("anna", (first, "yes"), (second, "blue"))
    assert refused.status_code == 422
    assert (refused.json()["code"], refused.json()["field"]) == ("unknown_label", "answers[1].label")
    assert home.registry.labeling.answers(home.project.id) == ()
    for body in (
        {"answers": []},
        {"answers": [{"id": first}]},
        {"answers": [{"id": first, "label": "yes", "skip": True}]},
        {"answers": [{"id": first, "label": "yes"}], "annotator": "a\nb"},
    ):
        assert home.http.post(PATH, json=body).status_code == 422
    told = home.answered("anna", ("nobody", "yes"), (first, "yes"))
    assert (told["unknown"], told["labelled"]) == (["nobody"], 1)


def test_the_drawn_rows_tell_the_models_accuracy_on_the_whole_pool(tmp_path: Path) -> None:
    home = with_policy(tmp_path, round_rows=30, random_share=0.5)
    home.unlabelled(40)
    assert home.ask(limit=30)["accuracy"] is None
    rows = home.ask(limit=30)["rows"]
    home.answered("anna", *((row["id"], row["guess"]) for row in rows))
    found = home.ask(limit=1)["accuracy"]
    assert found["mean"] == pytest.approx(1.0)
    assert found["population"] == 40


def test_a_new_champion_ranks_the_rows_anew(home: LabellingHome) -> None:
    home.unlabelled(12)
    assert home.ask()["model_version"] == 1
    make_champion(home.registry, home.project, make_model(home.registry, home.project, C=0.1).version)
    assert home.ask()["model_version"] == 2


def exported(home: LabellingHome, format_: str, **query: Any) -> bytes:
    asked = "&".join(f"{name}={value}" for name, value in {"format": format_, **query}.items())
    response = home.http.get(f"{PATH}/export?{asked}")
    assert response.status_code == 200, response.text
    assert "attachment" in response.headers["content-disposition"]
    return response.content


def filled_label_studio(data: bytes) -> bytes:
    tasks = json.loads(data)
    for number, task in enumerate(tasks[:-1]):
        choice = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["yes"]}}
        task["id"] = number
        task["annotations"] = [{"completed_by": {"email": "anna@example.com"}, "result": [choice]}]
    return json.dumps(tasks).encode()


def filled_doccano(data: bytes) -> bytes:
    lines = [json.loads(line) for line in data.decode().splitlines()]
    for number, line in enumerate(lines):
        line |= {"id": number, "label": ["yes"] if number < len(lines) - 1 else [], "Comments": []}
    return "\n".join(map(json.dumps, lines)).encode()


def filled_csv(data: bytes) -> bytes:
    lines = list(csv.DictReader(io.StringIO(data.decode())))
    for line in lines[:-1]:
        line["label"] = "yes"
    out = io.StringIO()
    writer = csv.DictWriter(out, lines[0])
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue().encode()


@pytest.mark.parametrize(
    ("format_", "fill", "who"),
    [
        ("label-studio", filled_label_studio, "human:anna@example.com"),
        ("doccano", filled_doccano, "human:import"),
        ("csv", filled_csv, "human:import"),
    ],
)
def test_rows_go_to_another_tool_and_their_labels_come_back(
    home: LabellingHome, format_: str, fill: Any, who: str
) -> None:
    ids = home.unlabelled(6)
    data = exported(home, format_, limit=4)
    assert len(row_ids(home.ask("ben", limit=10))) == 2  # the exported rows are on another desk for a day
    back = home.http.post(f"{PATH}/import?format={format_}", content=fill(data))
    assert back.status_code == 200, back.text
    assert (back.json()["labelled"], back.json()["unanswered"]) == (3, 1)
    held = {row: home.held()[row] for row in ids if row in home.held()}
    assert set(held.values()) == {("yes", "human", who)}
    assert len(held) == 3


@pytest.mark.parametrize("format_", ["label-studio", "doccano", "csv"])
def test_answers_move_from_one_project_to_another_as_they_are(tmp_path: Path, format_: str) -> None:
    here, there = (
        with_policy(tmp_path / "a", annotators_per_row=2),
        with_policy(tmp_path / "b", annotators_per_row=2),
    )
    ids = here.unlabelled(3)
    there.unlabelled(3)
    here.answered("anna", (ids[0], "yes"), (ids[1], "no"), (ids[2], None))
    here.answered("ben", (ids[0], "yes"), (ids[1], "yes"))
    data = exported(here, format_, state="answered")
    files = {"file": ("answers", data)}
    told = there.http.post(f"{PATH}/import?format={format_}", files=files).json()
    assert (told["labelled"], told["disputed"], told["skipped"]) == (1, [ids[1]], 1)

    def said(home: LabellingHome) -> set[tuple[str, str, str | None]]:
        return {
            (one.row_id, one.annotator, one.label) for one in home.registry.labeling.answers(home.project.id)
        }

    assert said(there) == said(here)


def test_a_file_at_fault_is_named_and_nothing_of_it_is_stored(home: LabellingHome) -> None:
    first, second = home.unlabelled(2)

    def send(body: str, format_: str = "csv") -> dict[str, Any]:
        response = home.http.post(f"{PATH}/import?format={format_}", content=body.encode())
        assert response.status_code == 422, response.text
        found: dict[str, Any] = response.json()
        return found

    assert send("row_id,label\n")["code"] == "no_answers"
    assert send("id,label\n1,2\n")["code"] == "unreadable_file"
    assert send('{"row_id": "a", "label": ["yes"]}\n{}', "doccano")["detail"].startswith("line 2")
    assert send(f"row_id,label\n{first},yes\n{second},blue\n")["field"] == "line 3"
    assert send("[{}]", "label-studio")["detail"].startswith("task 1")
    assert (
        send(
            json.dumps(
                [
                    {
                        "data": {"row_id": first},
                        "annotations": [{"result": [{"value": {"choices": ["yes", "no"]}}]}],
                    }
                ]
            ),
            "label-studio",
        )["code"]
        == "unreadable_file"
    )
    assert home.registry.labeling.answers(home.project.id) == ()


def test_label_studio_gets_an_interface_for_the_classes(home: LabellingHome) -> None:
    text = home.http.get(f"{PATH}/config").text
    assert '<Choice value="no"/><Choice value="yes"/>' in text
