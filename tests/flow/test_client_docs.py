"""Every example of docs/client.md runs as it stands, one after the other, against a real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from live_server import Server

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "client.md"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_examples_run(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INCUMBENT_URL", server.url)
    monkeypatch.delenv("INCUMBENT_KEY", raising=False)
    text = PAGE.read_text()
    blocks = list(BLOCK.finditer(text))
    assert len(blocks) >= 8
    names: dict[str, object] = {"__name__": "client_docs"}
    for block in blocks:
        line = text[: block.start()].count("\n") + 1  # a fault is told by its line in the page
        exec(compile("\n" * line + block[1], str(PAGE), "exec"), names)
