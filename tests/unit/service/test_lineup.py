"""How a child takes its place behind the server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

AUTOGROUP = Path("/proc/self/autogroup")
GROUPED = AUTOGROUP.exists() and AUTOGROUP.read_text().strip() != ""
FALLS_IN = """
import os
from pathlib import Path
from service.lineup import fall_in
fall_in(os.getppid(), niceness=7)
print(os.nice(0), Path("/proc/self/autogroup").read_text().split()[-1] if {grouped} else 7)
"""


def _told(*, own_session: bool) -> list[int]:
    command = [sys.executable, "-c", FALLS_IN.format(grouped=GROUPED)]
    done = subprocess.run(command, start_new_session=own_session, capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


def test_a_child_with_a_session_of_its_own_lowers_that_as_well():
    assert _told(own_session=True) == [min(19, os.nice(0) + 7), 7]


@pytest.mark.skipif(not GROUPED, reason="this kernel does not group tasks by session")
def test_a_child_in_its_parents_session_leaves_that_as_it_is():
    before = int(AUTOGROUP.read_text().split()[-1])
    assert _told(own_session=False) == [min(19, os.nice(0) + 7), before]
