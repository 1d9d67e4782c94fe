"""What an engine has to hold, as a pytest class for whoever writes one.

    from automl.engines.contract import EngineContract

    class TestMine(EngineContract):
        name = "mine"

Needs pytest, which the tests of a plug-in have; nothing else of the project imports this.
"""

import pytest

pytest.register_assert_rewrite("automl.engines.contract.suite")

from automl.engines.contract.suite import EngineContract  # noqa: E402 (its assertions are rewritten first)

__all__ = ["EngineContract"]
