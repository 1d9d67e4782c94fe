"""A browser: Debian's chromium, driven by playwright, which is installed where that is possible and said where it isn't."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

sys.path.insert(
    0, str(Path(__file__).parents[1] / "unit" / "service")
)  # the houses the unit tests are built on
expect.set_options(timeout=20_000)  # a page that is slow beside other tests is no fault of the page
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def _chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get") is not None:
        quiet = {"check": False, "capture_output": True, "text": True}
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update"], **quiet)  # type: ignore[call-overload]
        install = ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]
        done = subprocess.run(install, **quiet, env=environment)  # type: ignore[call-overload]
        found = shutil.which("chromium")
        if found is None:
            pytest.fail(f"chromium could not be installed: {done.stderr[-500:]}", pytrace=False)
    if found is None:
        pytest.fail(
            "The browser tests need chromium: apt-get install chromium (as root they install it themselves).",
            pytrace=False,
        )
    return found


# Playwright's synchronous interface keeps an event loop running: it has to end before tests with one of their own begin.
@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as made:
        yield made


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    made = playwright.chromium.launch(executable_path=_chromium(), args=list(ARGUMENTS))
    yield made
    made.close()
