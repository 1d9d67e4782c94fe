"""Upkeep of Delta tables: many small files become few, and files nobody needs any more go."""

from __future__ import annotations

import logging
import os
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path

from deltalake.exceptions import CommitFailedError, DeltaError

from registry.delta_tables import DeltaTables, writer_properties
from registry.durable import try_lock
from registry.table_schemas import SCHEMAS

COMPACTED_BYTES = 128 * 1024 * 1024
TIDIED_BYTES = 2 * 1024 * 1024
TIDY_EVERY = 64
CHECKPOINT_AGE = timedelta(hours=1)
CHECKPOINT_SPACING = 1_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableUpkeep:
    """Files the table consists of before and after compaction, and how many unused ones were removed."""

    files_before: int
    files_after: int
    removed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceReport:
    """What was done to which table; ``skipped`` when another process was at it."""

    at: datetime
    tables: Mapping[str, TableUpkeep]
    skipped: bool = False


def maintain(
    tables: DeltaTables,
    keep: Mapping[str, Collection[int]],
    lock: Callable[[], AbstractContextManager[None]],
    *,
    at: datetime,
    retention: timedelta,
) -> MaintenanceReport:
    """Compact each table beside running appends, then, under ``lock``, vacuum it.

    ``keep`` names for each table the versions whose files stay. Younger files than ``retention`` (whole hours,
    rounded up) stay too; it protects reads in progress, which fall back to the newest version otherwise.
    Checkpoints go where others serve as well. Raises DeltaError, OSError.
    """
    if not tables.folder.is_dir():
        return MaintenanceReport(at=at, tables={})
    mine = try_lock(tables.folder.with_suffix(".upkeep"))
    if mine is None:
        return MaintenanceReport(at=at, tables={}, skipped=True)
    try:
        names = [name for name in SCHEMAS if tables.exists(name)]
        return MaintenanceReport(
            at=at,
            tables={name: _upkeep(tables, name, keep.get(name, ()), lock, at, retention) for name in names},
        )
    finally:
        os.close(mine)


def tidy(tables: DeltaTables) -> None:
    """Merge the smallest files: for each file it has, a table takes longer to open.

    For every TIDY_EVERY commits; it takes a moment, and ``maintain`` does the rest. A failure is only logged.
    """
    mine = try_lock(tables.folder.with_suffix(".upkeep"))
    if mine is None:
        return
    try:
        for name in SCHEMAS:
            if tables.exists(name):
                _compact(tables, name, TIDIED_BYTES)
    except (DeltaError, OSError):
        logger.exception("small files of %s were not merged", tables.folder)
    finally:
        os.close(mine)


def _upkeep(
    tables: DeltaTables,
    name: str,
    keep: Collection[int],
    lock: Callable[[], AbstractContextManager[None]],
    at: datetime,
    retention: timedelta,
) -> TableUpkeep:
    before = len(tables.table(name).file_uris())
    _compact(tables, name, COMPACTED_BYTES)
    with (
        lock()
    ):  # a full vacuum also takes files that no version names yet, such as those of a running append
        table = tables.table(name)
        removed = table.vacuum(
            retention_hours=ceil(retention / timedelta(hours=1)),
            dry_run=False,
            enforce_retention_duration=False,
            full=True,
            keep_versions=sorted(keep),
        )
        _thin_checkpoints(tables.folder / name / "_delta_log", keep, before=at - CHECKPOINT_AGE)
        return TableUpkeep(files_before=before, files_after=len(table.file_uris()), removed=len(removed))


def _thin_checkpoints(log: Path, keep: Collection[int], *, before: datetime) -> None:
    """Remove checkpoints written ``before``; the log alone gives every version, checkpoints only make it fast.

    What stays: the newest, the last one up to each version of ``keep``, and one in CHECKPOINT_SPACING versions.
    """
    found = {int(path.name[:20]): path for path in log.glob(f"{'[0-9]' * 20}.checkpoint.parquet")}
    versions = sorted(found)
    wanted = {*versions[-2:], *({number // CHECKPOINT_SPACING: number for number in versions}.values())}
    for version in keep:
        place = bisect_right(versions, version)
        wanted.update(versions[max(0, place - 1) : place])
    for number in set(versions) - wanted:
        if found[number].stat().st_mtime < before.timestamp():
            found[number].unlink(missing_ok=True)


def _compact(tables: DeltaTables, name: str, target_bytes: int) -> None:
    try:
        tables.table(name).optimize.compact(
            target_size=target_bytes, max_concurrent_tasks=1, writer_properties=writer_properties()
        )
    except CommitFailedError:  # another process merged the same files
        logger.info("%s was compacted by another at the same time", tables.folder / name)
