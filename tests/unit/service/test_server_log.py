"""What the server's log never tells."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from service.commands.server import log_from


@pytest.fixture
def restored() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("", "httpx", "apscheduler")]
    levels = [one.level for one in loggers]
    yield
    for one, level in zip(loggers, levels, strict=True):
        one.setLevel(level)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("level", ["debug", "info"])
def test_addresses_of_receivers_with_what_is_secret_in_them_are_not_logged(level: str) -> None:
    log_from(level)
    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)
    assert logging.getLogger("httpx").isEnabledFor(logging.WARNING)
