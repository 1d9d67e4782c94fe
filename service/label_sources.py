"""Who gave the labels: how many, how far they agree, which source has gone bad, and whether teachers were right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from automl.label_sources import SourcesAudit, audit_sources
from automl.proportions import wilson
from automl.pseudo_audit import audit as audit_teacher
from automl.schema import Schema, frame
from automl.source_learner import boosted
from automl.task import Task
from registry.labels import winners
from registry.records import LabelSource, Project
from registry.store import Registry
from service.label_policy import LabelSourceRule
from service.policy import Policy
from service.stages.weights import names

MOST_AUDITED = 6_000
LEAST_AUDITED_EACH = 200


def label_sources(registry: Registry, project: Project, *, audit: bool = True) -> dict[str, Any]:
    """Each source with its counts and its agreement with the others on the rows that both labelled, the audit
    of the sources, and that of each teacher's pseudo-labels. A source is an origin where labels have one."""
    entries = registry.labels.entries(project.id)
    gone = registry.labels.entries(project.id, revoked=True)
    truth = entries.filter(pc.not_equal(entries["source"], LabelSource.PSEUDO.value))
    holds = winners(entries)
    each = _Sources(entries, gone, holds, truth, Policy.stored(project.policy))
    found = audit_of(registry, project, truth) if audit else None
    bad = {one.source: one.to_json() for one in found.sources} if found is not None else {}
    return {
        "sources": [{**each.report(name), "audit": bad.get(name)} for name in each.names],
        "audit": None if found is None else {"bad": list(found.bad), "reason": found.reason},
        "teachers": teachers(project, entries, truth),
        "revocations": [
            {
                "batch": one.batch,
                "source": one.criteria.source,
                "origin": one.criteria.origin,
                "teacher": one.criteria.teacher,
                "since": one.criteria.since,
                "revoked": one.revoked,
                "reason": one.reason,
                "actor": one.actor,
                "at": one.at,
            }
            for one in registry.labels.revocations(project.id)
        ],
    }


class _Sources:
    """Counts by source name."""

    def __init__(
        self, entries: pa.Table, gone: pa.Table, holds: pa.Table, truth: pa.Table, policy: Policy
    ) -> None:
        self._entries, self._truth, self._policy = entries, truth, policy
        self._of = _named(entries)
        self._gone = _named(gone)
        self._holds = _named(holds)
        self._others = _newest(truth)
        self.names = sorted({*self._of.tolist(), *self._gone.tolist()})

    def report(self, name: str) -> dict[str, Any]:
        mine = self._of == name
        own = self._entries.filter(pa.array(mine))
        source = name.partition(":")[0] if not len(own) else own["source"][0].as_py()
        rules = self._policy.label_sources
        rule = rules.get(name) or rules.get(source) or LabelSourceRule()
        same, both = self._agreement(name)
        bounds = pc.min_max(own["at"]).as_py() if len(own) else {"min": None, "max": None}
        return {
            "name": name,
            "source": source,
            "labels": len(own),
            "holding": int(np.sum(self._holds == name)),
            "revoked": int(np.sum(self._gone == name)),
            "first_at": bounds["min"],
            "last_at": bounds["max"],
            "agreement": wilson(same, both).to_json(),
            "weight": rule.weight,
            "cap": rule.cap,
        }

    def _agreement(self, name: str) -> tuple[int, int]:
        """On how many rows that another source labelled too the two said the same; of how many."""
        of, row, label = self._others
        mine = of == name
        if mine.all() or not mine.any():
            return 0, 0
        own = pa.table({"row": row.filter(pa.array(mine)), "label": label.filter(pa.array(mine))})
        rest = pa.table({"row": row.filter(pa.array(~mine)), "other": label.filter(pa.array(~mine))})
        joined = own.join(rest, keys="row", join_type="inner")
        return int(pc.sum(pc.equal(joined["label"], joined["other"])).as_py() or 0), joined.num_rows


def teachers(project: Project, entries: pa.Table, truth: pa.Table) -> list[dict[str, Any]]:
    """Each teacher's pseudo-labels against the truth that came after them, newest teacher first."""
    task, schema = Task.from_json(project.task), Schema.from_json(project.schema or {})
    pseudo = entries.filter(pc.equal(entries["source"], LabelSource.PSEUDO.value))
    if not task.is_classification or not len(pseudo):
        return []
    told = winners(truth)
    place = pc.index_in(pseudo["_row_id"].combine_chunks(), told["_row_id"].combine_chunks())
    true = _positions(told["label"].combine_chunks().take(place).to_pylist(), task, schema)
    given = _positions(pseudo["label"].to_pylist(), task, schema)
    who = pc.fill_null(pseudo["teacher"], 0).to_numpy()
    found = []
    for teacher in sorted(set(who.tolist()), reverse=True):
        mine = (who == teacher) & (given >= 0)
        result = audit_teacher(given[mine], true[mine], classes=len(task.classes))
        found.append({"teacher": int(teacher) or None, "labels": int(mine.sum()), **result.to_json()})
    return found


def audit_of(registry: Registry, project: Project, truth: pa.Table) -> SourcesAudit | None:
    """The audit of the sources of true labels, on the newest of each; None for numbers, which have no classes."""
    # Late: it brings scikit-learn, for which the server must not wait before it answers.
    from automl.features import preprocessor

    task, schema = Task.from_json(project.task), Schema.from_json(project.schema or {})
    if not task.is_classification:
        return None
    of, row, label = _newest(truth)
    y = _positions(label.to_pylist(), task, schema)
    kept = _sample(of, y)
    table = registry.datasets.rows(project.id, pc.unique(row.take(pa.array(kept))).to_pylist())
    place = pc.index_in(row.take(pa.array(kept)), table["_row_id"].combine_chunks())
    there = pc.is_valid(place).to_numpy(zero_copy_only=False)
    kept, place = kept[there], place.filter(pa.array(there))
    if len(np.unique(of[kept])) < 2 or len(np.unique(y[kept])) < 2:
        return SourcesAudit(sources=(), reason="one source alone can't be held against others")
    rows = frame(table.take(place), schema)
    matrix = np.asarray(preprocessor(schema, task, seed=0).fit_transform(rows, y[kept]), dtype=np.float64)
    learner = boosted(matrix, y[kept], classes=len(task.classes), seed=0)
    return audit_sources(learner, y[kept], of[kept].tolist(), classes=len(task.classes), seed=0)


def _sample(of: npt.NDArray[np.str_], y: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Positions of at most some thousand labels, the newest of each source; ``of`` is oldest first."""
    sources = np.unique(of)
    most = max(LEAST_AUDITED_EACH, MOST_AUDITED // max(len(sources), 1))
    parts = [np.flatnonzero((of == name) & (y >= 0))[-most:] for name in sources]
    return np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.intp)


def _newest(truth: pa.Table) -> tuple[npt.NDArray[np.str_], pa.Array, pa.Array]:
    """Source name, row id and label of the newest entry of each source for each row, oldest first."""
    ordered = truth.take(
        pc.sort_indices(truth, sort_keys=[(name, "ascending") for name in ("_batch", "at", "label")])
    )
    of, row = _named(ordered), ordered["_row_id"].combine_chunks()
    pairs = np.char.add(np.char.add(of, "\0"), row.to_numpy(zero_copy_only=False).astype(str))
    _, from_end = np.unique(pairs[::-1], return_index=True)
    last = np.sort(len(pairs) - 1 - from_end)
    return of[last], row.take(pa.array(last)), ordered["label"].combine_chunks().take(pa.array(last))


def _named(entries: pa.Table) -> npt.NDArray[np.str_]:
    return np.asarray(names(entries["source"], entries["origin"]), dtype=str)


def _positions(texts: Sequence[str | None], task: Task, schema: Schema) -> npt.NDArray[np.intp]:
    """Class positions; -1 for none and for what is no class any more."""
    position: Mapping[str, int] = {schema.target.text(label): k for k, label in enumerate(task.classes)}
    return np.array([-1 if text is None else position.get(text, -1) for text in texts], dtype=np.intp)
