"""How much each training row weighs, by who gave its label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.label_sources import SourceRule, weigh


def label_weights(table: pa.Table, rules: Mapping[str, Mapping[str, Any]]) -> npt.NDArray[np.float64] | None:
    """The weight of each row by its ``_label_source`` and ``_label_origin``; None where no rule says anything.

    A rule for the origin (``human:anna``) goes before that for its source (``human``).
    """
    known = {name: SourceRule(weight=rule["weight"], max_share=rule["cap"]) for name, rule in rules.items()}
    if not any(rule != SourceRule() for rule in known.values()):
        return None
    return weigh(names(table["_label_source"], table["_label_origin"], known), known)


def weighed(
    table: pa.Table, rules: Mapping[str, Mapping[str, Any]]
) -> tuple[pa.Table, npt.NDArray[np.float64] | None]:
    """The rows that may train, with their weights: those of weight 0 are left out. See :func:`label_weights`."""
    weights = label_weights(table, rules)
    if weights is None:
        return table, None
    counts = weights > 0
    return table.filter(pa.array(counts)), weights[counts]


def names(
    source: pa.ChunkedArray, origin: pa.ChunkedArray, known: Mapping[str, object] | None = None
) -> Sequence[str]:
    """What each label's source is called: its origin where it has one (and, with ``known``, that is known)."""
    return [
        of if of is not None and (known is None or of in known) else given
        for given, of in zip(source.to_pylist(), origin.to_pylist(), strict=True)
    ]
