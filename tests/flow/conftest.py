from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from live_server import Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    one = Server(tmp_path / "home")
    try:
        yield one.start()
    finally:
        one.stop()
