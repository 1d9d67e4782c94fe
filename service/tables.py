"""Data frames and Arrow tables on their way to the server and back. pandas and pyarrow are imported when one comes."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard, cast

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ARROW = "application/vnd.apache.arrow.stream"
_ROWS_A_BATCH = 65_536


def is_frame(value: object) -> TypeGuard[pd.DataFrame]:
    pandas = sys.modules.get("pandas")  # whoever has a frame has imported it
    return pandas is not None and isinstance(value, pandas.DataFrame)


def is_series(value: object) -> TypeGuard[pd.Series[Any]]:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.Series)


def parquet_of(frame: pd.DataFrame) -> bytes:
    """The frame's columns as a Parquet file; its index stays behind."""
    import pyarrow.parquet as parquet

    sink = io.BytesIO()
    parquet.write_table(table_of(frame), sink)
    return sink.getvalue()


def table_of(frame: pd.DataFrame) -> pa.Table:
    """The frame's columns as an Arrow table, categories as their values. Raises TypeError for names that are no text."""
    import pyarrow as pa

    strange = next((name for name in frame.columns if not isinstance(name, str)), None)
    if strange is not None:
        raise TypeError(f"column names must be text, not {strange!r}; rename it with frame.rename(columns=…)")
    plain = frame.copy(deep=False)
    for name in plain.select_dtypes("category").columns:
        plain[name] = plain[name].astype(plain[name].cat.categories.dtype)
    return pa.Table.from_pandas(plain, preserve_index=False)


def rows_of(rows: Iterable[Mapping[str, Any]] | pd.DataFrame) -> list[Mapping[str, Any]]:
    """Rows of JSON; a frame's missing values are None and its times ISO 8601."""
    if is_frame(rows):
        records: list[Mapping[str, Any]] = table_of(rows).to_pylist()
        return [{name: _told(value) for name, value in row.items()} for row in records]
    return list(cast("Iterable[Mapping[str, Any]]", rows))


def _told(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def labels_of(
    labels: Mapping[str, Any] | Iterable[tuple[str, Any]] | pd.Series[Any],
) -> list[tuple[str, Any]]:
    """Pairs of row id and label; a series has the ids in its index."""
    pairs = labels.items() if isinstance(labels, Mapping) or is_series(labels) else labels
    return [(str(row), label) for row, label in pairs]


def stream_of(table: pa.Table) -> bytes:
    """An Arrow stream of the table."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=_ROWS_A_BATCH)
    return bytes(sink.getvalue().to_pybytes())


def table_in(stream: bytes) -> pa.Table:
    import pyarrow as pa

    return pa.ipc.open_stream(stream).read_all()


def answers_frame(stream: bytes, index: Any) -> pd.DataFrame:
    """The server's answers to a table: ``id``, ``value``, and for a classification one column a class, its probability,
    in the order of the classes (``attrs["classes"]``); ``attrs["model_version"]`` says who answered."""
    import numpy as np
    import pandas as pd

    table = table_in(stream)
    told = {name.decode(): json.loads(text) for name, text in (table.schema.metadata or {}).items()}
    found = {
        name: table[name].to_pandas().to_numpy() for name in table.column_names if name != "probabilities"
    }
    frame = pd.DataFrame(found, index=index)
    if "probabilities" in table.column_names:
        classes = told["classes"]
        column = table["probabilities"]
        answered = column.is_valid().to_numpy().astype(bool)
        chances = np.full((len(frame), len(classes)), np.nan)
        chances[answered] = np.concatenate(
            [np.empty(0), *(chunk.flatten().to_numpy() for chunk in column.chunks)]
        ).reshape(-1, len(classes))
        for place, label in enumerate(classes):
            frame[_word(label)] = chances[:, place]
    frame.attrs.update(told)
    return frame


def _word(label: Any) -> str:
    """The column of a class, beside ``id`` and ``value``."""
    return f"probability_{str(label).lower() if isinstance(label, bool) else label}"
