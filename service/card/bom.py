"""The card as a CycloneDX 1.6 bill of materials (an ML-BOM): the model with its card, the data it was made of, the
libraries it was trained with.

Written by hand as plain values: cyclonedx-python-lib, whose schema the tests validate this by, can't say a model card yet.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from service.card.sections import limits

MEDIA_TYPE = "application/vnd.cyclonedx+json; version=1.6"
_NAMESPACE = uuid.UUID("6f0f3d8e-6d5b-5d0e-9a51-6c1b1f6f1d10")
_PROPERTY = "incumbent:"


def bom(card: Mapping[str, Any]) -> dict[str, Any]:
    """The same facts give the same document: its serial number is made of the model's hash, its time the model's."""
    made, model = card["training"], card["model"]
    data = list(_data(card))
    libraries = list(_libraries(card))
    own = f"model:{card['project']}@{card['version']}"
    needed = [one["bom-ref"] for one in (*data, *libraries)]
    serial = uuid.uuid5(_NAMESPACE, f"{card['project']} {card['version']} {model['sha256']}")
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": card["created_at"],
            "tools": {
                "components": [{"type": "application", "name": "incumbent", "version": version("incumbent")}]
            },
            "component": {
                "type": "machine-learning-model",
                "bom-ref": own,
                "name": card["project"],
                "version": str(card["version"]),
                "description": f"Predicts {card['task']['target']}",
                "hashes": [{"alg": "SHA-256", "content": model["sha256"]}],
                "modelCard": _model_card(card, data),
                "properties": _properties(
                    engine=model["engine"],
                    seed=made["seed"],
                    run=made["run"],
                    dataset_version=made["dataset_version"],
                    size_bytes=model["size_bytes"],
                ),
            },
        },
        "components": [*data, *libraries],
        "dependencies": [
            {"ref": own, "dependsOn": sorted(needed)},
            *({"ref": one} for one in sorted(needed)),
        ],
    }


def _model_card(card: Mapping[str, Any], data: list[dict[str, Any]]) -> dict[str, Any]:
    task, model = card["task"], card["model"]
    answers = "probabilities of the classes" if task["kind"] == "classification" else "numbers"
    return {
        "bom-ref": f"card:{card['project']}@{card['version']}",
        "modelParameters": {
            "approach": {"type": "semi-supervised" if model["pseudo_labels"] else "supervised"},
            "task": task["kind"],
            "architectureFamily": model["estimator"],
            "modelArchitecture": model["estimator"],
            "datasets": [{"ref": one["bom-ref"]} for one in data],
            "inputs": [{"format": "rows of a table"}],
            "outputs": [{"format": answers}],
        },
        "quantitativeAnalysis": {"performanceMetrics": list(_metrics(card))},
        "considerations": {
            "useCases": [f"Rows like those of the project {card['project']}, to predict {task['target']}"],
            "technicalLimitations": list(limits(card)),
        },
    }


def _metrics(card: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    found = card["evaluation"]
    scores = (
        ("holdout", found["score"]),
        ("folds of the search", found["cv_score"]),
        ("live answers", card["live"]["score"]),
    )
    for part, value in scores:
        if value is not None:
            yield {"type": found["metric"], "value": repr(value), "slice": part}
    gain = found["difference"]
    if gain is not None:
        bounds = {"lowerBound": repr(gain["lower"]), "upperBound": repr(gain["upper"])}
        told = {"type": f"{found['metric']} gain", "value": repr(gain["estimate"]), "slice": "holdout"}
        yield {**told, "confidenceInterval": bounds}


def _data(card: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The dataset version (hashed over all its batches), and what of it was trained and judged on."""
    made, project = card["training"], card["project"]
    parts = (
        ("dataset", made["dataset_sha256"], None),
        ("snapshot", made["snapshot_sha256"], made["train_rows"]),
    )
    for name, digest, rows in parts:
        if digest is None:
            continue
        described = {
            "type": "dataset",
            "name": f"{project} {name}",
            "classification": "private",
            "contents": {
                "properties": _properties(train_rows=rows, holdout_rows=made["holdout_rows"])
                if rows is not None
                else _properties(version=made["dataset_version"])
            },
        }
        yield {
            "type": "data",
            "bom-ref": f"data:{name}:{digest}",
            "name": f"{project} {name}",
            "version": str(made["dataset_version"]),
            "hashes": [{"alg": "SHA-256", "content": digest}],
            "data": [described],
        }


def _libraries(card: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    made = card["environment"]
    found = card["requirements"] if made is None else {"python": made["python"], **made["libraries"]}
    for name, number in sorted(found.items()):
        kind = "platform" if name == "python" else "library"
        purl = f"pkg:generic/python@{number}" if name == "python" else f"pkg:pypi/{_normal(name)}@{number}"
        yield {"type": kind, "bom-ref": purl, "name": name, "version": number, "purl": purl}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _properties(**values: Any) -> list[dict[str, str]]:
    return [
        {"name": _PROPERTY + name, "value": str(value)} for name, value in values.items() if value is not None
    ]
