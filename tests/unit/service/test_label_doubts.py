"""Labels that data health doubts come back to people as "please check", and what they answer holds."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labelling_home import LabellingHome

from registry import tables as t
from registry.labeling import QueueItem
from service.label_doubts import with_doubted


@pytest.fixture
def home(tmp_path: Path) -> Iterator[LabellingHome]:
    one = LabellingHome(tmp_path)
    yield one
    one.close()


def doubt(home: LabellingHome, rows: list[str], label: str = "yes") -> None:
    """The newest model's report doubts these labels."""
    review = [
        {"id": row, "label": label, "says": "no", "sure": 0.9 - at / 100} for at, row in enumerate(rows)
    ]
    report = {"data_health": {"label_errors": {"review": review}}}
    blob = home.registry.blobs.put(json.dumps(report).encode(), at=home.now)
    model = home.registry.models.get(home.project.id, 1)
    kept = {name: dataclasses.asdict(ref) for name, ref in model.attachments.items()}
    with home.registry.db.write() as connection:
        connection.execute(t.models.update().values(attachments={**kept, "trust": dataclasses.asdict(blob)}))


def labelled(home: LabellingHome, count: int = 4) -> list[str]:
    ids = home.unlabelled(count, name="told")
    home.tell(ids, ["yes"] * count, origin="crm")
    return ids


def asked(home: LabellingHome, annotator: str = "anna", limit: int = 20) -> dict[str, str]:
    return {row["id"]: row["why"] for row in home.ask(annotator, limit=limit)["rows"]}


def test_where_every_row_has_its_label_the_doubted_ones_are_asked_about_alone(home: LabellingHome) -> None:
    ids = labelled(home)
    doubt(home, ids[:2])
    assert asked(home) == {ids[0]: "check", ids[1]: "check"}


def test_an_answer_takes_the_place_of_the_label_and_the_row_is_not_asked_about_again(
    home: LabellingHome,
) -> None:
    ids = labelled(home)
    doubt(home, ids[:2])
    asked(home)
    told: Any = home.answered("anna", (ids[0], "no"), (ids[1], "yes"))
    assert (told["labelled"], told["conflicting"], told["unchanged"]) == (2, [], 0)
    held = home.held()
    assert held[ids[0]] == ("no", "human", "human:anna")
    assert held[ids[1]] == ("yes", "human", "human:anna")
    home.pass_time(hours=1)
    assert asked(home) == {}
    assert home.answered("bob", (ids[0], "yes"))["conflicting"] == [ids[0]]


def test_a_row_that_was_not_handed_out_to_be_checked_keeps_its_label(home: LabellingHome) -> None:
    ids = labelled(home)
    doubt(home, ids[:1])
    asked(home)
    assert home.answered("anna", (ids[3], "no"))["conflicting"] == [ids[3]]
    assert home.held()[ids[3]][0] == "yes"


def test_a_label_that_changed_since_is_not_doubted_any_more(home: LabellingHome) -> None:
    ids = labelled(home)
    doubt(home, ids[:2])
    home.pass_time(minutes=1)
    home.tell([ids[0]], ["no"], origin="crm")
    assert asked(home) == {ids[1]: "check"}


def test_a_tenth_of_the_queue_is_doubted_and_none_where_the_policy_says_so(tmp_path: Path) -> None:
    counts = {}
    for share in (0.1, 0.0):
        home = LabellingHome(
            tmp_path / str(share), policy={"labelling": {"check_rows": share, "round_rows": 18}}
        )
        doubt(home, labelled(home, 10))
        home.unlabelled(60)
        counts[share] = list(asked(home, limit=18).values()).count("check")
        home.close()
    assert counts == {0.1: 2, 0.0: 0}


def test_doubted_rows_are_spread_evenly_among_the_ranked() -> None:
    def of(name: str, count: int, why: str) -> list[QueueItem]:
        return [QueueItem(row_id=f"{name}{at}", value=1.0, why=why, probability=1.0) for at in range(count)]

    both = with_doubted(of("r", 18, "uncertain"), of("d", 9, "check"), share=0.1, most=18)
    places = [at for at, item in enumerate(both) if item.why == "check"]
    assert (len(both), len(places)) == (20, 2)
    assert places[1] - places[0] >= 8
    assert [item.row_id for item in both if item.why != "check"] == [f"r{at}" for at in range(18)]
    assert len(with_doubted([], of("d", 9, "check"), share=0.1, most=5)) == 5
