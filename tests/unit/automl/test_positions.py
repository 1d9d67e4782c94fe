"""Where values stand among thresholds: what a search by halves says, whatever the numbers."""

from __future__ import annotations

import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.compiled.positions import Positions

numbers = st.floats(allow_nan=False, width=64)
features = st.lists(
    st.lists(numbers, min_size=2, max_size=40, unique=True).map(sorted), min_size=1, max_size=4
)


@settings(max_examples=300, deadline=None)
@given(features, st.lists(numbers, min_size=1, max_size=30), st.data())
def test_positions_are_those_of_a_search_by_halves(
    thresholds: list[list[float]], values: list[float], data: st.DataObject
) -> None:
    known = [np.unique(np.array(each)) for each in thresholds]
    first = [data.draw(st.integers(0, 1000)) for _ in known]
    rows = np.array([[*values, *each[:2]] for each in thresholds])
    out = np.empty(rows.shape, np.intp)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Positions(known, first)(rows, out)
    for each, start, row, found in zip(known, first, rows, out, strict=True):
        assert np.array_equal(found, each.searchsorted(row) + start)


def test_thresholds_of_which_most_lie_together_are_searched_all_the_same() -> None:
    crowded = np.unique(np.concatenate([np.linspace(0, 1e-6, 300), [1e9]]))
    even = np.linspace(-3, 3, 200)
    values = np.vstack([np.linspace(-1e-6, 2e-6, 999), np.linspace(-4, 4, 999)])
    out = np.empty(values.shape, np.intp)
    Positions([crowded, even], [5, 1000])(values, out)
    assert np.array_equal(out[0], crowded.searchsorted(values[0]) + 5)
    assert np.array_equal(out[1], even.searchsorted(values[1]) + 1000)
