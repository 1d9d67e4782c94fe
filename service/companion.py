"""A process beside the server that works on what it is asked, one thing after the other, and has its own interpreter."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time

from service.frames import write_frame


class Companion:
    """``python -m module PID-OF-THE-SERVER`` and its two pipes. Used by one thread; :meth:`end` by any.

    The process dies with the thread that makes this object (see :func:`service.lineup.fall_in`).
    """

    def __init__(self, module: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
            start_new_session=True,  # Ctrl-C is the server's to answer
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def tell(self, message: bytes) -> None:
        """Raises OSError when the process has ended."""
        assert self._process.stdin is not None
        write_frame(self._process.stdin, message)

    def hear(self, within: float) -> bytes:
        """Its next message. Raises TimeoutError after ``within`` seconds, or OSError when the process has ended."""
        end = time.monotonic() + within
        length = int.from_bytes(self._read(8, end), "big")
        return self._read(length, end)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self, length: int, end: float) -> bytes:
        stream = self._process.stdout
        assert stream is not None
        found = bytearray()
        while len(found) < length:
            if not select.select([stream], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError
            part = os.read(stream.fileno(), length - len(found))
            if not part:
                raise BrokenPipeError
            found += part
        return bytes(found)
