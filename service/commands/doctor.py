"""``incumbent doctor``: is this machine, this home folder and this server in order?"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.commands.console import CommandError
from service.commands.engine_check import engines
from service.commands.finding import Finding
from service.commands.machine_check import clock, machine, server
from service.commands.options import opened, settings

if TYPE_CHECKING:
    from registry.store import Registry
    from service.settings import Settings

NEEDED_BYTES = 2 * 1024**3


def examine(home: Path | None, url: str | None, key: str | None) -> list[Finding]:
    """All findings; looking changes nothing, a home folder that isn't there yet stays so."""
    wanted = settings(home=home)
    return [_python(), _libraries(), *machine(), *engines(), *_home(wanted), *server(url, key)]


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    enough = sys.version_info >= (3, 11)
    return Finding(
        check="python", ok=enough, detail=found, remedy="" if enough else "Use Python 3.11 or newer."
    )


def _libraries() -> Finding:
    """Whether the installed versions are those the package asks for."""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(line) for line in requires("incumbent") or []]
    except PackageNotFoundError:
        return Finding(check="libraries", ok=False, detail="not installed", remedy="Run 'make install'.")
    core = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = [text for one in core if (text := _mismatch(one.name, one.specifier)) is not None]
    if wrong:
        return Finding(
            check="libraries", ok=False, detail="; ".join(wrong), remedy="Run 'make install' again."
        )
    return Finding(check="libraries", ok=True, detail=f"{len(core)} as wanted")


def _mismatch(name: str, wanted: Any) -> str | None:
    try:
        found = version(name)
    except PackageNotFoundError:
        return f"{name} is missing"
    return None if wanted.contains(found, prereleases=True) else f"{name} is {found}, wanted {wanted}"


def _home(wanted: Settings) -> Iterator[Finding]:
    home = wanted.home.absolute()
    if not home.exists():
        yield Finding(check="home", ok=None, detail=f"{home} is not there yet; 'incumbent serve' makes it")
        return
    writable = os.access(home, os.R_OK | os.W_OK | os.X_OK)
    yield Finding(
        check="home", ok=writable, detail=str(home), remedy="" if writable else "Give this user the folder."
    )
    yield _space(home)
    if writable:
        yield from _store(wanted)


def _space(home: Path) -> Finding:
    free = shutil.disk_usage(home).free
    enough = free >= NEEDED_BYTES
    remedy = "" if enough else "Make room: tables and models need it."
    return Finding(check="disk", ok=enough, detail=f"{free / 1024**3:.1f} GiB free", remedy=remedy)


def _store(wanted: Settings) -> Iterator[Finding]:
    """The registry, its key, and the champions' bytes, each checked against its signature."""
    if wanted.database_url is None and not (wanted.home / "registry.db").exists():
        yield Finding(check="registry", ok=None, detail="none yet")
        return
    yield _signing_key(wanted.home / "keys" / "signing.key")
    yield _folders(wanted.home)
    database = _database(wanted)
    yield database
    if not database.ok:
        return  # opening the registry would bring the database up to date: that is for the server's start
    try:
        with opened(wanted) as registry:
            yield Finding(check="registry", ok=True, detail=f"{len(registry.projects.list())} project(s)")
            yield clock(registry)
            yield _champions(registry)
    except CommandError as error:
        yield Finding(check="registry", ok=False, detail=str(error), remedy=error.remedy)


def _database(wanted: Settings) -> Finding:
    """Whether the database can be reached, and is of this version."""
    from registry.database import Database
    from registry.errors import RegistryError
    from registry.migrations import NEWEST, revision

    url = wanted.database_url or f"sqlite:///{(wanted.home / 'registry.db').absolute()}"
    try:
        database = Database.open(url)
        try:
            found, kind = revision(database), database.dialect
        finally:
            database.close()
    except (RegistryError, ValueError, OSError) as error:
        remedy = "Check that it runs, and INCUMBENT_DATABASE_URL."
        return Finding(check="database", ok=False, detail=f"can't be opened: {error}", remedy=remedy)
    if found == NEWEST:
        return Finding(check="database", ok=True, detail=f"{kind}, revision {found}")
    if found is None or found < NEWEST:
        detail = f"{kind}, revision {found or 'none'}; this version wants {NEWEST}"
        remedy = "Back it up; the next 'incumbent serve' brings it up to date."
        return Finding(check="database", ok=None, detail=detail, remedy=remedy)
    detail = f"{kind}, revision {found}, newer than this version's {NEWEST}"
    return Finding(check="database", ok=False, detail=detail, remedy="Run a newer Incumbent.")


def _folders(home: Path) -> Finding:
    """Whether what the store writes to may be written to, and lies on one file system, as its moves ask for."""
    names = [name for name in ("tables", "staging", "blobs", "journal") if (home / name).exists()]
    closed = [name for name in names if not os.access(home / name, os.R_OK | os.W_OK | os.X_OK)]
    if closed:
        remedy = f"Give this user the folder(s) in {home}."
        return Finding(check="store", ok=False, detail=f"may not write to {', '.join(closed)}", remedy=remedy)
    devices = {(home / name).stat().st_dev for name in names if name in ("tables", "staging")}
    if len(devices) > 1:
        remedy = "Keep both on one: a batch is moved from one to the other in one step."
        return Finding(
            check="store", ok=False, detail="tables and staging lie on two file systems", remedy=remedy
        )
    return Finding(check="store", ok=True, detail=", ".join(names) or "nothing stored yet")


def _signing_key(path: Path) -> Finding:
    if not path.exists():
        return Finding(
            check="signing key", ok=False, detail=f"{path} is missing", remedy="Restore it from a backup."
        )
    private = not stat.S_IMODE(path.stat().st_mode) & 0o077
    remedy = "" if private else f"Run: chmod 600 {path}"
    return Finding(
        check="signing key", ok=private, detail="private" if private else "others may read it", remedy=remedy
    )


def _champions(registry: Registry) -> Finding:
    from registry.errors import RegistryError

    broken, sound = [], 0
    for project in registry.projects.list():
        if project.champion is None:
            continue
        try:
            registry.blobs.open(registry.models.get(project.id, project.champion).blob.digest)
            sound += 1
        except (RegistryError, OSError) as error:
            broken.append(f"{project.name}: {error}")
    if broken:
        remedy = "Restore the blobs folder from a backup, or roll back."
        return Finding(check="champions", ok=False, detail="; ".join(broken), remedy=remedy)
    return Finding(check="champions", ok=True, detail=f"{sound} with a valid signature")
