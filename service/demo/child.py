"""The demo's server: a real ``incumbent serve`` in a process of its own, which never outlives the demo."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from service.commands.console import CommandError

START_SECONDS = 60
STOP_SECONDS = 15
_PR_SET_PDEATHSIG = 1
QUICK = {"INCUMBENT_TICK_SECONDS": "0.5", "INCUMBENT_POLL_SECONDS": "0.25", "DO_NOT_TRACK": "1"}
"""The demo squeezes a year into minutes, so the service looks at its triggers more often than it would."""


@contextlib.contextmanager
def server(home: Path, port: int) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Starts the server and yields its address and process; stops it in the end, by force if need be.

    Raises CommandError with the end of its log when it does not come up. Its log is ``home/serve.log``.
    """
    home.mkdir(parents=True, exist_ok=True)
    log = home / "serve.log"
    command = [
        sys.executable,
        "-m",
        "service.cli",
        "serve",
        "--json",
        "--home",
        str(home),
        "--port",
        str(port),
    ]
    with log.open("w") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,  # Ctrl-C is for the demo, which then stops the server in good order
            preexec_fn=_end_with_parent,
            env={**os.environ, **QUICK},
        )
    try:
        yield _address(process, log), process
    finally:
        _stop(process)


def _end_with_parent() -> None:
    """Runs in the child before it becomes the server: the kernel ends it should the demo be killed."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _address(process: subprocess.Popen[str], log: Path) -> str:
    """What the server says once it answers: a JSON document of a few lines."""
    assert process.stdout is not None
    timer = threading.Timer(START_SECONDS, process.kill)
    timer.start()
    said = ""
    try:
        for line in process.stdout:
            said += line
            with contextlib.suppress(ValueError):
                return str(json.loads(said)["url"])
    finally:
        timer.cancel()
    end = log.read_text().strip().splitlines()
    raise CommandError(
        f"The server did not start: {end[-1] if end else 'it said nothing'}", remedy=f"Its log is {log}."
    )


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # whoever is left of its session
    process.wait()
