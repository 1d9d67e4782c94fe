"""Labels that were revoked or corrected after they counted in a probation count no longer, or otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from probation_house import House
from small_house import open_registry

from registry.probations import ProbationStatus
from registry.records import BatchKind
from registry.revocations import Criteria
from registry.store import Registry
from service.probation_view import standing


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(tmp_path)
    yield opened
    opened.close()


def rows(house: House) -> int:
    shown = standing(house.probation)
    return int(shown["rows"] + shown["reference_rows"])


def tell(house: House, ids: list[str], labels: list[str], origin: str) -> None:
    with house.registry.datasets.stage(house.project) as staging:
        told: dict[str, Any] = {"_row_id": ids, "label": labels, "source": ["feedback"] * len(ids)}
        staging.write_labels(pa.table({**told, "origin": [origin] * len(ids)}))
        house.registry.datasets.commit(staging, kind=BatchKind.FEEDBACK, details={}, at=house.now)


def revoke(house: House, **criteria: Any) -> None:
    criterion = Criteria(**criteria)
    house.registry.labels.revoke(house.project.id, criterion, reason="wrong", actor="ann", at=house.now)


def opposite(labels: list[str]) -> list[str]:
    return ["no" if label == "yes" else "yes" for label in labels]


def said_by_the_champion(house: House, ids: list[str]) -> list[str]:
    scored = house.registry.datasets.shadowed(house.project.id, house.probation.number, 10_000)
    score = dict(zip(scored["_row_id"].to_pylist(), scored["champion_score"].to_pylist(), strict=True))
    return ["yes" if score[name] > 0.5 else "no" for name in ids]


def test_a_revocation_takes_its_rows_out_of_an_open_probation(registry: Registry) -> None:
    house = House(registry)
    house.promote(2)
    house.live(60)
    house.tick()
    clean = standing(house.probation)
    ids = house.live(30, truth=False)
    tell(house, ids, said_by_the_champion(house, ids), "feedback:mallory")
    house.tick()
    assert rows(house) == 90
    revoke(house, origin="feedback:mallory")
    house.tick()
    assert rows(house) == 60
    after = standing(house.probation)
    told = ("rows", "reference_rows", "loss_difference", "lower", "upper")
    assert [after[name] for name in told] == [clean[name] for name in told]
    assert after["status"] == "open"
    house.live(20)
    house.tick()
    assert rows(house) == 80


def test_a_revocation_of_everything_starts_the_probation_over(registry: Registry) -> None:
    house = House(registry)
    house.promote(2)
    house.live(80)
    house.tick()
    revoke(house, source="feedback")
    house.tick()
    assert rows(house) == 0
    house.live(80)
    house.tick()
    assert rows(house) == 80


def test_lies_that_were_revoked_in_time_depose_nobody(registry: Registry) -> None:
    house = House(registry)
    house.promote(2)
    for _ in range(2):
        house.live(60)
    house.tick()
    ids = house.live(25, truth=False)
    tell(house, ids, opposite(said_by_the_champion(house, ids)), "feedback:mallory")
    house.tick()
    assert house.probation.status is ProbationStatus.OPEN
    lied = standing(house.probation)
    revoke(house, origin="feedback:mallory")
    house.tick()
    assert standing(house.probation)["rows"] == lied["rows"] - 25


def test_a_corrected_truth_counts_as_what_it_is_now(registry: Registry) -> None:
    house = House(registry)
    house.promote(2)
    house.live(60)
    ids = house.live(40, truth=False)
    right = said_by_the_champion(house, ids)
    tell(house, ids, right, "feedback:crm")
    house.tick()
    before = standing(house.probation)
    tell(house, ids, opposite(right), "feedback:crm")
    house.tick()
    wrong = standing(house.probation)
    tell(house, ids, right, "feedback:crm")
    house.tick()
    again = standing(house.probation)
    told = ("rows", "reference_rows", "loss_difference", "lower", "upper")
    assert rows(house) == 100
    assert wrong["loss_difference"] != before["loss_difference"]
    assert [again[name] for name in told] == [before[name] for name in told]


def test_a_revocation_of_a_teacher_leaves_the_state_alone(registry: Registry) -> None:
    house = House(registry)
    house.promote(2)
    house.live(60)
    house.tick()
    through, number = house.probation.through, house.probation.number
    ids = house.live(3, truth=False)
    with registry.datasets.stage(house.project) as staging:
        told = {"_row_id": ids, "label": ["yes"] * 3, "source": ["pseudo"] * 3, "confidence": [0.9] * 3}
        staging.write_labels(pa.table({**told, "teacher": pa.array([1] * 3, pa.int32())}))
        registry.datasets.commit(staging, kind=BatchKind.PSEUDO_LABELS, details={}, at=house.now)
    revoke(house, teacher=1)
    pairs = registry.datasets.paired(house.project.id, number, began=0, after=through)
    assert (pairs.anew, pairs.table.num_rows) == (False, 0)
