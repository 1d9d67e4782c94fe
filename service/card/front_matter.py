"""The card's metadata as Hugging Face documents it (docs/hub/model-cards: license, tags, metrics, model-index)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LICENSE = "unknown"
"""Their word for a model whose owner said nothing: a server can't know under which terms its owner would give it away."""
_PIPELINES = {
    "classification": "tabular-classification",
    "regression": "tabular-regression",
    "forecasting": "time-series-forecasting",
}


def front_matter(card: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata. A model without a score has no ``model-index``: theirs needs a result in it."""
    found, made, kind = card["evaluation"], card["training"], card["task"]["kind"]
    name = f"{card['project']}-v{card['version']}"
    results = [
        {
            "task": {"type": _PIPELINES[kind], "name": kind.capitalize()},
            "dataset": {
                "type": f"incumbent/{card['project']}",
                "name": f"{card['project']}, version {made['dataset_version']}",
                "split": split,
                **({} if made["snapshot_sha256"] is None else {"revision": made["snapshot_sha256"]}),
            },
            "metrics": [{"type": found["metric"], "value": value, "name": f"{found['metric']}, {told}"}],
        }
        for split, told, value in (
            ("holdout", "on rows it was not trained on", found["score"]),
            ("live", "on live answers", card["live"]["score"]),
        )
        if value is not None
    ]
    return {
        "license": LICENSE,
        "library_name": "sklearn",
        "pipeline_tag": _PIPELINES[kind],
        "tags": ["incumbent", _PIPELINES[kind], "tabular", *dict.fromkeys((card["model"]["engine"],))],
        "metrics": [found["metric"]],
        **({"model-index": [{"name": name, "results": results}]} if results else {}),
    }
