"""A process that commits to a project, and dies by SIGKILL where its caller wants.

    python dataset_committer.py [URL HOME WHAT STEP PREFIX]

Without arguments it reads them from lines of JSON, forks for each line, and prints the exit code.
WHAT: ``once`` commits one batch with all parts, ``recover`` recovers, ``loop`` commits until killed and prints
the name of each batch once it is acknowledged. STEP: the step after which to die, or ``-``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dataset_builders import datasets_in, faults, ids, labels, predictions, rows
from registry_builders import NOW

import registry.commits
import registry.row_index
from registry.database import Database
from registry.datasets import Datasets
from registry.delta_tables import DeltaTables
from registry.projects import Projects
from registry.records import BatchKind, Project
from registry.staged_files import StagedFiles
from registry.staging import Staging

PARTS = ("rows", "labels", "predictions", "quarantine")
STEPS = ("sealed", "staged", "half indexed", "indexed", *PARTS, "rows unsynced", "committed", "removed")
ROWS = 7


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dies_after(owner: Any, name: str, when: Callable[..., bool] = lambda *_: True) -> None:
    real = getattr(owner, name)

    def mortal(*arguments: Any, **options: Any) -> Any:
        result = real(*arguments, **options)
        if when(*arguments):
            die()
        return result

    setattr(owner, name, mortal)


def die_at(step: str) -> None:
    """Arrange for this process's death right after ``step``."""
    commits = registry.commits.Commits
    registry.row_index.PIECE = 3  # so that an index of 7 rows takes several transactions
    if step in PARTS:
        dies_after(DeltaTables, "append", lambda _self, name, *_: name == step)
    elif step == "rows unsynced":
        real = DeltaTables._make_durable

        def unsynced(self: DeltaTables, name: str, versions: range) -> None:
            if name == "rows" and versions.start > 0:
                die()
            real(self, name, versions)

        DeltaTables._make_durable = unsynced  # type: ignore[method-assign, assignment]
    elif step != "-":
        owner, name = {
            "sealed": (Staging, "seal"),
            "staged": (commits, "_stage"),
            "half indexed": (registry.row_index, "_insert"),
            "indexed": (commits, "_index"),
            "committed": (commits, "_conclude"),
            "removed": (StagedFiles, "remove"),
        }[step]
        dies_after(owner, name)


def commit(datasets: Datasets, project: Project, name: str) -> None:
    with datasets.stage(project) as staging:
        staging.write_rows(rows(name, ROWS))
        staging.write_labels(labels(ids(name, ROWS - 2), "yes"))
        staging.write_predictions(predictions(ids(name, ROWS)))
        staging.write_quarantine(faults([1, 2]))
        datasets.commit(
            staging,
            kind=BatchKind.UPLOAD,
            details={"name": name},
            idempotency_key=name,
            request_digest=name,
            at=NOW,
        )


def main(url: str, home: str, what: str, step: str, prefix: str) -> None:
    db = Database.open(url)
    project = Projects(db).get("flights")
    datasets = datasets_in(Path(home), db)
    die_at(step)
    if what == "recover":
        datasets.recover(NOW)
    elif what == "once":
        commit(datasets, project, prefix)
    else:
        number = 0
        while True:
            commit(datasets, project, f"{prefix}{number}")
            print(f"{prefix}{number}", flush=True)
            number += 1


def fork_for_each(lines: Iterable[str]) -> None:
    for line in lines:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                main(*json.loads(line))
                status = 0
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(status)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    if sys.argv[1:]:
        main(*sys.argv[1:])
    else:
        fork_for_each(sys.stdin)
