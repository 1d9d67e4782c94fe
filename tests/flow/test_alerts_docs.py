"""docs/alerts.md: its table is that of the kinds, and its receiver and its commands run as they stand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_server import Server, _free_port

from service.alerts.reference import BEGIN, END, table

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "alerts.md"
RECEIVER = re.compile(r"^```python receiver.py\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_table_is_that_of_the_kinds() -> None:
    page = PAGE.read_text(encoding="utf-8")
    told = page.split(BEGIN)[1].split(END)[0].strip()
    assert told == table().strip(), "run: python -m service.alerts.reference docs/alerts.md"


def test_the_events_of_the_page_are_json() -> None:
    for block in re.findall(
        r"^```json\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    ):
        json.loads(block)


@pytest.fixture
def allowing(tmp_path: Path) -> Iterator[Server]:
    one = Server(tmp_path / "home", INCUMBENT_ALERT_HOSTS="127.0.0.1")
    try:
        yield one.start()
    finally:
        one.stop()


@pytest.mark.slow
def test_the_receiver_and_the_commands_run_as_they_stand(allowing: Server, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    command = programs / "incumbent"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m service.cli "$@"\n')
    command.chmod(0o755)
    page = PAGE.read_text(encoding="utf-8")
    found = RECEIVER.search(page)
    assert found is not None
    (tmp_path / "receiver.py").write_text(found[1])
    env = {
        **os.environ,
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "INCUMBENT_URL": allowing.url,
        "RECEIVER_PORT": str(_free_port()),
    }
    session = "\n".join(BLOCK.findall(page))
    done = subprocess.run(
        ["bash", "-e", "-c", session],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "delivered" in done.stdout
