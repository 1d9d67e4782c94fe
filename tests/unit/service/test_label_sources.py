"""Sources of labels are counted, weighed and audited; a bad one is named, taken out, and leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from labelling_home import LabellingHome

from automl.snapshot import snapshot_hash
from registry.records import BatchKind, LabelSource
from service.policy import Policy
from service.stages.weights import label_weights

SOURCES = "/v1/projects/fruit/label-sources"
REVOKE = "/v1/projects/fruit/labels/revoke"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[LabellingHome]:
    one = LabellingHome(tmp_path)
    yield one
    one.close()


def truth_of(home: LabellingHome, ids: list[str]) -> list[str]:
    table = home.registry.datasets.rows(home.project.id, ids)
    size = dict(zip(table["_row_id"].to_pylist(), table["size"].to_pylist(), strict=True))
    return ["yes" if size[row] > 0 else "no" for row in ids]


def flipped(labels: list[str], share: float, seed: int) -> list[str]:
    wrong = np.random.default_rng(seed).random(len(labels)) < share
    other = {"yes": "no", "no": "yes"}
    return [other[label] if is_wrong else label for label, is_wrong in zip(labels, wrong, strict=True)]


def training_set(home: LabellingHome, version: int | None = None) -> tuple[str, pa.Table]:
    """Its snapshot hash, and its rows without what says when they came."""
    number = version or home.registry.datasets.facts(home.project.id).version
    table = home.registry.datasets.read(home.project.id, number).sort_by("_row_id")
    return snapshot_hash(table["_row_id"], table["_label"]), table.drop_columns(["_batch", "_arrived_at"])


def source(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in report["sources"] if one["name"] == name)


@pytest.mark.parametrize("seed", range(3))
def test_a_source_with_a_fifth_of_its_labels_flipped_is_named_purged_and_gone_without_a_trace(
    tmp_path: Path, seed: int
) -> None:
    home, clean = LabellingHome(tmp_path / "a"), LabellingHome(tmp_path / "b")
    for one in (home, clean):
        for name in ("anna", "ben"):
            ids = one.unlabelled(300, name=name, seed=seed * 10 + len(name))
            one.tell(ids, truth_of(one, ids), origin=f"human:{name}")
        one.unlabelled(300, name="bad", seed=99)
    before = training_set(home)
    last_clean = home.registry.datasets.version(
        home.project.id, home.registry.datasets.facts(home.project.id).version
    )
    ids = [f"bad-{number:04d}" for number in range(300)]
    home.tell(ids, flipped(truth_of(home, ids), 0.2, seed), origin="human:mallory")

    report = home.http.get(SOURCES).json()
    assert report["audit"]["bad"] == ["human:mallory"]
    assert "'human:mallory' disagrees" in report["audit"]["reason"]
    assert 0.1 < source(report, "human:mallory")["audit"]["wrong"] < 0.3
    assert [one["name"] for one in report["sources"]] == ["given", "human:anna", "human:ben", "human:mallory"]

    told = home.http.post(REVOKE, json={"origin": "human:mallory", "reason": "the audit named it"}).json()
    assert told["revoked"] == 300
    hash_, rows = training_set(home)
    assert (hash_, rows) == training_set(clean)
    assert hash_ == before[0]
    assert rows.equals(before[1])
    # the version that the clean model was trained on is still there, bit for bit
    kept = home.registry.datasets.version(home.project.id, last_clean.number)
    assert kept == last_clean
    assert training_set(home, last_clean.number) == before
    assert home.registry.datasets.verify(home.project.id, told["dataset_version"])
    after = home.http.get(SOURCES).json()
    assert after["audit"]["bad"] == []
    assert source(after, "human:mallory") | {"labels": 0, "revoked": 300} == source(after, "human:mallory")
    assert after["revocations"][0]["reason"] == "the audit named it"


def test_good_sources_are_not_named(home: LabellingHome) -> None:
    for seed, name in enumerate(("anna", "ben", "carl")):
        ids = home.unlabelled(100, name=name, seed=seed)
        home.tell(ids, truth_of(home, ids), origin=f"human:{name}")
    report = home.http.get(SOURCES).json()
    assert report["audit"]["bad"] == []
    assert report["audit"]["reason"].startswith("no source stands out")


def test_agreement_is_counted_on_the_rows_that_two_sources_labelled(home: LabellingHome) -> None:
    ids = home.unlabelled(10)
    home.tell(ids, ["yes"] * 10, origin="human:anna")
    home.tell(ids[:4], ["yes", "yes", "yes", "no"], origin="feedback:crm", source=LabelSource.FEEDBACK)
    report = home.http.get(f"{SOURCES}?audit=false").json()
    crm, anna = source(report, "feedback:crm"), source(report, "human:anna")
    assert (crm["agreement"]["hits"], crm["agreement"]["of"], crm["holding"]) == (3, 4, 4)
    assert (anna["agreement"]["hits"], anna["agreement"]["of"], anna["holding"]) == (3, 4, 6)
    assert (crm["source"], anna["labels"], source(report, "given")["labels"]) == ("feedback", 10, 120)
    assert report["audit"] is None


def test_feedback_may_say_where_it_is_from(home: LabellingHome) -> None:
    first, second = home.unlabelled(2)
    body = {"labels": [{"id": first, "label": "yes"}], "origin": "crm"}
    assert home.http.post("/v1/projects/fruit/feedback", json=body).json()["accepted"] == 1
    body = {"labels": [{"id": second, "label": "no"}], "origin": "feedback:crm"}
    home.http.post("/v1/projects/fruit/feedback", json=body)
    assert home.held()[first] == ("yes", "feedback", "feedback:crm")
    assert home.held()[second] == ("no", "feedback", "feedback:crm")
    body = {"labels": [{"id": second, "label": "no"}], "origin": ""}
    assert home.http.post("/v1/projects/fruit/feedback", json=body).json()["field"] == "origin"


def test_a_bad_teacher_is_found_by_the_truth_that_came_and_revoked_in_one_call(home: LabellingHome) -> None:
    ids = home.unlabelled(200)
    truth = truth_of(home, ids)
    labels = pa.table(
        {
            "_row_id": ids,
            "label": flipped(truth, 0.3, 0),
            "source": ["pseudo"] * 200,
            "teacher": pa.array([1] * 200, pa.int32()),
            "confidence": [0.97] * 200,
        }
    )
    with home.registry.datasets.stage(home.project) as staging:
        staging.write_labels(labels)
        home.registry.datasets.commit(staging, kind=BatchKind.FEEDBACK, details={}, at=home.now)
    (teacher,) = home.http.get(f"{SOURCES}?audit=false").json()["teachers"]
    assert (teacher["teacher"], teacher["judgement"], teacher["waiting"]) == (1, "undecided", 200)
    home.tell(ids[:150], truth[:150], origin="human:anna")
    (teacher,) = home.http.get(f"{SOURCES}?audit=false").json()["teachers"]
    assert (teacher["judgement"], teacher["waiting"], teacher["overall"]["of"]) == ("bad", 50, 150)
    assert sum(held[1] == "pseudo" for held in home.held().values()) == 50
    told = home.http.post(REVOKE, json={"teacher": 1, "reason": "its labels are wrong"}).json()
    assert told["revoked"] == 200
    assert not any(held[1] == "pseudo" for held in home.held().values())
    assert sum(held[2] == "human:anna" for held in home.held().values()) == 150


def test_a_revocation_that_names_nobody_or_no_reason_is_refused(home: LabellingHome) -> None:
    for body in (
        {"reason": "all of them"},
        {"origin": "human:anna"},
        {"origin": "human:anna", "reason": ""},
        {"source": "rumour", "reason": "x"},
        {"source": "given", "since": "2026-01-01T00:00:00", "reason": "no zone"},
    ):
        assert home.http.post(REVOKE, json=body).status_code == 422
    version = home.registry.datasets.facts(home.project.id).version
    told = home.http.post(REVOKE, json={"origin": "human:nobody", "reason": "x"}).json()
    assert (told["revoked"], told["dataset_version"]) == (0, version)


def test_the_same_revocation_with_its_key_happens_once(home: LabellingHome) -> None:
    body = {"source": "given", "reason": "a wrong export"}
    first = home.http.post(REVOKE, json=body, headers={"Idempotency-Key": "k"}).json()
    again = home.http.post(REVOKE, json=body, headers={"Idempotency-Key": "k"}).json()
    assert first == again
    assert first["revoked"] == 120
    other = {"source": "human", "reason": "a wrong export"}
    assert home.http.post(REVOKE, json=other, headers={"Idempotency-Key": "k"}).status_code == 409


def rows(sources: list[str], origins: list[str | None]) -> pa.Table:
    return pa.table({"_label_source": sources, "_label_origin": pa.array(origins, pa.string())})


def test_rows_weigh_what_the_policy_says_of_their_source() -> None:
    table = rows(["human", "human", "given"], ["human:anna", "human:ben", None])
    policy = Policy.model_validate(
        {"label_sources": {"human:anna": {"weight": 0.5}, "human": {"weight": 0.75}}}
    )
    rules = {name: rule.model_dump() for name, rule in policy.label_sources.items()}
    weights = label_weights(table, rules)
    assert weights is not None
    assert weights.tolist() == [0.5, 0.75, 1.0]
    assert label_weights(table, {}) is None
    assert label_weights(table, {"human": {"weight": 1.0, "cap": 1.0}}) is None


def test_a_capped_source_keeps_its_share_of_all_weight() -> None:
    table = rows(["human"] * 8 + ["given"] * 2, ["human:anna"] * 8 + [None] * 2)
    weights = label_weights(table, {"human:anna": {"weight": 1.0, "cap": 0.2}})
    assert weights is not None
    assert weights[:8].sum() / weights.sum() == pytest.approx(0.2)


def test_a_policy_may_name_any_source_but_no_impossible_weight() -> None:
    for rule in ({"weight": -1}, {"weight": 2}, {"cap": 0}, {"share": 0.1}):
        with pytest.raises(ValueError):
            Policy.model_validate({"label_sources": {"human:anna": rule}})
