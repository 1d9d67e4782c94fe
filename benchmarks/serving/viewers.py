"""Open pages of the dashboard, in a process of their own: each listens to its events and asks for itself again when told.

They do what a browser's page does (one connection for events, at most one new look in two seconds) and draw nothing:
browsers stand on other machines. Reads an order as JSON on standard input (the
port; of each page its path and that of its events) and ends when that closes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from benchmarks.serving.servers import ROOT, Server

THROTTLE_SECONDS = 2.0
PAGES = ("", "/monitoring", "/data", "/runs")
"""Those of a project; the overview is open as well."""


class Viewers:
    """Pages under way; ``looks`` are how often they were asked for again once they have ended."""

    def __init__(self, server: Server, pages: Sequence[tuple[str, str]]) -> None:
        self.looks = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serving.viewers"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"port": server.port, "pages": list(pages)}) + "\n")
        self._process.stdin.flush()
        if self._process.stdout.readline().strip() != "open":
            raise RuntimeError("the pages could not be opened")

    def end(self) -> None:
        out, _ = self._process.communicate()
        if self._process.returncode:
            raise RuntimeError("an open page failed")
        self.looks = int(out)


@contextmanager
def watched(server: Server, project: str) -> Iterator[Viewers]:
    """Five open pages: the overview and four of the project."""
    root = f"/projects/{project}"
    viewers = Viewers(
        server, [("/projects", "/changes"), *((f"{root}{page}", f"{root}/changes") for page in PAGES)]
    )
    try:
        yield viewers
    finally:
        viewers.end()


class _Page(threading.Thread):
    def __init__(self, http: httpx.Client, path: str, events: str) -> None:
        super().__init__(daemon=True)
        self._http, self._path, self._events = http, path, events
        self.looks = 0
        self.fault: str | None = None

    def look(self) -> None:
        answer = self._http.get(self._path, headers={"accept": "text/html", "hx-request": "true"})
        answer.raise_for_status()
        self.looks += 1

    def run(self) -> None:
        looked = 0.0
        try:
            with self._http.stream("GET", self._events, timeout=None) as stream:
                for line in stream.iter_lines():
                    if line == "event: change" and time.monotonic() - looked >= THROTTLE_SECONDS:
                        looked = time.monotonic()
                        self.look()
        except httpx.HTTPError as error:
            self.fault = repr(error)


def main() -> None:
    order: dict[str, Any] = json.loads(sys.stdin.readline())
    http = httpx.Client(base_url=f"http://127.0.0.1:{order['port']}", timeout=30)
    pages = [_Page(http, path, events) for path, events in order["pages"]]
    for page in pages:
        page.look()
        page.start()
    print("open", flush=True)
    sys.stdin.read()
    faults = [page.fault for page in pages if page.fault]
    if faults:
        raise SystemExit(faults[0])
    print(sum(page.looks for page in pages) - len(pages), flush=True)


if __name__ == "__main__":
    main()
