"""What the server and the process that explains say to each other, as MessagePack."""

from __future__ import annotations

from typing import Any

import msgspec

MOST_COUNTERFACTUALS = 50
"""Rows in one call that asks for counterfactuals too: some hundred answers for each."""


class Model(msgspec.Struct):
    """A model as the registry keeps it, with rows like those it was trained on (Parquet)."""

    pipeline: bytes
    schema: dict[str, Any]
    task: dict[str, Any]
    background: bytes


class Request(msgspec.Struct):
    """Rows (an Arrow stream, typed) to be explained by the model with that key; with ``counterfactuals`` also by what would
    have had to be otherwise for another class."""

    key: str
    rows: bytes
    model: Model | None = None
    counterfactuals: bool = False


class Reply(msgspec.Struct):
    """One JSON object a row, or that the model is lacking, or why there is no answer."""

    explanations: list[bytes] = []
    lacking: bool = False
    error: str | None = None
