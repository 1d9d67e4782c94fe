"""How a process becomes a well-behaved child: low priority, first to go when memory runs out, gone with its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def fall_in(parent: int, *, niceness: int = 10) -> None:
    """Lower this process's priority and tie its life to its parent's.

    ``parent`` is the process id that started it; if that one is gone already, this process ends at once.
    Outside Linux the kernel offers no death signal, and the parent's own clean-up has to do.
    """
    os.nice(niceness)
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    Path("/proc/self/oom_score_adj").write_text("800")
