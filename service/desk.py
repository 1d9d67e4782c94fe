"""What a stage of a run works with."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Desk:
    """Its folder, its specification, the run's key and a line to the parent."""

    def __init__(self, folder: Path, secrets: Mapping[str, str], pipe: int) -> None:
        self.folder = folder
        self.key = bytes.fromhex(secrets["key"])
        self.database_url = secrets["database_url"]
        self.home = Path(secrets["home"])
        self.spec: dict[str, Any] = json.loads((folder / "spec.json").read_text())
        self._pipe = pipe
        self._writing = threading.Lock()

    def tell(self, event: str, **details: Any) -> None:
        """Send one event to the parent, in one piece whichever thread tells it."""
        line = json.dumps({"event": event, **details}, allow_nan=False, default=str)
        rest = line.encode() + b"\n"
        with self._writing:
            while rest:
                rest = rest[os.write(self._pipe, rest) :]

    def ready(self) -> None:
        """The imports are done: the clock of the deadline starts."""
        self.tell("ready")
