"""The Python that AutoGluon lives in. Read by the server too: imports the standard library only."""

from __future__ import annotations

import os
import subprocess
from functools import lru_cache
from pathlib import Path

VARIABLE = "INCUMBENT_AUTOGLUON_PYTHON"
PACKAGE = "autogluon.tabular[lightgbm,xgboost]==1.6.*"
_SECONDS = 20
_ASK = "import sys; from importlib.metadata import version; print(version('autogluon.tabular'))"


def python() -> Path | None:
    """The interpreter that the environment names, None where it names none."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


def fault() -> str | None:
    """Why AutoGluon can't be used here, with what to do about it; None where it can."""
    named = python()
    if named is None:
        return f"{VARIABLE} is not set: it names the Python of an environment with {PACKAGE!r}"
    if not os.access(named, os.X_OK) or named.is_dir():
        return f"{VARIABLE} names {named}, which is no program"
    return _lacks(named, named.stat().st_mtime)


@lru_cache(maxsize=8)
def _lacks(named: Path, changed: float) -> str | None:
    """Asked once for an interpreter; one that lacked AutoGluon is seen anew after a restart."""
    try:
        done = subprocess.run(
            [str(named), "-I", "-c", _ASK], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{VARIABLE} names {named}, which does not answer: {error}"
    if done.returncode != 0:
        return f"the Python that {VARIABLE} names has no AutoGluon: {named} -m pip install '{PACKAGE}'"
    version = done.stdout.strip()
    if not version.startswith(PACKAGE.partition("==")[2].rstrip("*")):
        return f"AutoGluon {version} is there, the engine is tested with {PACKAGE.partition('==')[2]}"
    return None
