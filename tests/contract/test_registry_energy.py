"""Energy readings on every database: kept by run and replay, summed by kind and source."""

from __future__ import annotations

import pytest
from registry_builders import NOW, after

from registry.database import Database
from registry.energy import Energy, EnergySource, EnergyTotal, NewReading
from registry.projects import Projects
from registry.records import Project
from registry.standing import Standing, Used


def reading(
    wh: float | None, source: EnergySource = EnergySource.ESTIMATED, part: str = "search"
) -> NewReading:
    grams = None if wh is None else wh * 0.4
    return NewReading(part=part, source=source, wh=wh, gco2e=grams, seconds=5.0, details={"grid": "here"})


@pytest.fixture
def energy(db: Database) -> Energy:
    return Energy(db)


def test_readings_are_kept_with_their_run_in_their_order(energy: Energy, project: Project) -> None:
    energy.add(project.id, reading(1.0), run=1, at=NOW)
    energy.add(project.id, reading(2.0, part="search-pseudo"), run=1, at=after(9))
    energy.add(project.id, reading(3.0), run=3, at=after(10))
    found = energy.of_runs(project.id, (1, 2, 3))
    assert sorted(found) == [1, 3]
    assert [(one.part, one.wh, one.run) for one in found[1]] == [
        ("search", 1.0, 1),
        ("search-pseudo", 2.0, 1),
    ]
    assert (found[1][0].gco2e, found[1][0].details, found[1][0].at) == (0.4, {"grid": "here"}, NOW)
    assert energy.of_runs(project.id, ()) == {}


def test_a_day_counts_searches_as_far_as_they_are_known(energy: Energy, project: Project) -> None:
    assert energy.spent_wh(project.id, NOW) == 0.0
    energy.add(project.id, reading(1.0), run=1, at=NOW)
    energy.add(project.id, reading(2.0), run=2, at=after(60))
    energy.add(project.id, reading(None, EnergySource.UNKNOWN), run=3, at=after(61))
    energy.add(project.id, reading(50.0), replay=1, at=after(62))
    assert energy.spent_wh(project.id, NOW) == 2.0
    assert energy.spent_wh(project.id, after(-1)) == 3.0


def test_totals_tell_what_was_measured_from_what_was_estimated(
    db: Database, energy: Energy, project: Project
) -> None:
    other = Projects(db).create("other", task={}, policy={}, at=NOW)
    energy.add(other.id, reading(9.0), run=1, at=NOW)
    for wh, source in (
        (1.0, EnergySource.MEASURED),
        (2.0, EnergySource.MEASURED),
        (4.0, EnergySource.ESTIMATED),
    ):
        energy.add(project.id, reading(wh, source), run=1, at=NOW)
    energy.add(project.id, reading(None, EnergySource.UNKNOWN), run=1, at=NOW)
    energy.add(project.id, reading(8.0), replay=1, at=NOW)

    def total(kind: str, source: str, readings: int, wh: float) -> EnergyTotal:
        grams = pytest.approx(wh * 0.4)
        return EnergyTotal(kind=kind, source=EnergySource(source), readings=readings, wh=wh, gco2e=grams)

    assert energy.totals(project.id) == (
        total("search", "estimated", 1, 4.0),
        total("search", "measured", 2, 3.0),
        total("search", "unknown", 1, 0.0),
        total("replay", "estimated", 1, 8.0),
    )
    assert set(Standing(db).now().energy) == {
        Used(project="other", kind="search", source="estimated", wh=9.0),
        Used(project="flights", kind="search", source="measured", wh=3.0),
        Used(project="flights", kind="search", source="estimated", wh=4.0),
        Used(project="flights", kind="replay", source="estimated", wh=8.0),
    }


def test_the_newest_that_came_to_a_figure_is_found(energy: Energy, project: Project) -> None:
    assert energy.newest(project.id) is None
    energy.add(project.id, reading(8.0), replay=2, at=NOW)
    energy.add(project.id, reading(None, EnergySource.UNKNOWN), run=1, at=after(1))
    newest = energy.newest(project.id)
    assert newest is not None
    assert (newest.replay, newest.wh) == (2, 8.0)
    assert energy.of_replay(project.id, 2) == (newest,)
