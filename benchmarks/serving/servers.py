"""A server under measurement: started, asked, held still while others are measured, ended with all its children."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[2]
# One model thread each, as everyone here shares the same few cores; no phoning home; nothing cached by locale.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "PYTHONPATH": str(ROOT),
    "DO_NOT_TRACK": "1",
    "BENTOML_DO_NOT_TRACK": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


class Server:
    """One process and its children, on a port of 127.0.0.1."""

    def __init__(
        self, name: str, command: Sequence[str], *, port: int, ready: str, log: Path, **environment: str
    ) -> None:
        self.name = name
        self.port = port
        self._log = log
        self._ready = ready
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **ENVIRONMENT, **environment},
                cwd=ROOT,
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, *, within: float = 120) -> None:
        """Until it says that it is ready. Raises RuntimeError with the end of its log when it does not."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self._process.returncode}:\n{self._told()}")
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(self.url + self._ready, timeout=5).status_code == 200:
                    return
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} was not ready within {within:.0f} s:\n{self._told()}")

    def hold(self) -> None:
        """Stands still: what it polls or ticks in idleness costs the others nothing."""
        for process in self._all():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()

    def go(self) -> None:
        for process in self._all():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def cpu_seconds(self) -> float:
        """Processor time that it and its children have used."""
        used = 0.0
        for process in self._all():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used += times.user + times.system
        return used

    def resident_mib(self, *, children: bool = True) -> float:
        """Resident memory, in MiB."""
        found = 0
        for process in self._all() if children else [psutil.Process(self.pid)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                found += process.memory_info().rss
        return found / 2**20

    def stop(self) -> None:
        """Ends it and all it started; those that do not go within ten seconds are killed."""
        self.go()
        family = self._all()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()

    def _all(self) -> list[psutil.Process]:
        try:
            process = psutil.Process(self._process.pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _told(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
    """A command to its end. Raises RuntimeError with the end of its log when it fails."""
    with log.open("ab") as file:
        ended = subprocess.run(
            command,
            env={**os.environ, **ENVIRONMENT, **(environment or {})},
            cwd=ROOT,
            stdout=file,
            stderr=file,
        )
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{log.read_text(errors='replace')[-3000:]}")
