"""Labels that the newest judged model's data health doubts, as rows of the labelling queue: "please check"."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

from registry.labeling import CHECK, QueueItem
from registry.records import Project
from registry.store import Registry
from service.trust_reports import trust_report


def doubted(registry: Registry, project: Project, *, busy: Collection[str]) -> tuple[QueueItem, ...]:
    """The rows to look at, the surest first: those whose label is still the one that was doubted, and that nobody answered
    in the queue yet or is busy with."""
    review = _review(registry, project)
    ids = [str(one["id"]) for one in review if one["id"]]
    if not ids:
        return ()
    truths = registry.datasets.truths(project.id, ids)
    settled = {one.row_id for one in registry.labeling.answers(project.id) if one.batch is not None}
    return tuple(
        QueueItem(row_id=one["id"], value=float(one["sure"]), why=CHECK, probability=1.0)
        for one in review
        if truths.get(one["id"]) == one["label"] and one["id"] not in settled and one["id"] not in busy
    )


def with_doubted(
    ranked: Sequence[QueueItem], doubts: Sequence[QueueItem], *, share: float, most: int
) -> tuple[QueueItem, ...]:
    """The ranked rows with doubted ones spread evenly among them, as ``share`` of all; alone, at most so many."""
    if not share:
        return tuple(ranked)
    if not ranked:
        return tuple(doubts[:most])
    count = len(doubts) if share == 1 else math.ceil(len(ranked) * share / (1 - share))
    some = doubts[:count]
    places = [(at + 0.5) / len(ranked) for at in range(len(ranked))]
    places += [(at + 0.5) / len(some) for at in range(len(some))]
    both = [*ranked, *some]
    return tuple(both[at] for at in sorted(range(len(both)), key=places.__getitem__))


def _review(registry: Registry, project: Project) -> Sequence[dict[str, Any]]:
    versions = sorted((model.version for model in registry.models.list(project.id)), reverse=True)
    if not versions:
        return ()
    report = trust_report(registry, registry.models.get(project.id, versions[0])) or {}
    labels = (report.get("data_health") or {}).get("label_errors") or {}
    review: Sequence[dict[str, Any]] = labels.get("review", ())
    return review
