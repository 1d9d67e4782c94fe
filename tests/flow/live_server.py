"""A real server: another process, a real socket, a home of its own, and a real kill -9."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx


class Server:
    """``incumbent serve`` on a home folder. May be killed and started again on the same home."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self.port = free_port()
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(base_url=self.url, timeout=60)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, within: float = 60) -> Server:
        environment = {
            **os.environ,
            "INCUMBENT_TICK_SECONDS": "0.5",
            "INCUMBENT_LEASE_SECONDS": "4",
            "INCUMBENT_FLUSH_SECONDS": "0.5",
            **self.settings,
        }
        with (self.home.parent / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "service.cli",
                    "serve",
                    "--port",
                    str(self.port),
                    "--home",
                    str(self.home),
                ],
                env=environment,
                stdout=log,
                stderr=log,
            )
        self.wait_for(self._ready, within=within)
        return self

    def kill(self) -> None:
        """kill -9: nothing is flushed, closed or told."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def get(self, path: str, **params: Any) -> Any:
        answer = self.http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, expect: int, **request: Any) -> Any:
        answer = self.http.post(path, **request)
        assert answer.status_code == expect, answer.text
        return answer.json()

    def wait_for(self, condition: Callable[[], Any], *, within: float = 60) -> Any:
        """What ``condition`` answers once it is true; fails with the server's log when time runs out."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            answer = condition()
            if answer:
                return answer
            time.sleep(0.1)
        log = (self.home.parent / "server.log").read_text()[-4000:]
        raise AssertionError(f"not within {within} s: {condition}\n{log}")

    def ended_run(self, project: str, number: int, *, within: float = 180) -> Any:
        def ended() -> Any:
            answer = self.http.get(f"/v1/projects/{project}/runs/{number}")
            if answer.status_code != 200:
                return None
            run = answer.json()
            return run if run["status"] in ("completed", "failed", "cancelled") else None

        return self.wait_for(ended, within=within)

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.home.parent / "server.log").read_text()[-4000:]
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
