"""A child that does what its stage says, and most of it badly. Run by test_children.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from service.lineup import fall_in

stage, folder, pipe, parent = sys.argv[1:]
secrets = json.loads(sys.stdin.readline())
fall_in(int(parent))


def tell(event: str, **details: object) -> None:
    os.write(int(pipe), json.dumps({"event": event, **details}).encode() + b"\n")


tell("ready", nice=os.nice(0), key=secrets["key"])
if stage == "sleep":
    time.sleep(600)
elif stage == "crash":
    raise SystemExit("the disk is made of cheese")
elif stage == "eat":
    hoard = []
    while True:
        hoard.append(b"x" * 16_000_000)
        time.sleep(0.01)
elif stage == "offspring":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    tell("born", pid=child.pid)
    time.sleep(600)
tell("done")
