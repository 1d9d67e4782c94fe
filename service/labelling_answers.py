"""People's answers become labels: kept first, told to the labels ledger when enough of them agree.

A process that dies in between leaves answers that the next call makes labels of.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

import pyarrow as pa

from automl.annotators import majority
from automl.schema import Schema
from automl.task import Task
from registry.label_ledger import HUMAN
from registry.labeling import RowAnswer
from registry.records import Batch, BatchKind, LabelSource, Project
from registry.store import Registry
from service.policy import Policy

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of answers, by row id. ``waiting`` rows need more people, ``disputed`` ones too: they differ.

    ``unchanged`` rows had this very truth; ``conflicting`` ones keep another. A row that was handed out to have its label
    looked at takes the answer, whatever it was before.
    """

    labelled: tuple[str, ...]
    skipped: int
    waiting: tuple[str, ...]
    disputed: tuple[str, ...]
    unchanged: int
    unknown: tuple[str, ...]
    conflicting: tuple[str, ...]
    dataset_version: int | None


class AnswerBook:
    """Thread-safe. ``flush`` is called once when ids are unknown: it stores predictions only logged so far."""

    def __init__(self, registry: Registry, flush: Callable[[], None] | None = None) -> None:
        self._registry = registry
        self._flush = flush
        self._settling = threading.Lock()

    def answer(
        self,
        project: Project,
        given: Mapping[str, Sequence[tuple[str, str | None]]],
        *,
        at: datetime,
    ) -> Answered:
        """Keep answers, (row id, canonical label or None for a skip) by annotator; on return they are on disk,
        and those that settle a row are its label."""
        ids = list(dict.fromkeys(row_id for answers in given.values() for row_id, _ in answers))
        truths, checks = self._truths(project, ids), self._registry.labeling.checks(project.id, ids)
        unchanged, skipped = 0, 0
        conflicting: dict[str, None] = {}
        for annotator, answers in given.items():
            kept: list[tuple[str, str | None]] = []
            for row_id, label in answers:
                truth = truths.get(row_id)
                if row_id not in truths:
                    continue
                if truth is None or row_id in checks:
                    kept.append((row_id, label))
                    skipped += label is None
                elif label == truth:
                    unchanged += 1
                elif label is not None:
                    conflicting[row_id] = None
            self._registry.labeling.answer(project.id, annotator, kept, at=at)
        batch, waiting, disputed = self.settle(project, at=at)
        now = self._registry.datasets.truths(project.id, [row for row in ids if truths.get(row, "") is None])
        now |= dict.fromkeys(self._registry.labeling.checks(project.id, checks))
        now |= {row: truths[row] for row in checks if row not in now}
        return Answered(
            labelled=tuple(row for row, truth in now.items() if truth is not None),
            skipped=skipped,
            waiting=tuple(row for row in now if row in waiting),
            disputed=tuple(row for row in now if row in disputed),
            unchanged=unchanged,
            unknown=tuple(row for row in ids if row not in truths),
            conflicting=tuple(conflicting),
            dataset_version=None if batch is None else batch.dataset_version,
        )

    def settle(self, project: Project, *, at: datetime) -> tuple[Batch | None, set[str], set[str]]:
        """Make labels of the answers that suffice; which rows wait for more people, which for agreement."""
        if project.schema is None:
            return None, set(), set()
        with self._settling:
            policy = Policy.stored(project.policy).labelling
            by_row: dict[str, list[RowAnswer]] = defaultdict(list)
            for answer in self._registry.labeling.answers(project.id, waiting=True):
                if answer.label is not None:
                    by_row[answer.row_id].append(answer)
            truths = self._registry.datasets.truths(project.id, by_row)
            checks = self._registry.labeling.checks(project.id, by_row)
            open_ = {
                row: votes for row, votes in by_row.items() if truths.get(row, "") is None or row in checks
            }
            enough = {row: votes for row, votes in open_.items() if len(votes) >= policy.annotators_per_row}
            told = {row: _agreed(project, votes) for row, votes in enough.items()}
            agreed = {row: label for row, label in told.items() if label is not None}
            batch = self._tell(project, {row: (enough[row], agreed[row]) for row in agreed}, at)
            return batch, set(open_) - set(enough), set(enough) - set(agreed)

    def _tell(
        self, project: Project, agreed: Mapping[str, tuple[list[RowAnswer], str]], at: datetime
    ) -> Batch | None:
        """Write each answer as a label, the agreed one as the latest: that is the one which holds."""
        if not agreed:
            return None
        entries: list[tuple[str, str | None, datetime, str | None]] = []
        for row, (votes, label) in agreed.items():
            for vote in votes:
                when = at if vote.label == label else min(vote.at, at - _INSTANT)
                entries.append((row, vote.label, when, f"{HUMAN}{vote.annotator}"))
            if all(vote.label != label for vote in votes):  # the mean of two numbers
                entries.append((row, label, at, None))
        rows, labels, times, origins = zip(*entries, strict=True)
        table = pa.table(
            {
                "_row_id": pa.array(rows, pa.string()),
                "label": pa.array(labels, pa.string()),
                "source": pa.repeat(LabelSource.HUMAN.value, len(entries)),
                "at": pa.array(times, pa.timestamp("us", tz="UTC")),
                "origin": pa.array(origins, pa.string()),
            }
        )
        with self._registry.datasets.stage(project) as staging:
            staging.write_labels(table)
            details = {"source": "labelling queue", "rows": len(agreed), "answers": len(entries)}
            batch = self._registry.datasets.commit(staging, kind=BatchKind.FEEDBACK, details=details, at=at)
        self._registry.labeling.told(project.id, agreed, batch.number)
        return batch

    def _truths(self, project: Project, ids: Sequence[str]) -> dict[str, str | None]:
        truths = self._registry.datasets.truths(project.id, ids)
        missing = [row_id for row_id in ids if row_id not in truths]
        if missing and self._flush is not None:
            self._flush()
            truths |= self._registry.datasets.truths(project.id, missing)
        return truths


def _agreed(project: Project, votes: Sequence[RowAnswer]) -> str | None:
    """The label of the most; of numbers the median. None for a tie."""
    labels = [answer.label for answer in votes if answer.label is not None]
    if Task.from_json(project.task).is_classification:
        found = majority(labels).label
        return None if found is None else str(found)
    target = Schema.from_json(project.schema or {}).target
    return target.text(float(median(float(label) for label in labels)))
