"""What pages ask of the registry, on every store: traffic by slices of time, the pulse, parts of lists."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from dataset_builders import datasets_in, feedback, ids, predictions, rows, upload
from registry_builders import NOW, after, enqueue

from registry.database import Database
from registry.datasets import Datasets
from registry.keys import Keys
from registry.ledger import Ledger
from registry.models import Models
from registry.projects import Projects
from registry.pulse import Pulse
from registry.records import BatchKind, NewModel, Project
from registry.runs import Runs
from registry.traffic import Traffic


def answer(datasets: Datasets, project: Project, name: str, count: int, *, at: datetime) -> None:
    with datasets.stage(project) as staging:
        staging.write_rows(rows(name, count))
        staging.write_predictions(predictions(ids(name, count), at=at))
        datasets.commit(staging, kind=BatchKind.PREDICTIONS, details={}, at=at)


def test_traffic_is_counted_by_whole_slices_of_time(db: Database, project: Project, tmp_path: Path) -> None:
    datasets = datasets_in(tmp_path, db)
    upload(datasets, project, "u", 4)
    answer(datasets, project, "p", 3, at=after(10))
    feedback(datasets, project, ids("p", 3), "yes", at=after(20))
    answer(datasets, project, "q", 5, at=after(3600 * 5))
    found = Traffic(db).by_slice(project.id, since=NOW - timedelta(days=1), seconds=3600)
    assert [one.predictions for one in found] == [3, 5]
    assert found[1].at - found[0].at == timedelta(hours=5)
    assert all(one.at.timestamp() % 3600 == 0 for one in found)
    assert found[0].truths >= 3
    assert Traffic(db).by_slice(project.id, since=after(3600 * 4), seconds=60)[0].predictions == 5
    assert Traffic(db).by_slice(project.id + 1, since=NOW - timedelta(days=1), seconds=60) == ()


def test_the_pulse_changes_with_whatever_is_kept_and_with_nothing_else(
    db: Database, project: Project, runs: Runs, ledger: Ledger
) -> None:
    pulse = Pulse(db)
    other = Projects(db).create("other", task={}, policy={}, at=NOW)
    seen = {pulse.of(project.id)}
    still = pulse.of(other.id)
    assert pulse.of(project.id) in seen
    assert pulse.each() == {one.id: pulse.of(one.id) for one in (project, other)}

    def changed() -> bool:
        new = pulse.of(project.id) not in seen and pulse.of(other.id) == still
        seen.add(pulse.of(project.id))
        return new

    enqueue(runs, project.id)
    assert changed()
    claimed = runs.claim("worker", lease_seconds=30, at=NOW)
    assert claimed is not None
    assert changed()
    ledger.decide(project.id, outcome="refused", trigger="x", reason="y", evidence={}, at=NOW)
    assert changed()
    Projects(db).update(project.name, policy={"a": 1})
    assert changed()
    runs.describe(claimed.id, claimed.fence, snapshot={"hash": "a"}, engines=None, at=NOW)
    assert changed(), "what a run has frozen is news"
    assert pulse.each()[project.id] == pulse.of(project.id)
    everything = pulse.of(None)
    runs.request_cancel(claimed.id, at=NOW)
    Projects(db).create("third", task={}, policy={}, at=NOW)
    assert pulse.of(None) != everything


def test_models_are_listed_from_the_newest_on_in_parts(
    models: Models, project: Project, new_model: NewModel
) -> None:
    for _ in range(5):
        models.register(project.id, new_model, at=NOW)
    assert [model.version for model in models.list(project.id, limit=2)] == [5, 4]
    assert [model.version for model in models.list(project.id, limit=2, before=4)] == [3, 2]
    assert len(models.list(project.id)) == 5


def test_a_key_is_found_by_its_prefix_until_it_is_revoked(db: Database) -> None:
    keys = Keys(db)
    key, _ = keys.create(["data"], label="x", at=NOW)
    assert keys.find(key.prefix) == key
    keys.revoke(key.prefix, NOW)
    assert keys.find(key.prefix) is None
    assert keys.find("nothing") is None
