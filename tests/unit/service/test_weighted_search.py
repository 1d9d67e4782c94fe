"""What the policy says of label sources reaches the search as row weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from labelling_home import LabellingHome

from service.desk import Desk
from service.stages import search


def problem(folder: Path, home: LabellingHome, rules: dict[str, Any]) -> Any:
    version = home.registry.datasets.facts(home.project.id).version
    pq.write_table(home.registry.datasets.read(home.project.id, version), folder / "train.parquet")
    spec = {"task": dict(home.project.task), "schema": home.project.schema, "seed": 0, "label_sources": rules}
    (folder / "spec.json").write_text(json.dumps(spec))
    return search._problem(Desk(folder, {"key": "", "database_url": "", "home": str(folder)}, 0))


def test_rows_are_weighed_by_source_and_those_of_no_weight_are_left_out(tmp_path: Path) -> None:
    home = LabellingHome(tmp_path)
    for name in ("anna", "ben"):
        home.tell(home.unlabelled(10, name=name), ["yes"] * 10, origin=f"human:{name}")
    plain = problem(tmp_path, home, {})
    assert plain.weights is None
    assert len(plain.X) == 140
    rules = {"human:anna": {"weight": 0.5, "cap": 1.0}, "human:ben": {"weight": 0.0, "cap": 1.0}}
    weighed = problem(tmp_path, home, rules)
    assert weighed.weights.tolist() == [1.0] * 120 + [0.5] * 10
    assert len(weighed.X) == len(weighed.y) == 130
    home.close()
