"""What serving costs at rest: memory with three projects loaded, and the time from start to the first answer."""

from __future__ import annotations

import http.client
import shutil
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.serving import house, material
from benchmarks.serving.contestants import BY_NAME, start_ours
from benchmarks.serving.servers import Server

PROJECTS = ("first", "second", "third")
CALLS = 500
START_WITHIN = 60


def measure(folder: Path, *, starts: int) -> dict[str, Any]:
    """``first_answer_seconds`` from the start of the process, and ``resident_mib`` after calls to all projects."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    made = house.House(folder / "home")
    for name in PROJECTS:
        made.add_model(made.add_project(name), made.fit())
    made.close()
    body = BY_NAME["incumbent"].body(material.rows(1, seed=5))
    first, resident = [], []
    for _ in range(starts):
        began = time.perf_counter()
        server = start_ours(folder / "home", log=folder / "log")
        try:
            _first_answer(server, body)
            first.append(time.perf_counter() - began)
            for name in PROJECTS:
                _call(server, name, body)
            time.sleep(2)  # a flush of the log and a tick of the scheduler are part of it
            resident.append(server.resident_mib(children=False))
        finally:
            server.stop()
    return {
        "first_answer_seconds": median(first),
        "resident_mib": max(resident),
        "projects": len(PROJECTS),
        "starts": starts,
    }


def _first_answer(server: Server, body: bytes) -> None:
    end = time.monotonic() + START_WITHIN
    while time.monotonic() < end:
        try:
            if _post(server, PROJECTS[0], body) == 200:
                return
        except OSError:
            pass
        time.sleep(0.01)
    raise RuntimeError(f"no answer within {START_WITHIN} s")


def _call(server: Server, name: str, body: bytes) -> None:
    for _ in range(CALLS):
        status = _post(server, name, body)
        if status != 200:
            raise RuntimeError(f"{name} answered {status}")


def _post(server: Server, name: str, body: bytes) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(
            "POST", f"/v1/projects/{name}/predict", body=body, headers={"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()
