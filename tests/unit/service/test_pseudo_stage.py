"""The stages of the third arm: who may teach, what is chosen, and which rows never judge."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from automl.features import preprocessor
from automl.schema import Schema, check, frame, infer
from automl.snapshot import Mark
from automl.task import Task, TaskKind
from registry.records import BatchKind, BlobRef, DriftRecord, Model, Project, Run, RunStatus
from registry.revocations import Criteria
from registry.store import Registry
from service.arms import ThirdArm, third_arm, verdict_of
from service.children import End, Ended
from service.desk import Desk
from service.policy import Policy
from service.run_spec import specification
from service.sealed import seal_object
from service.stages import pseudo, snapshot

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = bytes(32)
TASK = Task(kind=TaskKind.CLASSIFICATION, target="side", metric="auto")


def rows(count: int, *, seed: int) -> pa.Table:
    """Two classes, told apart by ``x``."""
    x = np.random.default_rng(seed).normal(size=count).round(3)
    return pa.table({"x": x, "side": np.where(x > 0, "right", "left")})


def stored(
    table: pa.Table, schema: Schema, task: Task, *, first: int, source: str | None = "given"
) -> pa.Table:
    """As the registry hands rows out; each row arrives a second after the one before."""
    checked = check(table, schema, task)
    count = len(checked.table)
    times = [NOW - timedelta(days=1) + timedelta(seconds=first + k) for k in range(count)]
    return (
        checked.table.append_column("_row_id", pa.array([f"r{first + k}" for k in range(count)]))
        .append_column("_arrived_at", pa.array(times, pa.timestamp("us", "UTC")))
        .append_column("_label", checked.labels if source else pa.nulls(count, pa.string()))
        .append_column("_label_source", pa.array([source] * count, pa.string()))
        .append_column("_label_origin", pa.nulls(count, pa.string()))
        .append_column("_confidence", pa.array([0.97 if source == "pseudo" else None] * count, pa.float64()))
        .append_column("_teacher", pa.array([1 if source == "pseudo" else None] * count, pa.int32()))
        .append_column("_labelled_at", pa.array([NOW - timedelta(days=1)] * count, pa.timestamp("us", "UTC")))
    )


class Site:
    """A registry whose dataset version 1 has pseudo-labels of model 1, and a run's folder with a champion,
    300 rows to train on, 100 to judge by and 500 without truth."""

    def __init__(self, folder: Path, pipe: int) -> None:
        self.folder, self._pipe = folder, pipe
        self.registry = Registry.open(folder / "home")
        self.project = self.registry.projects.create("p", task={}, policy={}, at=NOW)
        self.give_labels([f"r{900 + k}" for k in range(60)])
        self.schema, self.task = infer(rows(50, seed=0), TASK)
        train = stored(rows(300, seed=1), self.schema, self.task, first=0)
        self.put("train", train)
        self.put("holdout", stored(rows(100, seed=2), self.schema, self.task, first=300))
        self.put("pool", stored(rows(500, seed=3), self.schema, self.task, first=400, source=None))
        steps = preprocessor(self.schema, self.task, seed=0).steps
        y = [self.task.encode(self.schema.target.parse(text)) for text in train["_label"].to_pylist()]
        self.champion = Pipeline([*steps, ("model", LogisticRegression(C=100))])
        self.champion.fit(frame(train, self.schema), np.array(y))
        seal_object(folder / "champion.model", self.champion, KEY)
        self.spec: dict[str, Any] = {
            "task": self.task.to_json(),
            "schema": self.schema.to_json(),
            "seed": 1,
            "project_id": self.project.id,
            "dataset_version": 1,
            "holdout": {"share": 0.2, "min_rows": 50, "max_rows": 10_000},
            "embargo": "auto",
            "champion": {
                "version": 3,
                "trained_until": Mark(at=0).to_json(),
                "classes": list(self.task.classes),
            },
            "pseudo": {
                "rule": {**_rule(), "lifetime": 3 * 86_400.0},
                "teacher": {"version": 3, "pseudo_rows": 0},
                "drift_share": None,
                "first_generation": [1, 3],
                "now": NOW.isoformat(),
            },
        }

    def put(self, part: str, table: pa.Table) -> None:
        pq.write_table(table, self.folder / f"{part}.parquet")

    def give_labels(self, ids: list[str]) -> None:
        """Model 1 labels rows, a day ago."""
        count = len(ids)
        given = {
            "_row_id": pa.array(ids),
            "label": pa.repeat("left", count),
            "source": pa.repeat("pseudo", count),
            "confidence": pa.repeat(0.97, count),
            "teacher": pa.array([1] * count, pa.int32()),
            "at": pa.array([NOW - timedelta(days=1)] * count, pa.timestamp("us", "UTC")),
        }
        with self.registry.datasets.stage(self.project) as staging:
            staging.write_labels(pa.table(given))
            self.registry.datasets.commit(staging, kind=BatchKind.PSEUDO_LABELS, details={}, at=NOW)

    def run(self, **pseudo_spec: Any) -> dict[str, Any]:
        self.spec["pseudo"].update(pseudo_spec)
        pseudo.run(self.desk(), "")
        report: dict[str, Any] = json.loads((self.folder / "pseudo.json").read_text())
        return report

    def desk(self) -> Desk:
        (self.folder / "spec.json").write_text(json.dumps(self.spec))
        home = {"database_url": self.registry.database_url, "home": str(self.registry.home)}
        return Desk(self.folder, {"key": KEY.hex(), **home}, self._pipe)

    @property
    def chosen(self) -> pa.Table:
        return pq.read_table(self.folder / "pseudo.parquet")


def _rule() -> dict[str, Any]:
    return Policy().pseudo_labels.model_dump(exclude={"mode", "lifetime"})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    reading, writing = os.pipe()
    made = Site(tmp_path, writing)
    yield made
    made.registry.close()
    os.close(reading)
    os.close(writing)


def test_rows_the_champion_is_sure_of_are_chosen_with_its_label_and_weigh_less_than_true_ones(
    site: Site,
) -> None:
    report = site.run()
    assert report.get("refused") is None
    chosen = site.chosen
    assert len(chosen) == report["rows"] > 100
    right = np.where(chosen["x"].to_numpy() > 0, "right", "left") == np.asarray(chosen["_label"].to_pylist())
    assert right.mean() > 0.98
    assert max(chosen["_weight"].to_pylist()) <= 0.5
    assert set(chosen["_teacher"].to_pylist()) == {3}
    assert report["audit"]["judgement"] != "bad"
    assert not set(chosen.column_names) & {"_label_source", "_labelled_at"}


def test_under_strong_drift_nobody_teaches(site: Site) -> None:
    report = site.run(drift_share=0.6)
    assert "60% of the columns have drifted" in report["refused"]
    assert not (site.folder / "pseudo.parquet").exists()


def test_numbers_have_no_pseudo_labels_whatever_the_policy_says(site: Site) -> None:
    site.spec["task"] = {**site.spec["task"], "kind": "regression", "metric": "rmse", "classes": []}
    assert "off for regression" in site.run()["refused"]


def test_a_champion_that_learnt_from_a_models_word_does_not_teach(site: Site) -> None:
    report = site.run(teacher={"version": 3, "pseudo_rows": 40})
    assert "itself trained on 40 pseudo-labels" in report["refused"]


def test_what_its_own_teacher_said_still_trains_until_it_expires(site: Site) -> None:
    given = stored(rows(60, seed=4), site.schema, site.task, first=900, source="pseudo")
    site.put("pool", given)
    second = {"teacher": {"version": 3, "pseudo_rows": 40}, "first_generation": [1]}
    report = site.run(**second)
    assert (report["rows"], report["source"]) == (60, "ledger")
    assert set(site.chosen["_teacher"].to_pylist()) == {1}
    expired = site.run(**second, now=(NOW + timedelta(days=5)).isoformat())
    assert expired["spent"] == {"expired": 60}
    assert "in force" in expired["refused"]
    revoked = site.run(teacher={"version": 3, "pseudo_rows": 40}, first_generation=[3], now=NOW.isoformat())
    assert revoked["spent"] == {"second_generation": 60}


def test_labels_that_were_revoked_after_the_run_was_queued_do_not_train(site: Site) -> None:
    site.put("pool", stored(rows(60, seed=4), site.schema, site.task, first=900, source="pseudo"))
    second = {"teacher": {"version": 3, "pseudo_rows": 40}, "first_generation": [1]}
    site.registry.labels.revoke(site.project.id, Criteria(teacher=1), reason="bad", actor="ann", at=NOW)
    report = site.run(**second)
    assert report["spent"] == {"revoked": 60}
    assert "in force" in report["refused"]
    site.give_labels([f"r{900 + k}" for k in range(60)])  # what comes after a revocation counts
    site.spec["dataset_version"] = 3
    assert site.run(**second)["rows"] == 60


def test_a_teacher_that_is_wrong_on_the_rows_that_judge_is_refused(site: Site) -> None:
    holdout = stored(rows(100, seed=2), site.schema, site.task, first=300)
    flipped = pa.array([{"left": "right", "right": "left"}[label] for label in holdout["_label"].to_pylist()])
    place = holdout.schema.get_field_index("_label")
    site.put("holdout", holdout.set_column(place, "_label", flipped))
    report = site.run()
    assert report["audit"]["judgement"] == "bad"
    assert "rows that judge" in report["refused"]
    assert not (site.folder / "pseudo.parquet").exists()


def test_without_a_row_to_label_it_says_so(site: Site) -> None:
    site.put("pool", pq.read_table(site.folder / "pool.parquet").slice(0, 0))
    assert site.run()["refused"] == "there are no rows without truth"


def test_a_row_the_champion_knows_from_a_models_word_never_judges_it(site: Site) -> None:
    table = stored(rows(300, seed=1), site.schema, site.task, first=0)
    newest = [f"r{k}" for k in range(280, 300)]
    old = [f"r{k}" for k in range(10)]
    pq.write_table(pa.table({"_row_id": old + newest}), site.folder / "champion-pseudo.parquet")
    parts, _ = snapshot._parts(site.desk(), table, site.task)
    ids = np.array(table["_row_id"].to_pylist())
    assert not set(ids[parts.holdout]) & {*old, *newest}
    assert set(old) <= set(ids[parts.train])
    assert set(ids[parts.left_out]) == set(newest)
    assert sorted([*parts.train, *parts.holdout, *parts.left_out]) == list(range(300))
    assert (np.diff(parts.train) > 0).all()


class Child:
    """Stands for the room: a stage that ended like this."""

    def __init__(self, end: End, report: dict[str, Any] | None = None) -> None:
        self._end, self._report = end, report

    def child(self, stage: str, seconds: float) -> Ended:
        return Ended(end=self._end, reason="out of memory", seconds=1.0, peak_bytes=0)

    def read(self, file: str) -> Any:
        return dict(self._report or {})


def test_a_teacher_that_fails_leaves_a_run_without_a_third_arm_and_the_verdict_says_why() -> None:
    room: Any = Child(End.MEMORY)

    def never() -> Any:
        raise AssertionError("nothing is searched without labels")

    third = third_arm(room, never)
    assert third.challenger is None
    verdict = verdict_of(
        {"outcome": "promoted", "arms": {"reason": "No pseudo-labels were on offer."}}, third
    )
    assert verdict["arms"]["reason"] == "Pseudo-labels are not used: the teacher failed: out of memory."


def test_a_refused_teacher_costs_no_search() -> None:
    room: Any = Child(End.OK, {"rows": 0, "refused": "60% of the columns have drifted"})

    def never() -> Any:
        raise AssertionError("nothing is searched without labels")

    assert third_arm(room, never).report["refused"] == "60% of the columns have drifted"


def test_a_verdict_without_a_third_arm_is_left_as_it_is() -> None:
    assert verdict_of({"outcome": "rejected"}, None) == {"outcome": "rejected"}
    assert ThirdArm(challenger=None, report={}).challenger is None


def test_drift_of_another_champion_suspends_nobody() -> None:
    assert _asked(drift_of=2)["drift_share"] is None
    assert _asked(drift_of=3)["drift_share"] == 0.5


def _asked(*, drift_of: int) -> Any:
    blob = BlobRef(digest="a" * 64, size=1, signature="b" * 64)
    model = Model(
        project_id=1,
        version=3,
        run=1,
        blob=blob,
        engine="flaml",
        estimator="lgbm",
        config={},
        dataset_version=1,
        details={"trained_until": {"at": 0, "row_id": ""}, "task": {"classes": ["a", "b"]}},
        attachments={},
        created_at=NOW,
    )
    project = Project(
        id=1,
        name="p",
        task=infer(rows(50, seed=0), TASK)[1].to_json(),
        policy={},
        schema={},
        schema_version=1,
        revision=1,
        epoch=1,
        champion=3,
        previous=None,
        created_at=NOW,
    )
    run = Run(
        id=1,
        project_id=1,
        number=1,
        status=RunStatus.RUNNING,
        trigger={},
        reason="",
        plan={},
        dataset_version=4,
        seed=4,
        snapshot=None,
        engines=None,
        verdict=None,
        error=None,
        challenger=None,
        owner=None,
        fence=1,
        attempt=1,
        cancel_requested=False,
        created_at=NOW,
        started_at=None,
        heartbeat_at=None,
        finished_at=None,
    )
    drift = DriftRecord(
        number=1, project_id=1, model_version=drift_of, share=0.5, drifted=("x",), report={}, at=NOW
    )
    policy = Policy.model_validate({"pseudo_labels": {"mode": "judged"}})
    second = replace(model, version=4, details={**model.details, "pseudo_labels": {"rows": 9}})
    spec = specification(
        run, project, policy, champion=model, models=(model, second), drift=drift, look=1, now=NOW
    )
    assert spec["pseudo"]["first_generation"] == [3]
    return spec["pseudo"]
