"""One piece of work at a time beside the event loop, in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from service.rests import BESIDE

logger = logging.getLogger(__name__)

JOIN_SECONDS = 15.0


class Beside:
    """Work that nobody waits for: it rests beside calls, and what it raises is logged. For use by one thread."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether the last piece of work is still under way."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, name: str, work: Callable[[], object], *, failed: str) -> None:
        """Start ``work`` in a thread called ``name``; ``failed`` is the message that is logged where it raises. It may
        not be asked for while the last is under way."""
        assert not self.busy

        def carry_out() -> None:
            BESIDE.begin()
            try:
                work()
            except Exception:
                logger.exception("%s", failed)

        self._thread = threading.Thread(target=carry_out, name=name, daemon=True)
        self._thread.start()

    def join(self, timeout: float = JOIN_SECONDS) -> None:
        """Wait for the work under way, if there is any, for so many seconds at most."""
        if self._thread is not None:
            self._thread.join(timeout=timeout)
