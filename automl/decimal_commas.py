"""Numbers that were written with a comma, as spreadsheets of half of the world do: told, never guessed at."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from automl.coercion import NUMBER
from automl.errors import SchemaError

LEAST = 10
"""Different values with a comma before they are taken for numbers: sizes such as ``1,5`` and ``2,0`` may be names."""
_WITH_COMMA = r"^[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+$"


def refuse(values: pa.Array, name: str, *, share: float) -> None:
    """Raises SchemaError ``decimal_commas`` where at least ``share`` of the texts are numbers, but for their commas.

    Read as categories they would be learnt as names, and nobody would be told: ``17,03`` may be 17.03 or 1703.
    """
    words = pc.value_counts(values.drop_null())
    texts, counts = words.field(0), words.field(1).to_numpy()
    commas = pc.match_substring_regex(texts, _WITH_COMMA).to_numpy(zero_copy_only=False).astype(np.bool_)
    if commas.sum() < LEAST:
        return
    plain = pc.match_substring_regex(texts, NUMBER).to_numpy(zero_copy_only=False).astype(np.bool_)
    if counts[commas | plain].sum() < share * counts.sum():
        return
    shown = texts[int(np.flatnonzero(commas)[0])].as_py()
    raise SchemaError(
        f"the values of {name!r} look like numbers written with a comma ({shown})",
        code="decimal_commas",
        column=name,
        remedy="write a decimal point and nothing between thousands; in Python: "
        "pandas.read_csv(FILE, sep=';', decimal=',').to_csv('points.csv', index=False)",
    )
