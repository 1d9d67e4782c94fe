"""The labelling queue: unlabelled rows are ranked in rounds and handed to people, most useful first."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from registry.labeling import Leased, LeaseRule, Round
from registry.records import Project
from registry.store import Registry
from service.deployment import Deployment
from service.label_doubts import doubted, with_doubted
from service.label_policy import Labelling
from service.labelling_answers import AnswerBook
from service.labelling_pool import Committee, Ranked, rank, rank_first, unlabelled
from service.outliers import Measure, Measures
from service.policy import Policy

NO_MODEL = 0
"""The version in rounds that were ranked before there was a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """What somebody is asked. ``reason`` says why there is nothing; ``model`` ranked the rows, if there is one."""

    rows: tuple[Leased, ...] = ()
    reason: str | None = None
    round: Round | None = None
    model: Deployment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judges:
    """Who ranks the rows of a round: models, or, while there are none, what is known of the rows themselves."""

    committee: Sequence[Deployment]
    measure: Measure | None

    @property
    def version(self) -> int:
        return self.committee[0].version if self.committee else NO_MODEL


class LabellingDesk:
    """Thread-safe. ``book`` takes the answers; ``flush`` is for it."""

    def __init__(
        self, registry: Registry, flush: Callable[[], None] | None = None, measures: Measures | None = None
    ) -> None:
        self._registry = registry
        self._measures = measures or Measures(registry)
        self.book = AnswerBook(registry, flush)
        self._committee = Committee(registry)
        self._ranking = threading.Lock()

    def hand_out(
        self,
        project: Project,
        annotator: str,
        limit: int,
        *,
        served: Deployment | None,
        at: datetime,
        lease: timedelta | None = None,
    ) -> Handed:
        """Up to ``limit`` rows for this person, theirs for the policy's ``lease`` (or another)."""
        policy = Policy.stored(project.policy).labelling
        if project.schema is None:
            return Handed(reason="the project has no rows yet")
        self.book.settle(project, at=at)
        judges = self._judges(project, served, at)
        if judges is None:
            return Handed(reason=f"model {project.champion} can't be loaded to rank rows")
        rule = LeaseRule(
            per_row=policy.annotators_per_row,
            most_skips=policy.most_skips,
            seconds=(lease or policy.lease).total_seconds(),
        )
        current = self._round(project, policy, judges, limit, None, at)
        rows: tuple[Leased, ...] = ()
        while current is not None:
            rows = self._registry.labeling.lease(project.id, annotator, limit, rule, at=at)
            if len(rows) >= limit:
                break
            following = self._round(project, policy, judges, limit, current, at)
            if following is None or following.number <= current.number:
                break
            current = following
        reason = None if rows else self._why_nothing(project, at)
        model = judges.committee[0] if judges.committee else None
        return Handed(rows=rows, reason=reason, round=current, model=model)

    def _judges(self, project: Project, served: Deployment | None, at: datetime) -> _Judges | None:
        """None where there is a champion that can't be loaded."""
        with self._ranking:
            if project.champion is None:
                return _Judges(committee=(), measure=self._measures.made(project, at))
            committee = self._committee.of(project, served)
            return _Judges(committee=committee, measure=None) if committee else None

    def _round(
        self,
        project: Project,
        policy: Labelling,
        judges: _Judges,
        limit: int,
        used_up: Round | None,
        at: datetime,
    ) -> Round | None:
        """The round in force, made anew where it is old, another model's, or ``used_up`` and there is more."""
        with self._ranking:
            current = self._registry.labeling.current(project.id)
            version = self._registry.datasets.facts(project.id).version
            if current is not None:
                if used_up is not None and current.number > used_up.number:
                    return current
                is_in_force = current.model_version == judges.version
                is_in_force &= at - current.created_at < policy.refresh
                is_all = current.pool <= policy.round_rows and current.dataset_version == version
                if is_in_force and (used_up is None or is_all):
                    return current
            return self._next(project, policy, judges, limit, current, version, at)

    def _next(
        self,
        project: Project,
        policy: Labelling,
        judges: _Judges,
        limit: int,
        current: Round | None,
        version: int,
        at: datetime,
    ) -> Round | None:
        pool = unlabelled(self._registry, project, policy.pool)
        busy = self._busy(project, policy, at)
        if pool.num_rows:
            free = [row_id not in busy for row_id in pool["_row_id"].to_pylist()]
            pool = pool.filter(pa.array(free)) if any(free) else pool.slice(0, 0)
        doubts = doubted(self._registry, project, busy=busy) if policy.check_rows else ()
        if not pool.num_rows and not doubts:
            return current
        number = 0 if current is None else current.number
        seed = project.id * 1_000_003 + number
        wanted = max(policy.round_rows, limit)
        ranked = Ranked(items=(), pool=0)
        if pool.num_rows:
            ranked = self._ranked(project, policy, judges, pool, wanted, seed)
        return self._registry.labeling.open_round(
            project.id,
            with_doubted(ranked.items, doubts, share=policy.check_rows, most=wanted),
            after=number,
            model_version=judges.version,
            dataset_version=version,
            pool=ranked.pool,
            seed=seed,
            at=at,
        )

    def _ranked(
        self, project: Project, policy: Labelling, judges: _Judges, pool: pa.Table, wanted: int, seed: int
    ) -> Ranked:
        odd = self._measures.odd(project, pool)
        if not judges.committee:
            return rank_first(pool, judges.measure, policy, wanted=wanted, seed=seed, odd=odd)
        registry, committee = self._registry, judges.committee
        return rank(registry, project, committee, pool, policy, wanted=wanted, seed=seed, odd=odd)

    def _busy(self, project: Project, policy: Labelling, at: datetime) -> set[str]:
        """Rows not to be ranked now: on somebody's desk, answered and waiting, or skipped too often."""
        busy = set(self._registry.labeling.leased(project.id, at=at))
        skips: dict[str, int] = defaultdict(int)
        for answer in self._registry.labeling.answers(project.id, waiting=True):
            if answer.label is not None:
                busy.add(answer.row_id)
            else:
                skips[answer.row_id] += 1
        return busy | {row for row, count in skips.items() if count >= policy.most_skips}

    def _why_nothing(self, project: Project, at: datetime) -> str:
        leased = self._registry.labeling.leased(project.id, at=at)
        if leased:
            until = min(leased.values()).isoformat(timespec="seconds")
            return f"{len(leased)} rows are on others' desks, the first until {until}; the rest are answered or skipped"
        if self._registry.labeling.answers(project.id, waiting=True):
            return "you have answered or skipped every row there is; others may still have to"
        return "every row has its label"
