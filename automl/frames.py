from __future__ import annotations

import pandas as pd
import pyarrow as pa

from automl.columns import Schema


def frame(table: pa.Table, schema: Schema) -> pd.DataFrame:
    raise NotImplementedError
