from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa


def table_from_rows(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    raise NotImplementedError
