"""All servers, all cases, round after round: each server has its turn before any has a second one."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.serving import material
from benchmarks.serving.contestants import Contestant, Rows
from benchmarks.serving.servers import Server
from benchmarks.serving.shots import CASES, Case, Gun

SAME = 1e-6
CHECKED_ROWS = 200
Figures = dict[str, dict[str, list[dict[str, Any]]]]
"""By case and by server: one measurement a round."""


class Field:
    """The servers that could be started, held still until their turn."""

    def __init__(
        self, contestants: Sequence[Contestant], work: Path, expected: Callable[[Rows], list[float]]
    ) -> None:
        self.running: dict[str, tuple[Contestant, Server]] = {}
        self.absent: dict[str, str] = {}
        self._work = work
        rows = material.rows(CHECKED_ROWS, seed=1)
        for contestant in contestants:
            try:
                server = _start(contestant, work)
            except (
                Exception
            ) as error:  # one that can't be had here is missing from the table, with the reason
                self._lacks(contestant.name, error)
                continue
            try:
                _check(contestant, server, rows, expected(rows))
            except Exception as error:
                server.stop()
                self._lacks(contestant.name, error)
                continue
            server.hold()
            self.running[contestant.name] = (contestant, server)

    def measure(self, cases: Sequence[Case], *, rounds: int, seconds: float) -> Figures:
        figures: Figures = defaultdict(lambda: defaultdict(list))
        guns = {case.name: self._guns(case) for case in cases}
        for number in range(rounds):
            for case in cases:
                for name, (_, server) in self.running.items():
                    server.go()
                    shot = guns[case.name][name].fire(server, connections=case.connections, seconds=seconds)
                    server.hold()
                    figures[case.name][name].append(shot)
                    _say(
                        f"round {number + 1}/{rounds}  {case.told:28}  {name:24} {shot['per_second']:9,.0f}/s"
                    )
        return {case: dict(shots) for case, shots in figures.items()}

    def stop(self) -> None:
        for _, server in self.running.values():
            server.stop()

    def _guns(self, case: Case) -> dict[str, Gun]:
        rows = material.rows(case.rows * case.bodies, seed=2)
        calls = [rows[at : at + case.rows] for at in range(0, len(rows), case.rows)]
        size = self._answer_size(calls[0])
        folder = self._work / "requests"
        return {
            name: Gun(
                folder, f"{case.name}-{slug(name)}", [contestant.request(call, size=size) for call in calls]
            )
            for name, (contestant, _) in self.running.items()
        }

    def _answer_size(self, rows: Rows) -> int:
        """Bytes of our answer to such a call; a plain guess where we are not among the servers."""
        if "incumbent" not in self.running:
            return 150 * len(rows)
        contestant, server = self.running["incumbent"]
        server.go()
        answer = httpx.post(server.url + contestant.path, content=contestant.body(rows), timeout=60)
        server.hold()
        return len(answer.content)

    def _lacks(self, name: str, error: Exception) -> None:
        self.absent[name] = str(error).strip()
        _say(f"{name} is not in this run: {error}")


def middle(shots: Sequence[dict[str, Any]], figure: str) -> float:
    """The median over the rounds."""
    return median(shot[figure] for shot in shots)


def slug(name: str) -> str:
    return name.replace(", ", "-").replace(" ", "-")


def _start(contestant: Contestant, work: Path) -> Server:
    _say(f"starting {contestant.name}")
    server = contestant.start(work / "servers" / slug(contestant.name))
    try:
        server.wait()
    except Exception:
        server.stop()
        raise
    return server


def _check(contestant: Contestant, server: Server, rows: Rows, expected: list[float]) -> None:
    """Who serves another model is not compared."""
    if contestant.shares is None:
        return
    media = {"Content-Type": "application/json"}
    answer = httpx.post(
        server.url + contestant.path, content=contestant.body(rows), headers=media, timeout=60
    )
    if answer.status_code != 200:
        raise RuntimeError(f"it answered {answer.status_code}: {answer.text[:500]}")
    found = contestant.shares(answer.content)
    gap = max(abs(one - other) for one, other in zip(found, expected, strict=True))
    if gap > SAME:
        raise RuntimeError(f"its answers differ by {gap:.2g} from the pipeline's")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


__all__ = ["CASES", "Field", "Figures", "middle", "slug"]
