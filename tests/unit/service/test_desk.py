"""What several threads of a child tell reaches the parent line by line."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

from service.desk import Desk

THREADS, EACH = 4, 3
LONG = 200_000
"""More than a pipe holds: such a line is written in several pieces."""


def test_lines_of_several_threads_are_never_mixed(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text("{}")
    out, into = os.pipe()
    desk = Desk(tmp_path, {"key": "00", "database_url": "", "home": "."}, into)

    def work(number: int) -> None:
        for _ in range(EACH):
            desk.tell("said", letters=str(number) * LONG)

    tellers = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(THREADS)]
    for one in tellers:
        one.start()
    with os.fdopen(out) as pipe:
        lines = [json.loads(next(pipe)) for _ in range(THREADS * EACH)]
    for one in tellers:
        one.join(10)
    os.close(into)
    assert sorted(line["letters"] for line in lines) == sorted(
        str(number) * LONG for number in range(THREADS) for _ in range(EACH)
    )
