"""A replay of a file on this machine, without a server: one child process in a folder that outlives it."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from automl.task import Task
from service.children import End, Event, Limits, run_child
from service.energy.meter import EVENT as ENERGY
from service.energy.reading import Ears
from service.replay.plan import ReplayPlan

STARTUP_SECONDS = 120.0


class ReplayFailed(Exception):
    """The replay came to no result; the message says why. What it had done is kept."""


def replay_key(signing_key: bytes, folder: str) -> str:
    """The key that seals the models of one replay: the same whenever it goes on, and known to this home only."""
    return hmac.digest(signing_key, b"replay:" + folder.encode(), hashlib.sha256).hex()


def specification(
    *,
    plan: ReplayPlan,
    task: Mapping[str, Any],
    schema: Mapping[str, Any] | None,
    policy: Mapping[str, Any],
    source: Mapping[str, Any],
) -> dict[str, Any]:
    """What the stage reads in ``spec.json``. ``policy`` is the one called own."""
    return {
        "plan": plan.to_json(),
        "task": dict(task),
        "schema": None if schema is None else dict(schema),
        "policy": dict(policy),
        "source": dict(source),
    }


def file_source(path: Path, name: str, limits: Mapping[str, int]) -> dict[str, Any]:
    return {"kind": "file", "path": str(path), "name": name, "limits": dict(limits)}


def _keep_only(result: Path) -> None:
    """Rows, answers and models are only needed to go on."""
    for path in result.parent.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path != result:
            path.unlink()


def play_file(
    file: Path,
    *,
    task: Task,
    plan: ReplayPlan,
    policy: Mapping[str, Any],
    limits: Mapping[str, int],
    home: Path,
    signing_key: bytes,
    memory_bytes: int,
    on_event: Callable[[Event], None],
    energy: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The report of a replay of ``file``. The same call again goes on where an ended one stood, or finds its report.

    ``energy`` is what its metering is told of the machine (:func:`service.energy.rule.energy_rule`). Raises ReplayFailed.
    """
    spec = specification(
        plan=plan,
        task=task.to_json(),
        schema=None,
        policy=policy,
        source=file_source(file.resolve(), file.name, limits),
    )
    with file.open("rb") as stream:
        content = hashlib.file_digest(stream, "sha256").hexdigest()
    asked = {**spec, "source": {**spec["source"], "path": ""}}  # a file may move
    mark = hashlib.sha256(f"{content}{json.dumps(asked, sort_keys=True)}".encode()).hexdigest()[:32]
    folder = home.resolve() / "replays" / mark
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / "replay.json"
    if not result.exists():
        (folder / "spec.json").write_text(json.dumps({**spec, "energy": energy}))
        ears = Ears()

        def hear(event: Event) -> None:
            if event["event"] == ENERGY:
                ears.hear(event)
            on_event(event)

        ended = run_child(
            "replay",
            folder,
            {"key": replay_key(signing_key, mark), "database_url": "", "home": str(home.resolve())},
            Limits(
                deadline_seconds=plan.deadline_seconds,
                startup_seconds=STARTUP_SECONDS,
                memory_bytes=memory_bytes,
            ),
            on_event=hear,
            cancelled=lambda: False,
        )
        if ended.end is not End.OK:
            raise ReplayFailed(ended.reason)
        told = json.loads(result.read_text())
        result.write_text(json.dumps({**told, "energy": ears.alone("replay")}))
        _keep_only(result)
    report: dict[str, Any] = json.loads(result.read_text())
    return report
