"""Feedback: the truth about rows, checked against what is known and stored before it is acknowledged."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from registry.errors import Conflict
from registry.records import Batch, BatchKind, LabelSource, Project
from registry.store import Registry
from service.admission import label_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The true label of a row, in its canonical text."""

    row_id: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a delivery did. ``unchanged`` rows had this very label; ``conflicting`` ones have another."""

    accepted: int
    unchanged: int
    unknown: tuple[str, ...]
    conflicting: tuple[str, ...]
    dataset_version: int | None = None
    replayed: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "accepted": self.accepted,
            "unchanged": self.unchanged,
            "unknown": list(self.unknown),
            "conflicting": list(self.conflicting),
            "dataset_version": self.dataset_version,
        }


@dataclass(slots=True, kw_only=True)
class _Delivery:
    answers: Sequence[Answer]
    source: LabelSource
    origin: str | None
    replace: bool
    key: str | None
    digest: str
    at: datetime
    outcome: Outcome | None = None
    error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.outcome is not None or self.error is not None


@dataclass(slots=True)
class _Queue:
    waiting: deque[_Delivery] = field(default_factory=deque)
    guard: threading.Lock = field(default_factory=threading.Lock)
    turn: threading.Lock = field(default_factory=threading.Lock)


class FeedbackDesk:
    """Takes deliveries from many threads. Those that come while a commit is under way share the next one.

    ``flush`` is called once when ids are unknown: it stores predictions that are only logged so far.
    """

    def __init__(self, registry: Registry, flush: Callable[[], None] | None = None) -> None:
        self._registry = registry
        self._flush = flush
        self._guard = threading.Lock()
        self._queues: dict[int, _Queue] = {}

    def deliver(
        self,
        project: Project,
        answers: Sequence[Answer],
        *,
        digest: str,
        at: datetime,
        key: str | None = None,
        replace: bool = False,
        source: LabelSource = LabelSource.FEEDBACK,
        origin: str | None = None,
    ) -> Outcome:
        """Stores the labels of known rows; on return they are on disk.

        ``origin`` names who says so more closely than ``source`` does (``feedback:crm``).
        A row that has another true label keeps it and is reported as conflicting, unless ``replace`` is set.
        Raises Conflict (``idempotency_mismatch``) when ``key`` was used for other labels.
        """
        mine = _Delivery(
            answers=answers, source=source, origin=origin, replace=replace, key=key, digest=digest, at=at
        )
        with self._guard:
            queue = self._queues.setdefault(project.id, _Queue())
        with queue.guard:
            queue.waiting.append(mine)
        with queue.turn:
            while not mine.is_done:
                self._serve(project, _next_group(queue))
        if mine.error is not None:
            raise mine.error
        assert mine.outcome is not None
        return mine.outcome

    def _serve(self, project: Project, group: list[_Delivery]) -> None:
        try:
            self._commit(project, group)
        except Exception as error:
            if len(group) == 1:
                group[0].error = error
                return
            # One of them is at fault; alone, each gets its own answer.
            for delivery in group:
                self._serve(project, [delivery])

    def _commit(self, project: Project, group: list[_Delivery]) -> None:
        key, digest = group[0].key, group[0].digest
        if key is not None:
            earlier = self._registry.datasets.replay(project.id, key, digest)
            if earlier is not None:
                group[0].outcome = _replayed(earlier)
                return
        truths = self._truths(project.id, [answer.row_id for one in group for answer in one.answers])
        sorted_out = [_sort_out(one, truths) for one in group]
        batch = self._store(project, group, sorted_out)
        version = batch.dataset_version if batch is not None else None
        for one, (_, outcome) in zip(group, sorted_out, strict=True):
            one.outcome = _as_of(outcome, version)

    def _store(
        self,
        project: Project,
        group: list[_Delivery],
        sorted_out: list[tuple[list[Answer], Outcome]],
    ) -> Batch | None:
        accepted = sum(outcome.accepted for _, outcome in sorted_out)
        if not accepted:
            return None
        key = group[0].key
        details: dict[str, Any] = {"requests": len(group), "accepted": accepted}
        if key is not None:
            details["answer"] = sorted_out[0][1].to_json()
        with self._registry.datasets.stage(project) as staging:
            for one, (answers, _) in zip(group, sorted_out, strict=True):
                if answers:
                    ids = pa.array([answer.row_id for answer in answers], pa.string())
                    labels = pa.array([answer.label for answer in answers], pa.string())
                    staging.write_labels(
                        label_table(ids, labels, source=one.source, at=one.at, origin=one.origin)
                    )
            return self._registry.datasets.commit(
                staging,
                kind=BatchKind.FEEDBACK,
                details=details,
                idempotency_key=key,
                request_digest=group[0].digest if key is not None else None,
                at=max(one.at for one in group),
            )

    def _truths(self, project_id: int, row_ids: list[str]) -> dict[str, str | None]:
        wanted = list(dict.fromkeys(row_ids))
        truths = self._registry.datasets.truths(project_id, wanted)
        missing = [name for name in wanted if name not in truths]
        if missing and self._flush is not None:
            self._flush()
            truths = {**truths, **self._registry.datasets.truths(project_id, missing)}
        return dict(truths)


def _next_group(queue: _Queue) -> list[_Delivery]:
    """The oldest delivery and those that may go with it: a batch keeps one key, so a keyed one goes alone."""
    with queue.guard:
        first = queue.waiting.popleft()
        if first.key is not None:
            return [first]
        others = [one for one in queue.waiting if one.key is None]
        queue.waiting = deque(one for one in queue.waiting if one.key is not None)
        return [first, *others]


def _sort_out(delivery: _Delivery, truths: dict[str, str | None]) -> tuple[list[Answer], Outcome]:
    """What is new in a delivery, and what becomes of it; ``truths`` learn from it for those behind it."""
    fresh: dict[str, Answer] = {}
    unknown: dict[str, None] = {}
    conflicting: dict[str, None] = {}
    unchanged = 0
    for answer in delivery.answers:
        if answer.row_id not in truths:
            unknown[answer.row_id] = None
            continue
        known = truths[answer.row_id]
        if known == answer.label:
            unchanged += 1
        elif known is None or (delivery.replace and answer.row_id not in fresh):
            fresh[answer.row_id] = answer
            truths[answer.row_id] = answer.label
        else:
            conflicting[answer.row_id] = None
    outcome = Outcome(
        accepted=len(fresh), unchanged=unchanged, unknown=tuple(unknown), conflicting=tuple(conflicting)
    )
    return list(fresh.values()), outcome


def _as_of(outcome: Outcome, version: int | None) -> Outcome:
    return Outcome(
        accepted=outcome.accepted,
        unchanged=outcome.unchanged,
        unknown=outcome.unknown,
        conflicting=outcome.conflicting,
        dataset_version=version if outcome.accepted else None,
    )


def _replayed(batch: Batch) -> Outcome:
    answer = batch.details.get("answer")
    if batch.kind is not BatchKind.FEEDBACK or not answer:
        raise Conflict("the idempotency key was used for another kind of call", code="idempotency_mismatch")
    return Outcome(
        accepted=answer["accepted"],
        unchanged=answer["unchanged"],
        unknown=tuple(answer["unknown"]),
        conflicting=tuple(answer["conflicting"]),
        dataset_version=batch.dataset_version,
        replayed=True,
    )
