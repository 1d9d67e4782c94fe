"""The labelling queue's memory: who has which row, and what they said."""

from __future__ import annotations

from pathlib import Path

import pytest
from dataset_builders import datasets_in, feedback, ids, upload
from registry_builders import NOW, after, at_once

from registry.database import Database
from registry.datasets import Datasets
from registry.labeling import Labeling, Leased, LeaseRule, QueueItem, Round
from registry.records import Project

ONE = LeaseRule(per_row=1, most_skips=2, seconds=60)
TWO = LeaseRule(per_row=2, most_skips=2, seconds=60)


@pytest.fixture
def datasets(tmp_path: Path, db: Database) -> Datasets:
    return datasets_in(tmp_path, db)


@pytest.fixture
def labeling(db: Database, datasets: Datasets, project: Project) -> Labeling:
    upload(datasets, project, "a", 40, labelled=0)
    return Labeling(db)


def ranked(count: int, start: int = 0) -> list[QueueItem]:
    return [
        QueueItem(row_id=row, value=1.0 / (place + 1), why="uncertain", probability=1.0)
        for place, row in enumerate(ids("a", start + count)[start:])
    ]


def begin(labeling: Labeling, project: Project, items: list[QueueItem], number: int = 0) -> Round:
    return labeling.open_round(
        project.id, items, after=number, model_version=1, dataset_version=1, pool=40, seed=1, at=NOW
    )


def rows(leased: tuple[Leased, ...]) -> list[str]:
    return [one.item.row_id for one in leased]


def test_many_who_ask_at_once_never_get_the_same_row(labeling: Labeling, project: Project) -> None:
    begin(labeling, project, ranked(40))

    def ask(number: int) -> list[str]:
        return rows(labeling.lease(project.id, f"person {number}", 5, ONE, at=NOW))

    got = [row for found in at_once(ask) for row in found]  # type: ignore[union-attr]
    assert sorted(got) == ids("a", 40)


def test_of_many_who_begin_a_round_one_does(labeling: Labeling, project: Project) -> None:
    first = begin(labeling, project, ranked(3))
    found = at_once(lambda _: begin(labeling, project, ranked(3), first.number))
    assert {round_.number for round_ in found} == {2}  # type: ignore[union-attr]
    assert len(labeling.items(project.id, 2)) == 3
    assert [round_.number for round_ in labeling.rounds(project.id)] == [2, 1]


def test_a_desk_is_kept_and_freed_when_its_time_is_over(labeling: Labeling, project: Project) -> None:
    begin(labeling, project, ranked(3))
    assert rows(labeling.lease(project.id, "anna", 2, ONE, at=NOW)) == ids("a", 2)
    assert rows(labeling.lease(project.id, "ben", 3, ONE, at=after(30))) == ids("a", 3)[2:]
    assert rows(labeling.lease(project.id, "anna", 1, ONE, at=after(59))) == ids("a", 1)
    assert labeling.leased(project.id, at=after(60)).keys() == {ids("a", 1)[0], ids("a", 3)[2]}
    assert rows(labeling.lease(project.id, "ben", 3, ONE, at=after(60))) == [ids("a", 3)[2], ids("a", 2)[1]]


def test_rows_with_a_truth_leave_the_queue(labeling: Labeling, project: Project, datasets: Datasets) -> None:
    begin(labeling, project, ranked(3))
    feedback(datasets, project, ids("a", 1), "yes")
    assert rows(labeling.lease(project.id, "anna", 3, ONE, at=NOW)) == ids("a", 3)[1:]


def test_a_row_that_needs_two_people_goes_to_two_and_to_a_third_when_they_differ(
    labeling: Labeling, project: Project
) -> None:
    begin(labeling, project, ranked(1))
    (row,) = ids("a", 1)
    assert rows(labeling.lease(project.id, "anna", 1, TWO, at=NOW)) == [row]
    assert rows(labeling.lease(project.id, "ben", 1, TWO, at=NOW)) == [row]
    assert rows(labeling.lease(project.id, "carl", 1, TWO, at=NOW)) == []
    labeling.answer(project.id, "anna", [(row, "yes")], at=NOW)
    assert rows(labeling.lease(project.id, "carl", 1, TWO, at=NOW)) == []
    labeling.answer(project.id, "ben", [(row, "no")], at=NOW)
    (leased,) = labeling.lease(project.id, "carl", 1, TWO, at=NOW)
    assert (leased.item.row_id, leased.votes) == (row, 2)
    assert labeling.lease(project.id, "anna", 1, TWO, at=NOW) == ()


def test_begun_rows_stay_in_the_queue_when_a_new_round_begins_and_come_first(
    labeling: Labeling, project: Project
) -> None:
    begin(labeling, project, ranked(2))
    labeling.answer(project.id, "anna", [(ids("a", 1)[0], "yes")], at=NOW)
    begin(labeling, project, ranked(2, start=10), 1)
    expected = [ids("a", 1)[0], *ids("a", 12)[10:]]
    assert rows(labeling.lease(project.id, "ben", 5, TWO, at=NOW)) == expected


def test_the_last_answer_of_a_person_stands_until_it_is_told(labeling: Labeling, project: Project) -> None:
    (row,) = ids("a", 1)
    labeling.answer(project.id, "anna", [(row, "yes"), (row, None)], at=NOW)
    labeling.answer(project.id, "anna", [(row, "no")], at=after(1))
    (answer,) = labeling.answers(project.id, waiting=True)
    assert (answer.label, answer.at) == ("no", after(1))
    labeling.told(project.id, [row], 7)
    assert labeling.answers(project.id, waiting=True) == ()
    assert [one.batch for one in labeling.answers(project.id)] == [7]
