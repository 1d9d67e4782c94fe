"""Approvals: a challenger that waits for people, what they say, and what becomes of it.

An approval is asked for in the transaction that concludes what found the challenger, and ends in one with the change of
champion it brings. It is valid for the champion that the challenger was compared with: once that has changed, or the
time is up, no word counts any more, whether or not anyone has written so down yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, select, update

from registry import tables as t
from registry.approval_records import Approval, ApprovalStatus, NewApproval, Said, Word
from registry.approval_tables import approval_words as words
from registry.approval_tables import approvals as table
from registry.database import Database, lock_project
from registry.errors import Conflict, NotFound, StaleEpoch, StaleFence
from registry.ledger import append_events, promote_locked
from registry.records import Json, NewPromotion, Promotion, PromotionKind

Tell = Callable[[Approval, Promotion | None], Sequence[tuple[str, Json]]]
"""The events of an approval as it stands after a word, with the promotion that it brought."""


_AGREES = {
    Word.APPROVE: (ApprovalStatus.OPEN, ApprovalStatus.APPROVED),
    Word.REFUSE: (ApprovalStatus.REFUSED,),
}


class Approvals:
    """Approvals by project, numbered in the order they were asked for."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def say(self, project_id: int, number: int, said: Said, *, at_least: int = 1, tell: Tell) -> Approval:
        """Keep what somebody says, and what follows from it: a refusal ends it, the last approval that was needed makes
        the version champion; all of it or nothing. Said again by the same one it changes nothing.

        Only approvals of keys that are still valid, and of the same version, count where more than one is needed:
        as many as were asked for, or ``at_least`` where that is more by now. Raises NotFound, and Conflict:
        ``approval_ended``, ``approval_stale``, ``approval_expired`` (no word counts any more), ``other_version`` (it is
        about another one), ``key_needed`` (who can't be told from others can't be one of two).
        """
        with self._db.write() as connection:
            project = lock_project(connection, project_id)
            approval_id, before = _one(connection, project_id, number)
            before = _raised(connection, approval_id, before, at_least)
            epoch = int(project["epoch"])
            if _repeats(before, said) and before.standing(epoch, said.at) in _AGREES[said.word]:
                return before
            _require_open(before, epoch, said)
            if said.word is Word.APPROVE:
                said = _of_version(connection, before, said)
            row = {"approval_id": approval_id, "word": said.word, "version": said.version, "who": said.who}
            more = {"key": said.key, "reason": said.reason, "at": said.at}
            connection.execute(words.insert().values(**row, **more))
            after, promotion = _follow(connection, approval_id, before, said)
            append_events(connection, project_id, tell(after, promotion), at=said.at)
            return after

    def end(
        self,
        approval: Approval,
        *,
        status: ApprovalStatus,
        reason: str,
        events: Sequence[tuple[str, Json]] = (),
        at: datetime,
    ) -> Approval:
        """Write down that it is over without a word. Raises StaleFence when it has ended meanwhile, or is not over in
        the way of ``status`` at all."""
        with self._db.write() as connection:
            project = lock_project(connection, approval.project_id)
            approval_id, now = _one(connection, approval.project_id, approval.number)
            if now.status is not ApprovalStatus.OPEN:
                raise StaleFence(f"approval {approval.number} has ended meanwhile: {now.status}")
            standing = now.standing(int(project["epoch"]), at)
            if standing is not status:
                raise StaleFence(f"approval {approval.number} is {standing}, not {status}")
            ended = _ended(connection, approval_id, status, reason, at)
            append_events(connection, approval.project_id, events, at=at)
            return ended

    def get(self, project_id: int, number: int) -> Approval:
        """The project's approval of that number. Raises NotFound."""
        with self._db.read() as connection:
            return _one(connection, project_id, number)[1]

    def list(self, project_id: int, limit: int = 50) -> tuple[Approval, ...]:
        """The newest approvals, newest first."""
        query = select(table).where(table.c.project_id == project_id).order_by(table.c.number.desc())
        with self._db.read() as connection:
            return _records(connection, connection.execute(query.limit(limit)).mappings().all())

    def open(self, project_id: int) -> tuple[Approval, ...]:
        """Those that nobody has written down as ended, oldest first."""
        query = select(table).where(table.c.project_id == project_id, table.c.status == ApprovalStatus.OPEN)
        with self._db.read() as connection:
            return _records(connection, connection.execute(query.order_by(table.c.number)).mappings().all())

    def binding(self, approval: Approval) -> tuple[Said, ...]:
        """What counts of those who approved it: not the words of keys that were revoked since."""
        with self._db.read() as connection:
            return tuple(_valid(connection, approval.approved_by))

    def of_run(self, project_id: int, run: int) -> Approval | None:
        """The newest approval that was asked for what this run found."""
        query = select(table).where(table.c.project_id == project_id, table.c.run == run)
        with self._db.read() as connection:
            newest = query.order_by(table.c.number.desc()).limit(1)
            found = _records(connection, connection.execute(newest).mappings().all())
        return next(iter(found), None)


def ask_locked(
    connection: Connection,
    project_id: int,
    new: NewApproval,
    *,
    judged: int,
    version: int,
    run: int | None,
    probation: int | None = None,
    at: datetime,
) -> None:
    """The question's part of a larger transaction. Raises StaleEpoch when the champion changed since what is asked about
    was compared with it: nobody could answer."""
    project = lock_project(connection, project_id)
    if project["epoch"] != new.epoch:
        raise StaleEpoch(f"the project moved on from epoch {new.epoch} to {project['epoch']}")
    newest = connection.execute(
        select(func.max(table.c.number)).where(table.c.project_id == project_id)
    ).scalar()
    connection.execute(
        table.insert().values(
            project_id=project_id,
            number=(newest or 0) + 1,
            epoch=new.epoch,
            run=run,
            probation=probation,
            champion=new.champion,
            judged=judged,
            version=version,
            starter=new.starter,
            approvers=new.approvers,
            status=ApprovalStatus.OPEN,
            reason=new.reason,
            asked_at=at,
            expires_at=new.expires_at,
        )
    )


def _repeats(before: Approval, said: Said) -> bool:
    """Whether it was said already by the same one: an answer that was lost is asked for again."""
    wanted = before.version if said.version is None else said.version
    return any(
        one.who == said.who and one.word is said.word and (said.word is Word.REFUSE or one.version == wanted)
        for one in before.said
    )


def _require_open(before: Approval, epoch: int, said: Said) -> None:
    standing = before.standing(epoch, said.at)
    if before.status is not ApprovalStatus.OPEN:
        raise Conflict(
            f"approval {before.number} has ended: {before.status}, {before.reason}", code="approval_ended"
        )
    if standing is ApprovalStatus.STALE:
        raise Conflict(
            f"approval {before.number} is stale: the champion changed since it was asked for "
            f"(epoch {before.epoch} then, {epoch} now), and version {before.judged} was not compared with "
            "the one there is",
            code="approval_stale",
        )
    if standing is ApprovalStatus.EXPIRED:
        raise Conflict(
            f"approval {before.number} expired at {before.expires_at:%Y-%m-%d %H:%M} UTC",
            code="approval_expired",
        )
    if said.word is Word.APPROVE and before.approvers > 1 and said.key is None:
        raise Conflict(
            f"approval {before.number} takes {before.approvers} different keys, and no key was shown",
            code="key_needed",
        )


def _raised(connection: Connection, approval_id: int, before: Approval, at_least: int) -> Approval:
    """An open one asks as many as are asked today; fewer than when it was asked for it never does."""
    if before.status is not ApprovalStatus.OPEN or at_least <= before.approvers:
        return before
    connection.execute(update(table).where(table.c.id == approval_id).values(approvers=at_least))
    return replace(before, approvers=at_least)


def _of_version(connection: Connection, before: Approval, said: Said) -> Said:
    """The word with the version that it is about: that of those who approved it, unless their keys were revoked."""
    version = before.version if said.version is None else said.version
    if version not in (before.version, before.judged):
        choice = " or ".join(map(str, sorted({before.judged, before.version})))
        raise Conflict(
            f"approval {before.number} is about version {choice}, not {version}", code="other_version"
        )
    binding = _valid(connection, before.approved_by)
    other = next((one for one in binding if one.version != version), None)
    if other is not None:
        raise Conflict(
            f"{other.who} approved version {other.version}, not {version}; all have to approve the same",
            code="other_version",
        )
    return replace(said, version=version)


def _follow(
    connection: Connection, approval_id: int, before: Approval, said: Said
) -> tuple[Approval, Promotion | None]:
    """What the word brings about."""
    if said.word is Word.REFUSE:
        reason = f"Refused by {said.who}: {said.reason}"
        return _ended(connection, approval_id, ApprovalStatus.REFUSED, reason, said.at), None
    same = (one for one in before.approved_by if one.version == said.version)
    valid = _valid(connection, (*same, said))
    if len(valid) < before.approvers:
        return _by_id(connection, approval_id), None
    assert said.version is not None
    told = "; ".join(f"{one.who}: {one.reason}" for one in valid)
    approved = _ended(connection, approval_id, ApprovalStatus.APPROVED, f"Approved by {told}", said.at)
    new = NewPromotion(
        expected_epoch=before.epoch,
        kind=PromotionKind.MANUAL,
        reason=said.reason if len(valid) == 1 else told,
        actor=", ".join(one.who for one in valid),
    )
    run = before.run
    return approved, promote_locked(connection, before.project_id, said.version, new, run=run, at=said.at)


def _valid(connection: Connection, approving: Sequence[Said]) -> list[Said]:
    """Without those whose key was revoked since."""
    keys = [one.key for one in approving if one.key is not None]
    query = select(t.api_keys.c.prefix).where(
        t.api_keys.c.prefix.in_(keys), t.api_keys.c.revoked_at.is_not(None)
    )
    revoked = set(connection.execute(query).scalars())
    return [one for one in approving if one.key not in revoked]


def _ended(
    connection: Connection, approval_id: int, status: ApprovalStatus, reason: str, at: datetime
) -> Approval:
    change = update(table).where(table.c.id == approval_id).values(status=status, reason=reason, ended_at=at)
    connection.execute(change)
    return _by_id(connection, approval_id)


def _one(connection: Connection, project_id: int, number: int) -> tuple[int, Approval]:
    query = select(table).where(table.c.project_id == project_id, table.c.number == number)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no approval {number}")
    return row["id"], _records(connection, [row])[0]


def _by_id(connection: Connection, approval_id: int) -> Approval:
    row = connection.execute(select(table).where(table.c.id == approval_id)).mappings().one()
    return _records(connection, [row])[0]


def _records(connection: Connection, rows: Sequence[RowMapping]) -> tuple[Approval, ...]:
    """The rows with all that was said of each, in its order."""
    said: dict[int, list[Said]] = {row["id"]: [] for row in rows}
    query = select(words).where(words.c.approval_id.in_(list(said))).order_by(words.c.id)
    for one in connection.execute(query).mappings():
        values = {key: value for key, value in one.items() if key not in ("id", "approval_id", "word")}
        said[one["approval_id"]].append(Said(word=Word(one["word"]), **values))
    return tuple(
        Approval(
            status=ApprovalStatus(row["status"]),
            said=tuple(said[row["id"]]),
            **{key: value for key, value in row.items() if key not in ("id", "status")},
        )
        for row in rows
    )
