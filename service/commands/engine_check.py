"""Whether the installed engines load, each tried in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from automl.engines import catalogue
from service.commands.finding import Finding

_SECONDS = 90.0
_AT_ONCE = 2
_LOAD = "import sys; from automl.engines import engine; engine(sys.argv[1])"


def engines() -> Iterator[Finding]:
    """One finding for each engine. One that is not set up here is neither good nor bad: nobody need use it."""
    listings = catalogue.listed()
    if not listings:
        remedy = "Run 'make install': engines are found by the package's metadata."
        yield Finding(check="engines", ok=False, detail="none is installed", remedy=remedy)
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        yield from threads.map(_finding, listings)


def _finding(listing: catalogue.Listing) -> Finding:
    check, whose = f"engine {listing.name}", f"{listing.distribution} {listing.version}"
    if listing.reason is not None:
        return Finding(check=check, ok=None, detail=f"{whose}: not available: {listing.reason}")
    fault = _fault(listing.name)
    if fault is None:
        return Finding(check=check, ok=True, detail=f"{whose} loads")
    remedy = f"Repair {listing.distribution}, uninstall it, or name the engine in no policy."
    return Finding(check=check, ok=False, detail=f"{whose}: {fault}", remedy=remedy)


def _fault(name: str) -> str | None:
    try:
        done = subprocess.run(
            [sys.executable, "-c", _LOAD, name],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it did not load within {_SECONDS:.0f} s"
    if done.returncode == 0:
        return None
    said = done.stderr.strip().splitlines()
    return said[-1] if said else f"loading it ended with code {done.returncode}"
