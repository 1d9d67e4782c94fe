"""The blocks of a documentation page, and how they are run: one shell and one Python for a whole page, in one folder.

A block in ``sh``, ``python`` or ``http`` is run as it stands. One that can't be is marked by the line before it, with
the reason::

    <!-- not run: needs a cluster -->

A page that goes on where another ended says so once: ``<!-- goes on from: how-to/bring-your-csv.md -->``.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from live_server import free_port

ROOT = Path(__file__).parents[2]
RUNNABLE = ("sh", "python", "http")
ADDRESS = "http://127.0.0.1:8000"
"""What pages call the server; the tests' own has another port."""
OWN_PORT = "8010"
"""Where a page starts a server of its own; the tests give it a free port."""
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r"<!-- not run: ((?:(?!-->).)+) -->\s*\Z", re.DOTALL)
_GOES_ON = re.compile(r"<!-- goes on from: (\S+) -->")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    language: str
    text: str
    line: int
    not_run: str | None


def pages() -> dict[str, Path]:
    """README and every page of the documentation, by the name used in the tests."""
    found = {"README.md": ROOT / "README.md", "CONTRIBUTING.md": ROOT / "CONTRIBUTING.md"}
    docs = ROOT / "docs"
    return found | {str(path.relative_to(docs)): path for path in sorted(docs.rglob("*.md"))}


def blocks(page: str) -> list[Block]:
    found = []
    for fence in _FENCE.finditer(page):
        reason = _NOT_RUN.search(page, 0, fence.start())
        found.append(
            Block(
                language=fence[1],
                text=fence[2],
                line=page[: fence.start()].count("\n") + 2,
                not_run=" ".join(reason[1].split()) if reason else None,
            )
        )
    return found


def goes_on_from(page: str) -> str | None:
    found = _GOES_ON.search(page)
    return found[1] if found else None


def _programs(folder: Path) -> dict[str, str]:
    """What a reader's terminal has: ``incumbent`` and ``python`` on the path, and as ``.venv/bin/…``; and in the
    folder the benchmarks, as in a clone."""
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    for name, called in (("incumbent", "-m service.cli"), ("python", "")):
        command = programs / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" {called} "$@"\n')
        command.chmod(0o755)
    if not (folder / "benchmarks").exists():
        (folder / "benchmarks").symlink_to(ROOT / "benchmarks")
    return {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "COLUMNS": "160"}


class Shell:
    """One terminal. What a block sets or leaves running is there for the next one, and ends with the shell."""

    def __init__(self, folder: Path, surroundings: Mapping[str, str]) -> None:
        self._folder = folder
        self._said = folder / ".said"
        self._said.unlink(missing_ok=True)
        with self._said.open("ab") as said:
            self._process = subprocess.Popen(
                ["bash", "--norc", "-eu"],
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=dict(surroundings),
                start_new_session=True,
            )

    def run(self, text: str, where: str, within: float) -> None:
        """Raises AssertionError, with what was printed, when a command of the block fails or takes too long."""
        script, done = self._folder / ".block", self._folder / ".done"
        script.write_text(text)
        done.unlink(missing_ok=True)
        before = self._said.stat().st_size
        assert self._process.stdin is not None
        self._process.stdin.write(b". ./.block </dev/null\n: > .done\n")
        self._process.stdin.flush()
        end = time.monotonic() + within
        while not done.exists():
            ended = self._process.poll() is not None
            if ended or time.monotonic() > end:
                heard = self._said.read_bytes()[before:].decode(errors="replace")[-4000:]
                why = "failed" if ended else f"did not end within {within} s"
                raise AssertionError(f"{where} {why}:\n{text}\n--- it said:\n{heard}")
            time.sleep(0.02)

    def close(self) -> None:
        assert self._process.stdin is not None
        for patience, signalled in ((20, signal.SIGTERM), (5, signal.SIGKILL)):
            try:
                os.killpg(self._process.pid, signalled)
                self._process.wait(timeout=patience)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self._process.stdin.close()


class Reader:
    """Somebody with one folder who pastes one block of a page after the other, and page after page."""

    def __init__(self, folder: Path, url: str, surroundings: Mapping[str, str]) -> None:
        self.folder = folder
        self._url = url
        self._surroundings = {**surroundings, **_programs(folder)}
        self._read: set[str] = set()

    def read(self, name: str, text: str, *, within: float = 150) -> None:
        """Runs every block of the page that is meant to be, the first time. Raises AssertionError with what was
        printed."""
        if name in self._read:
            return
        self._read.add(name)
        names: dict[str, object] = {"__name__": "docs"}
        port = free_port()
        shell = Shell(self.folder, self._surroundings)
        try:
            for block in blocks(text):
                if block.language not in RUNNABLE or block.not_run is not None:
                    continue
                here, where = block.text.replace(ADDRESS, self._url), f"{name}:{block.line}"
                here = here.replace(OWN_PORT, str(port))
                if block.language == "sh":
                    shell.run(here, where, within)
                elif block.language == "python":
                    exec(compile("\n" * (block.line - 1) + here, name, "exec"), names)
                else:
                    ask(self._url, here, where)
        finally:
            shell.close()


def request(text: str) -> tuple[str, str, Any]:
    """Method, path and JSON body of a block in ``http``."""
    head, _, body = text.strip().partition("\n")
    method, path = head.split()[:2]
    return method, path, json.loads(body) if body.strip() else None


def ask(url: str, text: str, where: str) -> None:
    method, path, body = request(text)
    answer = httpx.request(method, url + path, json=body, timeout=60)
    assert answer.is_success, f"{where}: {answer.status_code} {answer.text}"


def known_calls(document: Mapping[str, Any]) -> list[tuple[str, re.Pattern[str]]]:
    """Method and path pattern of every call that the OpenAPI document lists."""
    return [
        (method.upper(), re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) + r"\Z"))
        for path, calls in document["paths"].items()
        for method in calls
    ]
