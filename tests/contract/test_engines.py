"""Our own engines hold the contract that any plug-in's has to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import engine_kinds
import pytest

from automl.engines.autogluon_python import fault
from automl.engines.contract import EngineContract, problems
from automl.engines.protocol import Problem, Start

pytestmark = pytest.mark.slow


class Own(EngineContract):
    def kinds(self, problem: Problem) -> Sequence[Start]:
        return engine_kinds.kinds(self.name, problem)


class TestPortfolio(Own):
    name = "portfolio"


class TestFlaml(Own):
    name = "flaml"

    def same(self, config: Mapping[str, Any], again: Mapping[str, Any]) -> bool:
        return bool(config == pytest.approx(again))  # it searches logarithms: the last digit may differ


class TestTpot(Own):
    name = "tpot"

    def test_its_kinds_of_model_are_tried_as_they_are_given(self) -> None:
        problem = problems.mixed()
        for start in self.kinds(problem):
            _, trials = self.search(problem, trials=1, budget=60, starts=(start,))
            assert trials[0].config == start.config


class TestSklearn(Own):
    name = "sklearn"


@pytest.mark.skipif(fault() is not None, reason=str(fault()))
class TestAutogluon(Own):
    name = "autogluon"
    budget_seconds = 25.0
