"""A version as an MLflow model: a folder that ``mlflow models serve`` answers from, with all that it takes.

The flavor is ``python_function`` with a loader of ours. The pipeline is a pickle of classes of ``automl``, so that package
goes along as code: some 200 small files that need no engine.
"""

from __future__ import annotations

import json
import platform
import shutil
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import automl
from automl.columns import ColumnKind
from automl.schema import Schema
from automl.task import Task
from registry.records import Model, Project
from registry.store import Registry
from service.mlflow_models import scoring

LOADER = "incumbent_mlflow"
MLFLOW = "mlflow>=3.1"
EXAMPLE_ROWS = 5
_ALSO = ("scipy", "joblib", "threadpoolctl")
"""Besides what a model's own record asks for: what those and ``automl`` import."""
_TYPES = {
    ColumnKind.NUMERIC: "double",
    ColumnKind.CATEGORICAL: "string",
    ColumnKind.TEXT: "string",
    ColumnKind.BOOLEAN: "any",
    ColumnKind.DATETIME: "any",
}
"""``any`` where callers have more than one way to say it (times as text or as times, truth values with gaps)."""


class NotExportable(Exception):
    """The version can't become an MLflow model, or the folder is not free; the message says why."""


def export(registry: Registry, project: Project, version: int, folder: Path) -> Path:
    """Write the version to ``folder``, which may not hold anything yet. Its bytes are checked against their signature.

    Raises NotExportable; NotFound, Damaged and Tampered of the registry.
    """
    model = registry.models.get(project.id, version)
    task, schema = Task.from_json(model.details["task"]), Schema.from_json(model.details["schema"])
    if task.is_forecasting:
        raise NotExportable(
            "a forecast is fitted anew from the stored series for each call: there is nothing to take along"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NotExportable(f"{folder} is there already and not empty")
    pipeline = registry.blobs.open(model.blob.digest)
    golden = json.loads(registry.blobs.open(model.attachments["golden"].digest))
    data = folder / scoring.DATA
    data.mkdir(parents=True)
    (data / scoring.MODEL).write_bytes(pipeline)
    contract = {
        "project": project.name,
        "version": version,
        "task": task.to_json(),
        "schema": schema.to_json(),
    }
    (data / scoring.CONTRACT).write_text(json.dumps(contract, indent=2, default=str), encoding="utf-8")
    _code(folder / "code")
    _environment(folder, model)
    example = _example(folder, golden["rows"], schema, task)
    _write_yaml(folder / "MLmodel", _description(project, model, schema, task, example))
    return folder


def _description(
    project: Project, model: Model, schema: Schema, task: Task, example: Mapping[str, Any]
) -> dict[str, Any]:
    names = set(schema.feature_names(task))
    inputs = [
        {"type": _TYPES[column.kind], "name": column.name, "required": not column.optional}
        for column in schema.columns
        if column.name in names
    ]
    outputs: list[dict[str, Any]] = [{"type": "any", "name": "value", "required": True}]
    for one in task.classes if task.is_classification else ():
        told = str(one).lower() if isinstance(one, bool) else one
        outputs.append({"type": "double", "name": f"probability_{told}", "required": True})
    made = model.created_at.astimezone(UTC).replace(tzinfo=None)
    return {
        "flavors": {
            "python_function": {
                "loader_module": LOADER,
                "code": "code",
                "data": scoring.DATA,
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "python_version": _python(model),
            }
        },
        "metadata": {
            "incumbent_project": project.name,
            "incumbent_version": model.version,
            "incumbent_sha256": model.blob.digest,
        },
        "model_uuid": uuid.uuid5(uuid.NAMESPACE_URL, f"incumbent {model.blob.digest}").hex,
        "saved_input_example_info": dict(example),
        "signature": {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "params": None},
        "utc_time_created": made.isoformat(sep=" "),
    }


def _code(folder: Path) -> None:
    package = Path(automl.__path__[0])
    shutil.copytree(package, folder / "automl", ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    shutil.copy(Path(scoring.__file__), folder / f"{LOADER}.py")


def _environment(folder: Path, model: Model) -> None:
    """The versions that the model was made with; MLflow reads one of the three files."""
    wanted = [MLFLOW, "pyarrow>=20", *_pinned(model)]
    (folder / "requirements.txt").write_text("\n".join(wanted) + "\n")
    python = _python(model)
    _write_yaml(
        folder / "python_env.yaml",
        {"python": python, "build_dependencies": ["pip"], "dependencies": ["-r requirements.txt"]},
    )
    conda = {
        "name": "incumbent",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": wanted}],
    }
    _write_yaml(folder / "conda.yaml", conda)


def _pinned(model: Model) -> list[str]:
    made: Mapping[str, Any] = model.details.get("environment") or {}
    own = {**model.details.get("requirements", {})}
    known = {name: number for name, number in made.get("libraries", {}).items() if name in _ALSO}
    free = [name for name in _ALSO if name not in known]
    return [*(f"{name}=={number}" for name, number in {**own, **known}.items()), *free]


def _python(model: Model) -> str:
    made: Mapping[str, Any] = model.details.get("environment") or {}
    return str(made.get("python") or platform.python_version())


def _example(folder: Path, rows: Sequence[Mapping[str, Any]], schema: Schema, task: Task) -> dict[str, Any]:
    """Some of the golden rows, as MLflow keeps an example and as its server is sent one."""
    names = list(schema.feature_names(task))
    chosen = [[row.get(name) for name in names] for row in rows[:EXAMPLE_ROWS]]
    split = {"columns": names, "data": chosen}
    (folder / "input_example.json").write_text(json.dumps(split), encoding="utf-8")
    sent = {"dataframe_split": split}
    (folder / "serving_input_example.json").write_text(json.dumps(sent), encoding="utf-8")
    return {
        "artifact_path": "input_example.json",
        "pandas_orient": "split",
        "type": "dataframe",
        "serving_input_path": "serving_input_example.json",
    }


def _write_yaml(path: Path, value: Mapping[str, Any]) -> None:
    import yaml  # late: a server never writes one

    path.write_text(yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True), encoding="utf-8")
