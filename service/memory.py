"""How the serving process takes memory from the system: little held back, for it lives long and has many threads."""

from __future__ import annotations

import ctypes
import sys

import pyarrow as pa

_M_ARENA_MAX = -8
_ARENAS = 2


def keep_little() -> None:
    """To be called once, before threads start. Arrow takes its memory from the C library, which gives it back, and that
    library keeps two arenas for all threads instead of eight for each core. Elsewhere than on Linux only the first."""
    pa.set_memory_pool(pa.system_memory_pool())
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
