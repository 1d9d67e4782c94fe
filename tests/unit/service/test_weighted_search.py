"""What the policy says of label sources reaches the search as row weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from labelling_home import LabellingHome

from service.desk import Desk
from service.stages import refit, search


def desk(folder: Path, home: LabellingHome, rules: dict[str, Any]) -> Desk:
    version = home.registry.datasets.facts(home.project.id).version
    pq.write_table(home.registry.datasets.read(home.project.id, version), folder / "train.parquet")
    spec = {
        "task": dict(home.project.task),
        "schema": home.project.schema,
        "seed": 0,
        "label_sources": rules,
        "refit_with_pseudo": True,
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    return Desk(folder, {"key": "", "database_url": "", "home": str(folder)}, 0)


def problem(folder: Path, home: LabellingHome, rules: dict[str, Any]) -> Any:
    return search.problem_of(desk(folder, home, rules), pseudo=False)


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


def test_the_refit_weighs_rows_as_the_search_did_with_pseudo_labels_and_without(tmp_path: Path) -> None:
    home = LabellingHome(tmp_path)
    for name in ("anna", "ben"):
        home.tell(home.unlabelled(10, name=name), ["yes"] * 10, origin=f"human:{name}")
    rules = {"human:anna": {"weight": 0.5, "cap": 1.0}, "human:ben": {"weight": 0.0, "cap": 1.0}}
    place = desk(tmp_path, home, rules)
    true = pq.read_table(tmp_path / "train.parquet")
    own = [name for name in true.column_names if name == "_row_id" or not name.startswith("_")]
    more = true.select([*own, "_label"]).slice(0, 5).append_column("_weight", pa.array([0.25] * 5))
    pq.write_table(more, tmp_path / "pseudo.parquet")
    searched = search.problem_of(place, pseudo=True)
    rows, weights = refit.to_train_on(place, true)
    assert weights is not None
    assert weights.tolist() == searched.weights.tolist() == [1.0] * 120 + [0.5] * 10 + [0.25] * 5
    assert len(rows) == len(searched.y) == 135
    assert all(np.isin(range(130, 135), train).all() for train, _ in searched.folds)
    home.close()
