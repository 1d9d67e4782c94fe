"""What the datasets' contract tests are made of: small batches whose content follows from their name."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
from registry_builders import NOW

from registry.database import Database
from registry.datasets import Datasets
from registry.records import Batch, BatchKind, Project


def datasets_in(home: Path, db: Database) -> Datasets:
    return Datasets(db, home / "tables", home / "staging")


def ids(name: str, count: int) -> list[str]:
    return [f"{name}-{number:06d}" for number in range(count)]


def rows(name: str, count: int) -> pa.Table:
    number = pa.array([float(n) if n % 5 else None for n in range(count)], pa.float64())
    return pa.table(
        {
            "_row_id": ids(name, count),
            "amount": number,
            "word": pa.array([f"{name} ü {n % 3}" if n % 4 else None for n in range(count)], pa.string()),
            "good": [n % 2 == 0 for n in range(count)],
            "when": pa.array([NOW] * count, pa.timestamp("us", "UTC")),
        }
    )


def labels(
    row_ids: list[str], label: str = "yes", source: str = "given", at: datetime | None = None
) -> pa.Table:
    count = len(row_ids)
    return pa.table(
        {
            "_row_id": pa.array(row_ids, pa.string()),
            "label": [label] * count,
            "source": [source] * count,
            "at": pa.array([at] * count, pa.timestamp("us", "UTC")),
        }
    )


def predictions(row_ids: list[str], value: str = "no", model: int = 1, at: datetime = NOW) -> pa.Table:
    count = len(row_ids)
    return pa.table(
        {
            "_row_id": row_ids,
            "model_version": pa.array([model] * count, pa.int32()),
            "value": [value] * count,
            "score": [0.25] * count,
            "probabilities": [[0.75, 0.25]] * count,
            "at": pa.array([at] * count, pa.timestamp("us", "UTC")),
        }
    )


def faults(lines: list[int]) -> pa.Table:
    return pa.table(
        {
            "line": lines,
            "column": ["amount"] * len(lines),
            "code": ["unparsable_number"] * len(lines),
            "message": ["'x' is no number"] * len(lines),
            "row": ['{"amount": "x"}'] * len(lines),
        }
    )


def upload(
    datasets: Datasets,
    project: Project,
    name: str,
    count: int,
    *,
    labelled: int | None = None,
    key: str | None = None,
    digest: str | None = None,
    at: datetime = NOW,
) -> Batch:
    """Commit ``count`` rows, the first ``labelled`` of them (default: all) with the label ``yes``."""
    with datasets.stage(project) as staging:
        staging.write_rows(rows(name, count))
        staging.write_labels(labels(ids(name, count)[:labelled]))
        return datasets.commit(
            staging, kind=BatchKind.UPLOAD, details={}, idempotency_key=key, request_digest=digest, at=at
        )


def feedback(
    datasets: Datasets,
    project: Project,
    row_ids: list[str],
    label: str,
    source: str = "feedback",
    at: datetime = NOW,
    told_at: datetime | None = None,
) -> Batch:
    with datasets.stage(project) as staging:
        staging.write_labels(labels(row_ids, label, source, told_at))
        return datasets.commit(staging, kind=BatchKind.FEEDBACK, details={}, at=at)
