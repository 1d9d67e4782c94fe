"""A newcomer's way, timed: clone, install, serve, and a CSV of one's own answered; then seven files that are wrong.

    python benchmarks/newcomer.py             # clones this repository and installs it into an empty folder: minutes
    python benchmarks/newcomer.py --quick     # with this Python, in seconds: from `incumbent serve` on

Only the machine's time is counted. What a person adds is reading the README and typing three commands.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEADER = ("rented_at", "bike", "station", "temperature", "rain", "member", "minutes", "returned_late")


@dataclass(slots=True, kw_only=True)
class Walk:
    """Commands in one folder, each with its seconds and the last line it said."""

    folder: Path
    incumbent: list[str]
    surroundings: dict[str, str]
    lines: list[tuple[str, str, float, str]] = field(default_factory=list)

    def step(self, counted: str, shown: str, do: Callable[[], str]) -> None:
        began = time.monotonic()
        said = do()
        self.lines.append((counted, shown, time.monotonic() - began, said.strip().replace("|", "/")))

    def run(self, command: Sequence[str], *, expect: int = 0) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.surroundings, capture_output=True, text=True, check=False
        )
        if done.returncode != expect:
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        told = (done.stderr if expect else done.stdout).strip()
        return told.splitlines()[-1] if told else ""

    def ask(self, *words: str, expect: int = 0) -> str:
        return self.run([*self.incumbent, *words], expect=expect)


def rentals(rows: int) -> list[list[object]]:
    """Bicycles that come back late or not: a table that is in no package and no example."""
    draw = random.Random(11)
    table: list[list[object]] = []
    for number in range(rows):
        temperature, rain = round(draw.gauss(14, 8), 1), draw.random() < 0.3
        member, minutes = draw.choice(["yes", "no"]), draw.randint(5, 240)
        tends = -1.5 + 0.012 * minutes + (0.9 if member == "no" else 0) - (1.2 if rain else 0)
        late = draw.random() < 1 / (1 + math.exp(-tends))
        day = f"2026-{1 + number * 9 // rows:02}-{1 + number % 28:02}T{draw.randint(6, 22):02}:00:00"
        station = draw.choice(["Harbour", "Museum", "University", "Market"])
        table.append(
            [
                day,
                draw.randint(1, 400),
                station,
                temperature,
                rain,
                member,
                minutes,
                "late" if late else "in time",
            ]
        )
    return sorted(table, key=lambda row: str(row[0]))


def write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]], delimiter: str = ",") -> None:
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])


def bad_files(folder: Path, rows: list[list[object]]) -> Iterator[tuple[str, str, str]]:
    """What is wrong, the file, and the target that is asked for."""
    write(folder / "target.csv", HEADER, rows)
    yield "another target", "target.csv", "returned_lat"
    commas = [
        [str(cell).replace(".", ",") if at == 3 else cell for at, cell in enumerate(row)] for row in rows
    ]
    write(folder / "commas.csv", HEADER, commas, ";")
    yield "semicolons and decimal commas", "commas.csv", HEADER[-1]
    with zipfile.ZipFile(folder / "book.xlsx", "w") as book:
        book.writestr("xl/workbook.xml", "<workbook/>")
    yield "an Excel workbook", "book.xlsx", HEADER[-1]
    write(folder / "twice.csv", [*HEADER[:2], "bike", *HEADER[3:]], rows)
    yield "a column twice", "twice.csv", HEADER[-1]
    (folder / "empty.csv").write_bytes(b"")
    yield "an empty file", "empty.csv", HEADER[-1]
    write(folder / "header.csv", HEADER, [])
    yield "a header alone", "header.csv", HEADER[-1]
    write(folder / "one.csv", HEADER, [[*row[:-1], "late"] for row in rows])
    yield "one and the same answer", "one.csv", HEADER[-1]


@contextmanager
def serving(walk: Walk, port: int) -> Iterator[None]:
    command = [*walk.incumbent, "serve", "--port", str(port)]
    with subprocess.Popen(
        command,
        cwd=walk.folder,
        env=walk.surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        assert server.stdout is not None
        walk.step("doing", "incumbent serve", server.stdout.readline)
        try:
            yield
        finally:
            server.terminate()


def installed(walk: Walk) -> None:
    """A clone, and its `.venv` as `make serve` makes it."""
    walk.step("install", "git clone", lambda: walk.run(["git", "clone", "--quiet", f"file://{ROOT}", "."]))
    walk.step("install", "make install", lambda: walk.run(["make", "install"]))
    size = walk.run(["du", "-sm", ".venv"]).split()[0]
    walk.lines[-1] = (*walk.lines[-1][:3], f"{size} MB in .venv")


def walked(walk: Walk, port: int) -> None:
    rows = rentals(3_000)
    write(walk.folder / "rentals.csv", HEADER, rows[:-5])
    write(walk.folder / "today.csv", HEADER[:-1], [row[:-1] for row in rows[-5:]])
    with serving(walk, port):
        for words in (
            ("project", "create", "bikes", "--target", HEADER[-1], "--time-column", HEADER[0]),
            ("upload", "bikes", "rentals.csv", "--watch"),
            ("predict", "bikes", "today.csv"),
        ):
            walk.step("doing", f"incumbent {' '.join(words)}", lambda words=words: walk.ask(*words))  # type: ignore[misc]
        for number, (wrong, file, target) in enumerate(bad_files(walk.folder, rows[:500])):
            walk.ask("project", "create", f"wrong-{number}", "--target", target)
            refuse = ("upload", f"wrong-{number}", file)
            walk.step("refused", wrong, lambda words=refuse: walk.ask(*words, expect=4))  # type: ignore[misc]


def shown(walk: Walk) -> str:
    doing = sum(seconds for counted, _, seconds, _ in walk.lines if counted == "doing")
    lines = ["| | step | seconds | it says |", "|---|---|---|---|"]
    for counted, step, seconds, said in walk.lines:
        what = step if counted == "refused" else f"`{step}`"
        lines.append(f"| {counted} | {what} | {seconds:.1f} | {said} |")
    return "\n".join([*lines, "", f"From `incumbent serve` to the first answers: {doing:.1f} s of doing."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without clone and installation")
    parser.add_argument("--work", type=Path, help="an empty folder to work in; else one that is removed")
    chosen = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="newcomer-") as made:
        folder = chosen.work or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        surroundings = {
            name: value for name, value in os.environ.items() if not name.startswith("INCUMBENT_")
        }
        surroundings |= {"INCUMBENT_URL": f"http://127.0.0.1:{port}", "INCUMBENT_HOME": str(folder / "home")}
        command = [sys.executable, "-m", "service.cli"] if chosen.quick else [".venv/bin/incumbent"]
        if chosen.quick:
            surroundings["PYTHONPATH"] = str(ROOT)
        walk = Walk(folder=folder, incumbent=command, surroundings=surroundings)
        if not chosen.quick:
            installed(walk)
        walked(walk, port)
        sys.stdout.write(shown(walk) + "\n")


if __name__ == "__main__":
    main()
