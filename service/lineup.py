"""How a process becomes a well-behaved child: low priority, first to go when memory runs out, gone with its parent."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_AUTOGROUP = Path("/proc/self/autogroup")
_TRIES = 10
_BETWEEN_TRIES = 0.1
"""The kernel lets an unprivileged process set a group's niceness once in a tenth of a second, on the whole machine."""


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
    _lower_session(niceness)


def _lower_session(niceness: int) -> None:
    """Lower the session too, where this process leads one and the kernel groups tasks by session (autogroup, see
    sched(7)): it then weighs sessions against each other by theirs, and a process's own niceness counts within only."""
    if os.getsid(0) != os.getpid():
        return
    for _ in range(_TRIES):
        try:
            _AUTOGROUP.write_text(str(niceness))
        except OSError as error:
            if error.errno != errno.EAGAIN:
                return  # such a kernel has no groups, or none that may be changed
            time.sleep(_BETWEEN_TRIES)
        else:
            return
