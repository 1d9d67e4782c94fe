"""The house plan, checked: who may import whom, what serving never loads, how long a file may be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("automl", "registry", "service")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LONGEST_FILE = 350
ONE_LIST = {"registry/tables.py"}
"""Files that are one declaration after another: long, but with one concern."""
HEAVY = (
    "flaml",
    "tpot",
    "evidently",
    "matplotlib",
    "codecarbon",
    "dask",
    "distributed",
    "torch",
    "tensorflow",
)
NO_SUBJECT = {"utils", "helpers", "manager", "handler", "common", "misc"}


def fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_of(names: tuple[str, ...], statement: str) -> list[str]:
    """Which of ``names`` a fresh process has loaded after ``statement``."""
    printed = fresh(
        f"import json, sys; {statement}; print(json.dumps([n for n in {names!r} if n in sys.modules]))"
    )
    found: list[str] = json.loads(printed.splitlines()[-1])
    return found


def test_layers_and_bans_of_the_import_contracts_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_serving_never_loads_a_search_engine_or_a_drift_library() -> None:
    assert loaded_of(HEAVY, "import service.app") == []


@pytest.mark.parametrize("package", ["automl", "registry"])
def test_the_lower_layers_load_no_web(package: str) -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in SOURCES
        if path.parts[-2] == package
    ]
    plain = [name for name in modules if not name.endswith("__init__")]
    assert loaded_of(("fastapi", "starlette", "uvicorn", "httpx"), "import " + ", ".join(plain)) == []


def test_every_file_can_be_read_in_one_sitting() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCES}
    assert {
        name: length for name, length in lengths.items() if length > LONGEST_FILE and name not in ONE_LIST
    } == {}


def test_every_file_is_named_for_its_subject() -> None:
    assert [str(path.relative_to(ROOT)) for path in SOURCES if path.stem in NO_SUBJECT] == []


def test_every_package_is_typed() -> None:
    for package in PACKAGES:
        assert (ROOT / package / "py.typed").exists()
