"""The benchmark of the gate ``data_health``: what it plants is found, on a few seeds."""

from __future__ import annotations

import pytest

from benchmarks.data_health import FAULTS, measured


@pytest.mark.slow
def test_what_is_planted_blocks_and_is_named_and_the_clean_twin_passes() -> None:
    for fault, told in measured(2, 1_200).items():
        wanted = FAULTS[fault]
        assert [one.rejected for one in told] == [wanted is not None] * 2, (fault, told)
        if wanted is not None:
            assert all(one.failed == (wanted,) for one in told), (fault, told)
