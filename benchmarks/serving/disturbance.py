"""The tail while a search runs, champions change or people look, against that of a quiet server at the same load.

The load is half of what 64 clients get from it when each asks again at once. Calls have three rows, and every row of
every answer is compared with what the version that the answer names says of it.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil

from benchmarks.serving import house, material
from benchmarks.serving.contestants import BY_NAME, start_ours
from benchmarks.serving.servers import Server
from benchmarks.serving.shots import Gun, Shot
from benchmarks.serving.viewers import watched

NAME = house.COMPILED
CONNECTIONS = 64
ROWS = 3
BODIES = 256
BETWEEN_SWAPS = 0.5
VERSIONS = 6
"""More than a server keeps at hand, so that each swap in turn has to load one."""
SEARCH_STARTS_WITHIN = 90


class Quiet:
    """A server with some versions of a model, asked at half of its speed."""

    def __init__(self, folder: Path, *, versions: int = 1) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        made = house.House(folder / "home")
        project = made.add_project(NAME, with_rows=True)
        rows = material.rows(ROWS * BODIES, seed=4)
        calls = [rows[at : at + ROWS] for at in range(0, len(rows), ROWS)]
        self._expected: list[dict[str, list[float]]] = [{} for _ in calls]
        for place in reversed(range(versions)):
            pipeline = made.fit(n_estimators=material.TREES["n_estimators"] - 10 * place)
            version = str(made.add_model(project, pipeline))
            shares = made.answers(pipeline, rows)
            for at, answers in enumerate(self._expected):
                answers[version] = shares[at * ROWS : (at + 1) * ROWS]
        made.close()
        self._gun = Gun(folder, "three", [BY_NAME["incumbent"].request(call) for call in calls])
        self.server = start_ours(folder / "home", log=folder / "log")
        self.server.wait()
        self.http = httpx.Client(base_url=f"{self.server.url}/v1/projects/{NAME}", timeout=60)
        self.rate = 0.0
        self._versions, self._champion = versions, versions

    def swap(self) -> None:
        """Promotes the version that has not been champion for the longest time."""
        self._champion = self._champion % self._versions + 1
        self.post(f"/models/{self._champion}/promote")

    def stop(self) -> None:
        self.http.close()
        self.server.stop()

    def find_rate(self, seconds: float) -> None:
        """Half of its speed with as many clients that ask again at once."""
        for _ in range(2):  # the first warms it up
            most = self._gun.fire(self.server, connections=CONNECTIONS, seconds=seconds)
        self.rate = most["per_second"] / 2

    def load(self, seconds: float) -> Shot:
        order = {"rate": self.rate, "expected": self._expected, "warm": 0.5}
        return self._gun.begin(self.server, connections=CONNECTIONS, seconds=seconds, **order)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.http.post(path, json=body or None)
        if not answer.is_success:
            raise RuntimeError(f"{path} was answered with {answer.status_code}: {answer.text}")
        found: dict[str, Any] = answer.json()
        return found


def during_swaps(folder: Path, *, seconds: float, rounds: int, requests: int | None) -> dict[str, Any]:
    """Champions promoted in turn, twice a second, for so many seconds (or requests in all)."""

    quiet = Quiet(folder, versions=VERSIONS)
    try:
        quiet.find_rate(min(seconds, 3))
        lasting = max(seconds, requests / quiet.rate / rounds) if requests else seconds

        def swapping(quiet: Quiet, shot: Shot, counted: Counter[str]) -> None:
            end = time.monotonic() + lasting
            while shot.under_way and time.monotonic() < end:  # later answers are only looked at
                quiet.swap()
                counted["promotions"] += 1
                time.sleep(BETWEEN_SWAPS)

        return _compare(quiet, rounds, seconds, lasting, swapping, _nothing)
    finally:
        quiet.stop()


def during_search(folder: Path, *, seconds: float, rounds: int) -> dict[str, Any]:
    """A real run with both engines: the load begins once a search child is at work."""

    @contextmanager
    def searching(quiet: Quiet, counted: Counter[str]) -> Iterator[None]:
        run = quiet.post("/runs", budget_seconds=max(30, int(seconds * 3)), reason="a benchmark")["run"]
        try:
            _await_search(quiet.server)
            time.sleep(1)
            yield
            if not _searching(quiet.server):
                raise RuntimeError("the search had ended before the measurement")
            counted["searches"] += 1
        finally:
            quiet.http.post(f"/runs/{run}/cancel")
            _await(lambda: not _searching(quiet.server), 60, "the search did not end when it was cancelled")

    quiet = Quiet(folder)
    try:
        quiet.find_rate(min(seconds, 3))
        return _compare(quiet, rounds, seconds, seconds, lambda *_: None, searching)
    finally:
        quiet.stop()


def during_views(folder: Path, *, seconds: float, rounds: int) -> dict[str, Any]:
    """Five open pages of the dashboard that look again whenever something has changed."""

    @contextmanager
    def viewed(quiet: Quiet, counted: Counter[str]) -> Iterator[None]:
        with watched(quiet.server, NAME) as viewers:
            yield
        counted["looks"] += viewers.looks

    quiet = Quiet(folder)
    try:
        quiet.find_rate(min(seconds, 3))
        return _compare(quiet, rounds, seconds, seconds, lambda *_: None, viewed)
    finally:
        quiet.stop()


@contextmanager
def _nothing(quiet: Quiet, counted: Counter[str]) -> Iterator[None]:
    yield


def _compare(
    quiet: Quiet,
    rounds: int,
    seconds: float,
    lasting: float,
    meanwhile: Callable[[Quiet, Shot, Counter[str]], None],
    around: Any,
) -> dict[str, Any]:
    """Quiet and disturbed windows in turn, quiet ones first and last."""
    calm, disturbed, counted = [quiet.load(seconds).end()], [], Counter[str]()
    for _ in range(rounds):
        with around(quiet, counted):
            shot = quiet.load(lasting)
            meanwhile(quiet, shot, counted)
            disturbed.append(shot.end())
        calm.append(quiet.load(seconds).end())
    faults: Counter[str] = Counter()
    for shot_ in (*calm, *disturbed):
        faults.update(shot_["faults"])
    return {
        "rate": quiet.rate,
        "quiet_p50_ms": median(one["p50_ms"] for one in calm),
        "quiet_p99_ms": median(one["p99_ms"] for one in calm),
        "p50_ms": median(one["p50_ms"] for one in disturbed),
        "p99_ms": median(one["p99_ms"] for one in disturbed),
        "max_ms": max(one["max_ms"] for one in disturbed),
        "requests": sum(one["answered_in_all"] for one in disturbed),
        "failed": sum(one["failed"] for one in (*calm, *disturbed)),
        "faults": dict(faults),
        "first_fault": next((one["first_fault"] for one in (*calm, *disturbed) if one["first_fault"]), ""),
        "versions": dict(sum((Counter(one["versions"]) for one in disturbed), Counter())),
        "quiet": calm,
        "disturbed": disturbed,
        **counted,
    }


def _await_search(server: Server) -> None:
    _await(lambda: _searching(server), SEARCH_STARTS_WITHIN, "no search began")


def _searching(server: Server) -> bool:
    """Whether a child of the server is at a run's search."""
    for child in psutil.Process(server.pid).children(recursive=True):
        try:
            if any(word.startswith("search-") for word in child.cmdline()):
                return True
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return False


def _await(condition: Callable[[], bool], within: float, otherwise: str) -> None:
    end = time.monotonic() + within
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(otherwise)
        time.sleep(0.1)
