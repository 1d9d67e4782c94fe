"""What a model is trained with: the interpreter and the libraries that its bytes, and a reproduction of it, depend on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

_LIBRARIES = (
    "incumbent",
    "scikit-learn",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "lightgbm",
    "xgboost",
    "flaml",
    "tpot",
    "statsmodels",
    "joblib",
)


def environment() -> dict[str, Any]:
    """Of this process; the children that train are the same interpreter."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "libraries": {name: found for name in _LIBRARIES if (found := _version(name)) is not None},
    }


def differences(then: dict[str, Any] | None) -> list[str]:
    """What is another version now than ``then``, in words; nothing where that was not kept."""
    if not then:
        return []
    now = environment()
    told = [
        f"{name} {before} then, {now['libraries'].get(name, 'none')} now"
        for name, before in then["libraries"].items()
        if now["libraries"].get(name) != before
    ]
    for name in ("python", "machine"):
        if then.get(name) != now[name]:
            told.append(f"{name} {then.get(name)} then, {now[name]} now")
    return told


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
