"""The labelling queue as it is remembered: rounds of ranked rows, who has which on the desk, what was answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select, update

from registry.database import Database, insert_into, lock_project
from registry.label_tables import labeling_answers as answers
from registry.label_tables import labeling_items as items
from registry.label_tables import labeling_leases as leases
from registry.label_tables import labeling_rounds as rounds
from registry.tables import row_index

CHECK = "check"
"""Why a row is asked about that has a label already: somebody is to look at it once more."""
_PIECE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueItem:
    """A row worth a label. ``probability`` is the chance it had to be in its round."""

    row_id: str
    value: float
    why: str
    probability: float
    round: int = 0
    place: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One ranking. ``pool`` rows were ranked, of which the best and the drawn became items."""

    number: int
    model_version: int
    dataset_version: int
    pool: int
    seed: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RowAnswer:
    """What a person said of a row; a ``label`` of None is a skip. ``batch`` told the labels ledger."""

    row_id: str
    annotator: str
    label: str | None
    batch: int | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """An item on somebody's desk, and until when; ``votes`` others have labelled the row so far."""

    item: QueueItem
    votes: int
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRule:
    """``per_row`` different people label a row, one more where they don't agree; ``most_skips`` end it."""

    per_row: int
    most_skips: int
    seconds: float


class Labeling:
    """Thread-safe; several processes may share it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def current(self, project_id: int) -> Round | None:
        """The newest round."""
        with self._db.read() as connection:
            return _current(connection, project_id)

    def rounds(self, project_id: int, limit: int = 20) -> tuple[Round, ...]:
        """The newest rounds, newest first."""
        query = select(rounds).where(rounds.c.project_id == project_id).order_by(rounds.c.number.desc())
        with self._db.read() as connection:
            return tuple(map(_round, connection.execute(query.limit(limit))))

    def open_round(
        self,
        project_id: int,
        ranked: Sequence[QueueItem],
        *,
        after: int,
        model_version: int,
        dataset_version: int,
        pool: int,
        seed: int,
        at: datetime,
    ) -> Round:
        """Begin the round after number ``after`` (0: the first); where another process did, that is the answer."""
        with self._db.write() as connection:
            lock_project(connection, project_id)
            current = _current(connection, project_id)
            if current is not None and current.number > after:
                return current
            values = {
                "project_id": project_id,
                "number": after + 1,
                "model_version": model_version,
                "dataset_version": dataset_version,
                "pool": pool,
                "seed": seed,
                "created_at": at,
            }
            row = connection.execute(insert(rounds).values(values).returning(rounds)).one()
            if ranked:
                connection.execute(
                    insert(items),
                    [
                        {
                            "project_id": project_id,
                            "round": after + 1,
                            "place": place,
                            "row_id": each.row_id,
                            "value": each.value,
                            "why": each.why,
                            "probability": each.probability,
                        }
                        for place, each in enumerate(ranked)
                    ],
                )
            return _round(row)

    def lease(
        self, project_id: int, annotator: str, limit: int, rule: LeaseRule, *, at: datetime
    ) -> tuple[Leased, ...]:
        """Up to ``limit`` rows for this person: those on their desk already, then others, most useful first.

        Rows that somebody has labelled and that need more labels come first. Nobody else gets a row while
        enough people have it on the desk.
        """
        with self._db.write() as connection:
            lock_project(connection, project_id)
            connection.execute(
                delete(leases).where(leases.c.project_id == project_id, leases.c.expires_at <= at)
            )
            found = _waiting(connection, project_id)
            desk = _Desk.of(connection, project_id, annotator)
            chosen = [each for each in found if desk.may_have(each.row_id, rule)]
            chosen.sort(key=lambda each: (not desk.is_mine(each.row_id), not desk.votes(each.row_id)))
            until = at + timedelta(seconds=rule.seconds)
            del chosen[limit:]
            for each in chosen:
                row = {"project_id": project_id, "row_id": each.row_id, "annotator": annotator}
                new = insert_into(connection, leases).values(**row, expires_at=until)
                keys = [leases.c.project_id, leases.c.row_id, leases.c.annotator]
                connection.execute(new.on_conflict_do_update(index_elements=keys, set_={"expires_at": until}))
            return tuple(Leased(item=each, votes=desk.votes(each.row_id), until=until) for each in chosen)

    def answer(
        self, project_id: int, annotator: str, given: Sequence[tuple[str, str | None]], *, at: datetime
    ) -> None:
        """Keep a person's answers (row id, label or None for a skip), in place of open ones to the same rows."""
        if not given:
            return
        ids = [row_id for row_id, _ in given]
        rows = [
            {"project_id": project_id, "row_id": row_id, "annotator": annotator, "label": label, "at": at}
            for row_id, label in dict(given).items()
        ]
        with self._db.write() as connection:
            lock_project(connection, project_id)
            for start in range(0, len(ids), _PIECE):
                some = ids[start : start + _PIECE]
                for table in (answers, leases):
                    mine = and_(
                        table.c.project_id == project_id,
                        table.c.annotator == annotator,
                        table.c.row_id.in_(some),
                    )
                    open_ones = answers.c.batch.is_(None) & answers.c.revoked.is_(None)
                    connection.execute(delete(table).where(mine & open_ones if table is answers else mine))
            connection.execute(insert(answers), rows)

    def told(self, project_id: int, row_ids: Collection[str], batch: int) -> None:
        """The answers to these rows are in the labels ledger, as of a batch."""
        ids = sorted(row_ids)
        with self._db.write() as connection:
            for start in range(0, len(ids), _PIECE):
                some = answers.c.row_id.in_(ids[start : start + _PIECE])
                change = update(answers).where(_standing(project_id), answers.c.batch.is_(None), some)
                connection.execute(change.values(batch=batch))

    def answers(self, project_id: int, *, waiting: bool = False) -> tuple[RowAnswer, ...]:
        """All answers that stand, oldest first; with ``waiting`` those not yet in the labels ledger."""
        query = select(answers).where(_standing(project_id))
        if waiting:
            query = query.where(answers.c.batch.is_(None))
        with self._db.read() as connection:
            return tuple(map(_answer, connection.execute(query.order_by(answers.c.id))))

    def items(self, project_id: int, round_: int) -> tuple[QueueItem, ...]:
        """The rows of a round in their order."""
        query = select(items).where(items.c.project_id == project_id, items.c.round == round_)
        with self._db.read() as connection:
            return tuple(map(_item, connection.execute(query.order_by(items.c.place))))

    def checks(self, project_id: int, row_ids: Collection[str]) -> set[str]:
        """Which of these rows were handed out to have their label looked at, and have no answer in the labels ledger."""
        ids = sorted(row_ids)
        found: set[str] = set()
        with self._db.read() as connection:
            for start in range(0, len(ids), _PIECE):
                query = select(items.c.row_id).where(
                    items.c.project_id == project_id,
                    items.c.why == CHECK,
                    items.c.row_id.in_(ids[start : start + _PIECE]),
                    items.c.row_id.not_in(_settled(project_id)),
                )
                found.update(connection.execute(query).scalars())
        return found

    def leased(self, project_id: int, *, at: datetime) -> dict[str, datetime]:
        """Rows on anyone's desk, and until when at the latest."""
        query = select(leases).where(leases.c.project_id == project_id, leases.c.expires_at > at)
        found: dict[str, datetime] = {}
        with self._db.read() as connection:
            for row in connection.execute(query):
                found[row.row_id] = max(row.expires_at, found.get(row.row_id, row.expires_at))
        return found


class _Desk:
    """Who has, labelled or skipped which row; and whether one person may have another."""

    def __init__(self, annotator: str) -> None:
        self._annotator = annotator
        self._holders: dict[str, set[str]] = defaultdict(set)
        self._voters: dict[str, set[str]] = defaultdict(set)
        self._skippers: dict[str, set[str]] = defaultdict(set)

    @classmethod
    def of(cls, connection: Connection, project_id: int, annotator: str) -> _Desk:
        desk = cls(annotator)
        for row in connection.execute(select(leases).where(leases.c.project_id == project_id)):
            desk._holders[row.row_id].add(row.annotator)
        query = select(answers).where(_standing(project_id), answers.c.batch.is_(None))
        for row in connection.execute(query):
            (desk._skippers if row.label is None else desk._voters)[row.row_id].add(row.annotator)
        return desk

    def is_mine(self, row_id: str) -> bool:
        return self._annotator in self._holders.get(row_id, ())

    def votes(self, row_id: str) -> int:
        return len(self._voters.get(row_id, ()))

    def may_have(self, row_id: str, rule: LeaseRule) -> bool:
        voters, skippers = self._voters.get(row_id, set()), self._skippers.get(row_id, set())
        if self._annotator in voters | skippers or len(skippers) >= rule.most_skips:
            return False
        wanted = max(rule.per_row, len(voters) + 1)  # all there and still here: they don't agree
        return len(voters) + len(self._holders.get(row_id, set()) - {self._annotator}) < wanted


def _waiting(connection: Connection, project_id: int) -> list[QueueItem]:
    """The rows of the newest round, and those of earlier ones that have answers, as far as they have no truth, or are to be
    looked at once more and were not."""
    current = _current(connection, project_id)
    if current is None:
        return []
    begun = select(answers.c.row_id).where(_standing(project_id), answers.c.batch.is_(None))
    query = (
        select(items)
        .join(row_index, and_(row_index.c.project_id == project_id, row_index.c.row_id == items.c.row_id))
        .where(
            items.c.project_id == project_id,
            or_(
                row_index.c.truth.is_(None),
                and_(items.c.why == CHECK, items.c.row_id.not_in(_settled(project_id))),
            ),
        )
        .where(or_(items.c.round == current.number, items.c.row_id.in_(begun)))
        .order_by(items.c.round.desc(), items.c.place)
    )
    found: dict[str, QueueItem] = {}
    for row in connection.execute(query):
        found.setdefault(row.row_id, _item(row))
    return list(found.values())


def _settled(project_id: int) -> Any:
    """The rows with an answer that is in the labels ledger."""
    return select(answers.c.row_id).where(_standing(project_id), answers.c.batch.is_not(None))


def _standing(project_id: int) -> Any:
    return and_(answers.c.project_id == project_id, answers.c.revoked.is_(None))


def _current(connection: Connection, project_id: int) -> Round | None:
    query = select(rounds).where(rounds.c.project_id == project_id).order_by(rounds.c.number.desc())
    row = connection.execute(query.limit(1)).one_or_none()
    return None if row is None else _round(row)


def _round(row: Row[Any]) -> Round:
    return Round(
        number=row.number,
        model_version=row.model_version,
        dataset_version=row.dataset_version,
        pool=row.pool,
        seed=row.seed,
        created_at=row.created_at,
    )


def _item(row: Row[Any]) -> QueueItem:
    return QueueItem(
        row_id=row.row_id,
        value=row.value,
        why=row.why,
        probability=row.probability,
        round=row.round,
        place=row.place,
    )


def _answer(row: Row[Any]) -> RowAnswer:
    return RowAnswer(row_id=row.row_id, annotator=row.annotator, label=row.label, batch=row.batch, at=row.at)
