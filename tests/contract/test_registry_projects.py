"""Projects, their names and revisions."""

from __future__ import annotations

import pytest
from registry_builders import NOW, after, at_once, enqueue, start

from registry.database import Database
from registry.errors import Conflict, NotFound
from registry.leases import DueTimes
from registry.projects import Projects
from registry.records import Project, RunStatus
from registry.runs import Runs


@pytest.fixture
def projects(db: Database) -> Projects:
    return Projects(db)


def test_a_new_project_is_found_by_name_and_id(projects: Projects) -> None:
    made = projects.create("flights", task={"target": "late"}, policy={"cooldown": "PT1H"}, at=NOW)
    assert projects.get("flights") == projects.by_id(made.id) == made
    assert projects.list() == (made,)
    assert (made.task, made.policy, made.schema) == ({"target": "late"}, {"cooldown": "PT1H"}, None)
    assert (made.revision, made.schema_version, made.epoch) == (1, 0, 0)
    assert (made.champion, made.previous, made.created_at) == (None, None, NOW)


def test_a_taken_name_is_a_conflict(projects: Projects, project: Project) -> None:
    with pytest.raises(Conflict, match="exists") as refused:
        projects.create(project.name, task={}, policy={}, at=NOW)
    assert refused.value.code == "project_exists"


def test_of_many_who_want_one_name_one_gets_it(projects: Projects) -> None:
    results = at_once(lambda _: projects.create("flights", task={}, policy={}, at=NOW))
    assert sum(isinstance(result, Project) for result in results) == 1
    assert len(projects.list()) == 1


def test_what_is_not_there_is_not_found(projects: Projects) -> None:
    with pytest.raises(NotFound, match="nobody"):
        projects.get("nobody")
    with pytest.raises(NotFound):
        projects.by_id(99)
    with pytest.raises(NotFound):
        projects.update("nobody", policy={})
    with pytest.raises(NotFound):
        projects.delete("nobody", at=NOW)


def test_each_change_is_a_revision_and_each_schema_a_version(projects: Projects, project: Project) -> None:
    changed = projects.update(project.name, policy={"a": 1})
    assert (changed.revision, changed.schema_version, changed.policy) == (2, 0, {"a": 1})
    assert changed.task == project.task
    changed = projects.update(project.name, schema={"columns": []}, task={"kind": "regression"})
    assert (changed.revision, changed.schema_version, changed.schema) == (3, 1, {"columns": []})
    assert projects.update(project.name) == changed == projects.get(project.name)


def test_a_change_of_a_revision_that_is_gone_is_refused(projects: Projects, project: Project) -> None:
    projects.update(project.name, policy={"a": 1}, expected_revision=1)
    with pytest.raises(Conflict) as refused:
        projects.update(project.name, policy={"a": 2}, expected_revision=1)
    assert refused.value.code == "schema_changed"
    assert projects.get(project.name).policy == {"a": 1}


def test_of_many_first_schemas_one_is_taken(projects: Projects, project: Project) -> None:
    results = at_once(lambda n: projects.update(project.name, schema={"n": n}, expected_revision=1))
    winners = [result for result in results if isinstance(result, Project)]
    assert [projects.get(project.name)] == winners


def test_changes_without_an_expected_revision_are_all_counted(projects: Projects, project: Project) -> None:
    at_once(lambda n: projects.update(project.name, policy={"n": n}))
    assert projects.get(project.name).revision == 9


def test_deleting_frees_the_name_and_keeps_the_history(
    projects: Projects, project: Project, db: Database
) -> None:
    projects.delete(project.name, at=after(1))
    assert projects.list() == ()
    with pytest.raises(NotFound):
        projects.get(project.name)
    with pytest.raises(NotFound):
        projects.by_id(project.id)
    again = projects.create(project.name, task={}, policy={}, at=after(2))
    assert again.id != project.id
    projects.delete(project.name, at=after(3))
    projects.create(project.name, task={}, policy={}, at=after(4))


def test_deleting_ends_a_queued_run_and_asks_a_running_one_to_stop(
    projects: Projects, project: Project, runs: Runs, db: Database
) -> None:
    running = start(runs, project.id)
    other = projects.create("other", task={}, policy={}, at=NOW)
    queued = enqueue(runs, other.id)
    DueTimes(db).set(other.id, "schedule", after(60), expected=None)
    projects.delete(project.name, at=after(1))
    projects.delete("other", at=after(1))
    assert runs.by_id(queued.id).status is RunStatus.CANCELLED
    assert runs.by_id(queued.id).finished_at == after(1)
    told = runs.heartbeat(running.id, running.fence, lease_seconds=30, at=after(2))
    assert told.cancel_requested
    assert told.finished_at is None
    assert DueTimes(db).get(other.id, "schedule") is None
    ended = runs.conclude(running.id, running.fence, status=RunStatus.CANCELLED, at=after(3))
    assert ended.status is RunStatus.CANCELLED
    with pytest.raises(NotFound):
        enqueue(runs, project.id)
