"""Approvals as the service uses them: asked for with a verdict, answered by people, ended by time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from registry.approval_records import Approval, ApprovalStatus, NewApproval, Said, Word
from registry.errors import NotFound, StaleFence
from registry.records import Project, Promotion
from registry.store import Registry
from service.actors import Actor
from service.approval_policy import Approval as Rule
from service.clock import Clock
from service.conclusion import CHANGED
from service.metrics import Metrics
from service.policy import Policy

logger = logging.getLogger(__name__)

GIVEN, ENDED = "incumbent.approval.given", "incumbent.approval.ended"
Events = tuple[tuple[str, Mapping[str, Any]], ...]


def asked(
    rule: Rule, project: Project, *, reason: str, now: datetime, starter: str | None = None
) -> NewApproval:
    """The question that goes with a challenger which proved better than the champion that ``project`` has."""
    return NewApproval(
        epoch=project.epoch,
        champion=project.champion,
        approvers=rule.approvers,
        reason=reason,
        expires_at=now + rule.expires_after,
        starter=starter,
    )


def approvers_now(project: Project, one: Approval) -> int:
    """How many have to approve it. A policy that asks more by now reaches those that are open; one that asks fewer does
    not."""
    if one.status is not ApprovalStatus.OPEN:
        return one.approvers
    return max(one.approvers, Policy.stored(project.policy).approval.approvers)


class Approving:
    """Takes the words of people. ``on_change`` is called after each change of champion."""

    def __init__(
        self, registry: Registry, *, clock: Clock, metrics: Metrics, on_change: Callable[[], None]
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._metrics = metrics
        self._on_change = on_change

    def approve(
        self, project: Project, number: int, actor: Actor, reason: str, *, version: int | None = None
    ) -> Approval:
        """The approval as it is then. Raises NotFound and Conflict, see :meth:`registry.approvals.Approvals.say`."""
        return self._say(project, number, Word.APPROVE, actor, reason, version)

    def refuse(self, project: Project, number: int, actor: Actor, reason: str) -> Approval:
        return self._say(project, number, Word.REFUSE, actor, reason, None)

    def waiting(self, project: Project, version: int) -> Approval | None:
        """The open approval that is about this version."""
        now = self._clock()
        return next(
            (
                one
                for one in self._registry.approvals.open(project.id)
                if version in (one.version, one.judged)
                and one.standing(project.epoch, now) is ApprovalStatus.OPEN
            ),
            None,
        )

    def look_at(self, project: Project) -> None:
        """Write down which approvals are over: those whose time is up, and whose champion has changed."""
        now = self._clock()
        for one in self._registry.approvals.open(project.id):
            standing = one.standing(project.epoch, now)
            if standing is ApprovalStatus.OPEN:
                continue
            reason = self._over(project, one, standing)
            told = ((ENDED, _data(project, one, standing, reason, by=())),)
            with suppress(StaleFence, NotFound):  # somebody was quicker
                self._registry.approvals.end(one, status=standing, reason=reason, events=told, at=now)
                self._count(project, standing)

    def _over(self, project: Project, one: Approval, standing: ApprovalStatus) -> str:
        if standing is ApprovalStatus.EXPIRED:
            said = f" {len(one.approved_by)} of {one.approvers} approved it." if one.approvers > 1 else ""
            return f"Expired: nobody decided until {one.expires_at:%Y-%m-%d %H:%M} UTC.{said}"
        newest = next(iter(self._registry.ledger.promotions(project.id, limit=1)), None)
        by = "" if newest is None else f" to version {newest.to_version} ({newest.actor}: {newest.reason})"
        return f"Stale: the champion was changed{by}."

    def _say(
        self, project: Project, number: int, word: Word, actor: Actor, reason: str, version: int | None
    ) -> Approval:
        said = Said(
            word=word, version=version, who=actor.name, key=actor.key, reason=reason, at=self._clock()
        )
        ended: list[ApprovalStatus] = []

        def tell(after: Approval, promotion: Promotion | None) -> Events:
            if after.ended_at is not None:
                ended.append(after.status)
            return _told(project, after, promotion)

        at_least = Policy.stored(project.policy).approval.approvers
        kept = self._registry.approvals.say(project.id, number, said, at_least=at_least, tell=tell)
        for status in ended:
            self._count(project, status)
            if status is ApprovalStatus.APPROVED:
                self._metrics.promotions.labels(project.name).inc()
                self._on_change()
        return kept

    def _count(self, project: Project, status: ApprovalStatus) -> None:
        self._metrics.approvals.labels(project.name, status.value).inc()


def _told(project: Project, after: Approval, promotion: Promotion | None) -> Events:
    by = tuple(dict.fromkeys(one.who for one in after.said))
    if after.status is ApprovalStatus.OPEN:
        newest = after.said[-1]
        missing = after.approvers - len(after.approved_by)
        reason = f"{newest.who} approved it: {newest.reason}. {max(1, missing)} more has to."
        return ((GIVEN, _data(project, after, after.status, reason, by=by)),)
    ended = (ENDED, _data(project, after, after.status, after.reason, by=by))
    if promotion is None:
        return (ended,)
    change = {
        "project": project.name,
        "run": after.run,
        "version": promotion.to_version,
        "from": promotion.from_version,
        "to": promotion.to_version,
        "kind": promotion.kind.value,
        "reason": promotion.reason,
        "actor": promotion.actor,
    }
    return ((CHANGED, change), ended)


def _data(
    project: Project, one: Approval, status: ApprovalStatus, reason: str, *, by: Sequence[str]
) -> Mapping[str, Any]:
    approved = one.approved_by[-1].version if one.approved_by else None
    return {
        "project": project.name,
        "approval": one.number,
        "run": one.run,
        "version": approved or one.version,
        "status": status.value,
        "by": list(by),
        "reason": reason,
    }
