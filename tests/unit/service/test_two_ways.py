"""All ways of a call give the same answer, or the same problem, whatever the rows.

``short``: compiled; ``own``: compiled as far as the preprocessing; ``pipeline``: read quickly, answered by the whole
pipeline; ``long``: row by row through the check of the schema.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from wire_house import House, rows_of, serving

from registry.journal import read
from service.log_reading import read_records

KINDS = ("two", "three", "number", "unnamed")
WAYS = ("short", "own", "pipeline", "long")
ODD: list[Any] = [
    None, "", " ", "NA", "null", "nan", "NaN", "?", 0, 1, -1, -0.0, 0.1, 5e-324, 1e308, -1e308, 1e100, 2**53 + 1,
    2**63, -(2**63) - 1, 10**30, 10**400, "12", " 12 ", "1e5", "1,5", "1_000", "inf", "-Infinity", True, False,
    "true", "Yes", "no ", "0", "2026-01-05", "2026-01-05T10:00:00Z", "2026-01-05 10:00", "2026-01-05T10:00:00+02:00",
    "2026-13-01", "2026-02-30", "2026-01-05T24:00", "1677-01-01", "9999-12-31T23:59:59.999999999+14:00", "soon",
    12345, 3.0, [1], {"a": 1}, [], "\u0000", "\N{PINEAPPLE} \u202eright to left", "e\u0301trange", "étrange", "Red",
    "red ", " red", "red", "blue", "x" * 300, "x" * 10_000, "r-0-1", "\ttab", "line\nbreak", "\\\"quoted\"", "\u2028",
]  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    projects: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        shape = {"kind": "two", "named": False} if kind == "unnamed" else {"kind": kind}
        projects[f"{kind}-short"] = {**shape, "compiled": True}
        projects[f"{kind}-own"] = {**shape, "compiled": True, "unknown": True}
        projects[f"{kind}-pipeline"] = {**shape, "compiled": False}
        projects[f"{kind}-long"] = {**shape, "compiled": False}
    folder = tmp_path_factory.mktemp("ways")
    with serving(
        folder, projects, max_predict_rows=50, max_predict_bytes=300_000, flush_seconds=3600
    ) as made:
        for project in projects:  # its lane is made by its first call
            made.predict(project, b"")
        for kind in KINDS:
            form_of(made, f"{kind}-long").readable = False
        yield made


def form_of(house: House, project: str) -> Any:
    return house.app.state.lanes.get(project).form()


def alike(house: House, kind: str, body: Any) -> None:
    *others, long = (house.predict(f"{kind}-{way}", body) for way in WAYS)
    for other in others:
        assert other.status_code == long.status_code, (body, other.text, long.text)
        assert other.headers["content-type"] == long.headers["content-type"]
        assert _told(other.json()) == _told(long.json()), (body, other.text, long.text)


def _told(said: dict[str, Any]) -> dict[str, Any]:
    """Without what differs between any two calls: made-up ids, the path, the last bits of a sum of trees."""
    told = {key: value for key, value in said.items() if key != "instance"}
    for one in told.get("predictions", []):
        if len(one["id"]) == 36 and one["id"][14] == "7":
            del one["id"]
        if "probabilities" in one:
            one["probabilities"] = {name: round(share, 9) for name, share in one["probabilities"].items()}
        if isinstance(one["value"], float):
            one["value"] = round(one["value"], 9)
    for way in WAYS:
        told["remedy"] = told.get("remedy", "").replace(f"-{way}", "")
    return told


def asked(chance: random.Random, plain: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """A row with nothing or something odd about it."""
    row = dict(chance.choice(plain))
    ripe = row.pop("ripe")
    if kind == "number":
        row.pop("count")
        row["ripe"] = ripe == "yes"
    if kind == "unnamed":
        row.pop("ref")
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        name = chance.choice(list(row))
        row[name] = chance.choice(ODD)
    match chance.randrange(12):
        case 0:
            row.pop(chance.choice(list(row)))
        case 1:
            row["extra"] = chance.choice(ODD)
        case 2:
            row["ripe"] = chance.choice(["yes", "never", "perhaps", 1, None, [1]])
        case 3:
            row["SIZE"] = 1
        case 4 | 5:
            names = list(row)
            chance.shuffle(names)
            row = {name: row[name] for name in names}
        case 6:
            row.pop("stand", None)
        case 7:
            row.pop("ref", None)
        case 8:
            row["ref"] = chance.choice([1, 2**60, 3.5, True, "", "x" * 256, "a\u0000b", ["x"], " padded "])
    return row


@pytest.mark.parametrize("kind", KINDS)
def test_odd_rows_mean_the_same_on_all_ways(house: House, kind: str) -> None:
    chance = random.Random(len(kind))
    plain = rows_of(40, 7).to_pylist()
    for _ in range(130):
        alike(house, kind, {"rows": [asked(chance, plain, kind)]})


def test_rows_of_many_kinds_in_one_call_mean_the_same_on_all_ways(house: House) -> None:
    chance = random.Random(5)
    plain = rows_of(40, 8).to_pylist()
    for _ in range(60):
        usual = [{**row, "ref": f"n{at}"} for at, row in enumerate(plain[: chance.randrange(1, 45)])]
        for row in usual:
            del row["ripe"]
        alike(house, "two", {"rows": [asked(chance, plain, "two"), *usual, asked(chance, plain, "two")]})
        alike(house, "two", {"rows": usual})


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'{"rows": null}', b'{"rows": []}', b'{"rows": [{}]}', b'{"rows": [1]}',
        b'{"rows": [{"size": 1, "size": 2}]}', b'{"rows": [{"size": NaN}]}', b'{"rows": [{"size": 1e999}]}',
        b'{"rows": [{"colour": "\\ud800"}]}', b'{"rows": [{"colour": "\xff"}]}', b"\xef\xbb\xbf{}",
        b'{"rows": [' + b",".join([b"{}"] * 51) + b"]}", b" " * 300_001, b'{"rows": [' + b"[" * 5_000,
        b'{"more": 1, "rows": [{"size": 1}]}', b'{"rows": [{"size": ' + b"9" * 5_000 + b"}]}",
    ],
)  # fmt: skip
def test_broken_bodies_are_refused_in_the_same_words(house: House, body: bytes) -> None:
    alike(house, "two", body)


@pytest.mark.parametrize("way", WAYS)
def test_usual_rows_take_the_short_way(house: House, way: str) -> None:
    form = form_of(house, f"two-{way}")
    rows = [{key: value for key, value in row.items() if key != "ripe"} for row in rows_of(30, 3).to_pylist()]
    values = form.read(json.dumps({"rows": rows}).encode())
    assert (values is not None) == (way != "long")
    assert form.light == (way == "short")
    if values is not None:
        assert form.settles(values)
        assert form.quick(values) is not None


@pytest.mark.parametrize("way", WAYS)
def test_calls_at_once_are_each_told_their_own_and_odd_ones_harm_no_other(house: House, way: str) -> None:
    chance = random.Random(9)
    plain = rows_of(40, 8).to_pylist()
    bodies = [{"rows": [asked(chance, plain, "two")]} for _ in range(120)]
    with ThreadPoolExecutor(24) as pool:
        together = list(pool.map(lambda body: house.predict(f"two-{way}", body), bodies))
    for body, answer in zip(bodies, together, strict=True):
        alone = house.predict(f"two-{way}", body)
        assert answer.status_code == alone.status_code
        assert _told(answer.json()) == _told(alone.json()), body


def test_what_each_way_answered_is_logged_alike(house: House) -> None:
    rows = [{key: value for key, value in row.items() if key != "ripe"} for row in rows_of(30, 4).to_pylist()]
    observation = house.app.state.context.observation
    found = []
    for way in WAYS:
        observation.flush()
        observation._journal.rotate()
        before = {number for number, _ in observation._journal.sealed()}
        assert house.predict(f"two-{way}", {"rows": rows}).status_code == 200
        observation._journal.rotate()
        (path,) = [path for number, path in observation._journal.sealed() if number not in before]
        (logged,) = read_records(read(path))
        found.append((logged.rows.drop_columns(["_arrived_at"]), logged.predictions.drop_columns(["at"])))
    for typed, predictions in found[:-1]:
        assert typed.equals(found[-1][0])
        for name in ("_row_id", "model_version", "value"):
            assert predictions[name].equals(found[-1][1][name])
