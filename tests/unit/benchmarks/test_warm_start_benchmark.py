"""The comparison of warm and cold searches: which results it goes on with."""

from __future__ import annotations

from argparse import Namespace

from benchmarks.warm_start import commit, key

ASKED = Namespace(budget=20.0, seed=0)
START = {"engine": "flaml", "estimator": "lgbm", "config": {"rounds": 40}, "model": None, "share": 1.0}


def test_a_result_of_other_code_or_of_other_starts_is_not_taken_for_this_ones() -> None:
    kept = key(ASKED, "abc", "hotels", 1, [START])
    assert kept == key(ASKED, "abc", "hotels", 1, [dict(reversed(START.items()))])
    others = [
        key(ASKED, "abc-dirty", "hotels", 1, [START]),
        key(ASKED, "abc", "hotels", 1, [{**START, "share": 0.5}]),
        key(ASKED, "abc", "hotels", 1, []),
        key(ASKED, "abc", "hotels", 1, None),
        key(ASKED, "abc", "hotels", 1, [START], 1 / 3),
    ]
    assert len({kept, *others}) == 6


def test_the_code_that_is_measured_is_named() -> None:
    assert commit()
