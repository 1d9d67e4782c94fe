"""Whether the machine is large enough, and the server's version and clock are those of this side."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from service.commands.finding import Finding
from service.commands.options import connect
from service.processors import processors

if TYPE_CHECKING:
    from registry.store import Registry

NEEDED_MEMORY = 1024**3
NEEDED_FILES = 512
MOST_SKEW = 5.0
"""Seconds that two clocks may differ, or a time in the registry lie ahead of this one."""


def machine() -> Iterator[Finding]:
    """Cores, memory that is free, and how many files a process may have open."""
    import psutil

    cores = processors()
    memory = psutil.virtual_memory()
    enough = memory.available >= NEEDED_MEMORY
    yield Finding(
        check="machine",
        ok=enough,
        detail=f"{cores} core(s), {memory.available / 1024**3:.1f} of {memory.total / 1024**3:.1f} GiB memory free",
        remedy=""
        if enough
        else "A search needs a GiB: end something, or lower INCUMBENT_CHILD_MEMORY_BYTES.",
    )
    if os.name == "posix":
        import resource

        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        allowed = most == resource.RLIM_INFINITY or most >= NEEDED_FILES
        yield Finding(
            check="open files",
            ok=allowed,
            detail="no limit" if most == resource.RLIM_INFINITY else f"{most} at once",
            remedy="" if allowed else f"Run 'ulimit -n {2 * NEEDED_FILES}' before 'incumbent serve'.",
        )


def clock(registry: Registry) -> Finding:
    """Whether anything in the registry happened in what is still to come."""
    now = datetime.now(UTC)
    ahead = [
        (f"{project.name}: a row of {last.isoformat(timespec='seconds')}", (last - now).total_seconds())
        for project in registry.projects.list()
        if (last := registry.datasets.facts(project.id).last_row_at) is not None
    ]
    late = [text for text, seconds in ahead if seconds > MOST_SKEW]
    remedy = "Set the clock (timedatectl set-ntp true): schedules, leases and holdouts go by it."
    if late:
        return Finding(check="clock", ok=False, detail=f"it is {now:%F %T} UTC, yet {late[0]}", remedy=remedy)
    return Finding(check="clock", ok=True, detail=f"{now:%F %T} UTC, after everything that is stored")


def server(url: str | None, key: str | None) -> Iterator[Finding]:
    """Whether the server answers, with what version, and what time it is there."""
    from service.client import IncumbentError

    with connect(url, key) as there:
        try:
            asked = datetime.now(UTC)
            health = there.health()
            took = datetime.now(UTC) - asked
        except IncumbentError as error:
            ok = None if error.code == "unreachable" else False
            yield Finding(check="server", ok=ok, detail=str(error), remedy=error.remedy or "")
            return
        yield Finding(check="server", ok=True, detail=f"{there.url} answers")
    yield _version(health)
    if isinstance(health.get("time"), str):
        middle = asked + took / 2
        skew = (datetime.fromisoformat(health["time"]) - middle).total_seconds()
        same = abs(skew) <= MOST_SKEW + took.total_seconds() / 2
        yield Finding(
            check="server clock",
            ok=same,
            detail=f"{abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} this one",
            remedy=""
            if same
            else "Let both machines take their time from the network (timedatectl set-ntp true).",
        )


def _version(health: dict[str, Any]) -> Finding:
    there = health.get("version") or "an older version"
    try:
        here = version("incumbent")
    except PackageNotFoundError:
        here = "not installed"
    same = here == there
    remedy = "" if same else "Install the same version on both sides."
    return Finding(check="versions", ok=same or None, detail=f"here {here}, server {there}", remedy=remedy)
