"""The window that forgets, beside river's, and its state."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.adwin import Adwin

RIVER = [
    (0, [1696, 1760, 1824, 1856, 1920], 1720),
    (1, [1664, 1696, 1728, 1760, 1792, 1984], 1592),
    (2, [1664, 1696, 1760, 1888], 1848),
    (3, [1728, 1760, 1824, 1856, 1888], 1720),
    (4, [1824, 1856, 2080, 2112], 1848),
    (5, [1632, 1664, 1696, 1728, 1760, 1920], 1720),
]
"""Seed, values seen at each change, width at the end: by river 0.26.1's window, not reset between changes."""


def stream(seed: int) -> list[float]:
    random = np.random.default_rng(seed)
    x, y = random.random(1500), random.random(1500)
    if seed % 2:
        return [*(x * 0.4).tolist(), *(y * 0.6).tolist()]
    return [*(x < 0.2).astype(float).tolist(), *(y < 0.35).astype(float).tolist()]


@pytest.mark.parametrize(("seed", "changes", "width"), RIVER)
def test_cuts_are_where_rivers_are(seed: int, changes: list[int], width: int) -> None:
    window = Adwin(delta=0.002)
    assert [change.at for change in window.add(stream(seed))] == changes
    assert window.width == width


def test_first_change_says_what_the_mean_was_and_where_it_goes() -> None:
    first = Adwin(delta=0.002).add(stream(0))[0]
    assert first.rose
    assert first.before == pytest.approx(0.2, abs=0.03)
    assert first.after > first.before


def test_fall_is_told_from_a_rise() -> None:
    changes = Adwin(delta=0.002).add(stream(0)[::-1])
    assert changes
    assert not any(change.rose for change in changes)


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_without_change_nothing_is_found_in_thousands_of_values(rate: float) -> None:
    found = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        found += bool(Adwin(delta=0.002).add((random.random(3000) < rate).astype(float).tolist()))
    assert found <= 1


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1), max_size=300), st.integers(0, 300))
def test_kept_state_goes_on_as_if_it_had_never_stopped(values: list[float], at: int) -> None:
    whole, part = Adwin(delta=0.01), Adwin(delta=0.01)
    expected = whole.add(values)
    first = part.add(values[:at])
    resumed = Adwin.from_json(json.loads(json.dumps(part.to_json(), allow_nan=False)))
    assert (*first, *resumed.add(values[at:])) == expected
    assert resumed == whole


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=400))
def test_sums_are_those_of_the_values_that_are_still_in_the_window(values: list[float]) -> None:
    window = Adwin(delta=0.05)
    window.add(values)
    kept = np.array(values[-window.width :])
    assert sum(len(level) << i for i, level in enumerate(window.levels)) == window.width
    assert window.total == pytest.approx(kept.sum(), abs=1e-6)
    assert window.spread == pytest.approx(((kept - kept.mean()) ** 2).sum(), abs=1e-6)


def test_window_needs_little_memory() -> None:
    window = Adwin(delta=0.002)
    window.add(np.random.default_rng(0).random(20_000).tolist())
    assert window.width == 20_000
    assert sum(map(len, window.levels)) < 80


def test_impossible_values_and_states_are_refused() -> None:
    with pytest.raises(ValueError, match="delta"):
        Adwin(delta=0.0)
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            Adwin(delta=0.1).add([wrong])
    with pytest.raises(ValueError, match="can't be continued"):
        Adwin.from_json({**Adwin(delta=0.1).to_json(), "method": "another"})
