"""What alert channels are told: put there once for each event, taken by one at a time, told at least once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select

from registry import tables as t
from registry.alert_channels import Channel, live_channels
from registry.alert_tables import alert_channels, alert_deliveries, alert_progress
from registry.database import Database, insert_into
from registry.errors import NotFound, StaleFence
from registry.records import EventRecord, Json

d = alert_deliveries.c


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    GAVE_UP = "gave_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a channel is told: an event's own id, its kind, and the whole event as it is sent."""

    event_id: str
    kind: str
    event: Json


Route: TypeAlias = Callable[[EventRecord, Channel], Told | None]
"""What a channel is told of an event; None where it does not want to hear of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """``note`` is what the last attempt came to; ``due_at`` when the next one is made, while it is pending."""

    id: int
    channel_id: int
    event_id: str
    kind: str
    event: Json
    status: DeliveryStatus
    attempts: int
    due_at: datetime
    fence: int
    note: str | None
    created_at: datetime
    attempted_at: datetime | None
    ended_at: datetime | None


class AlertDeliveries:
    """Deliveries of all channels. Thread-safe; of many processes one at a time holds a delivery."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def fan_out(self, route: Route, *, at: datetime, most: int = 200) -> int:
        """Put up to ``most`` new events on the channels that want them; how many events were looked at. An event
        reaches a channel once, however many processes do this and whenever they die."""
        if not self._has_news():
            return 0
        with self._db.write() as connection:
            upto = _progress(connection, lock=True)
            channels = tuple(one for one in live_channels(connection) if one.enabled)
            newest = connection.execute(select(func.max(t.events.c.id))).scalar() or upto
            # What happened before all of the channels is passed over.
            start = max(upto, min((one.after_event for one in channels), default=newest))
            query = select(t.events).where(t.events.c.id > start).order_by(t.events.c.id).limit(most)
            events = [_event(row) for row in connection.execute(query).mappings()]
            for event in events:
                for channel in channels:
                    if _hears(channel, event) and (told := route(event, channel)) is not None:
                        _put(connection, channel.id, told, at)
            reached = events[-1].number if events else start
            connection.execute(alert_progress.update().values(upto=reached))
            return len(events)

    def put(self, channel_id: int, told: Told, *, at: datetime) -> Delivery:
        """Have a channel told something that is no event of the ledger (a test). Putting it twice does nothing."""
        with self._db.write() as connection:
            _put(connection, channel_id, told, at)
            mine = select(alert_deliveries).where(d.channel_id == channel_id, d.event_id == told.event_id)
            return _record(connection.execute(mine).mappings().one())

    def claim(self, owner: str, *, lease_seconds: float, at: datetime) -> Delivery | None:
        """Take the delivery that is due first and that nobody holds, of a channel that nobody is telling
        something; None when there is none. Each taking is an attempt, and has a larger fence than those before."""
        with self._db.read() as connection:
            if connection.execute(_due(at)).first() is None:
                return None
        with self._db.write() as connection:
            query = _due(at).with_for_update(skip_locked=True, of=alert_deliveries)
            found = connection.execute(query).scalar_one_or_none()
            if found is None:
                return None
            taken = (
                alert_deliveries.update()
                .where(d.id == found)
                .values(
                    owner=owner,
                    fence=d.fence + 1,
                    attempts=d.attempts + 1,
                    attempted_at=at,
                    expires_at=at + timedelta(seconds=lease_seconds),
                )
            )
            return _record(connection.execute(taken.returning(alert_deliveries)).mappings().one())

    def delivered(self, delivery: Delivery, *, note: str, at: datetime) -> None:
        """It was told. Raises StaleFence when another holds it now."""
        self._settle(delivery, status=DeliveryStatus.DELIVERED, note=note, ended_at=at, expires_at=None)

    def failed(self, delivery: Delivery, *, note: str, again_at: datetime | None, at: datetime) -> None:
        """It was not told: try again then, or give up. Raises StaleFence when another holds it now."""
        if again_at is None:
            self._settle(delivery, status=DeliveryStatus.GAVE_UP, note=note, ended_at=at, expires_at=None)
        else:
            self._settle(delivery, note=note, due_at=again_at, expires_at=None)

    def get(self, delivery_id: int) -> Delivery:
        """The delivery of that number. Raises NotFound."""
        with self._db.read() as connection:
            query = select(alert_deliveries).where(d.id == delivery_id)
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound(f"there is no delivery {delivery_id}")
        return _record(row)

    def list(self, channel_id: int, *, limit: int = 50, before: int | None = None) -> tuple[Delivery, ...]:
        """The channel's newest deliveries (with a number below ``before``), newest first."""
        query = select(alert_deliveries).where(d.channel_id == channel_id)
        if before is not None:
            query = query.where(d.id < before)
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(d.id.desc()).limit(limit)).mappings()
            return tuple(_record(row) for row in rows)

    def waiting(self) -> tuple[int, datetime | None]:
        """How many deliveries wait, and since when the oldest of them does."""
        query = select(func.count(), func.min(d.created_at)).where(d.status == DeliveryStatus.PENDING)
        with self._db.read() as connection:
            count, oldest = connection.execute(query).one()
            return int(count), oldest

    def prune(self, *, before: datetime) -> int:
        """Forget what had ended by then; how many."""
        with self._db.write() as connection:
            old = (d.status != DeliveryStatus.PENDING) & (d.ended_at < before)
            return connection.execute(alert_deliveries.delete().where(old)).rowcount

    def _has_news(self) -> bool:
        with self._db.read() as connection:
            newest = connection.execute(select(func.max(t.events.c.id))).scalar() or 0
            return int(newest) > _progress(connection)

    def _settle(self, delivery: Delivery, **values: Any) -> None:
        held = (d.id == delivery.id) & (d.fence == delivery.fence) & (d.status == DeliveryStatus.PENDING)
        with self._db.write() as connection:
            if not connection.execute(alert_deliveries.update().where(held).values(values)).rowcount:
                raise StaleFence(f"delivery {delivery.id} is another worker's now, or was given up")


def _progress(connection: Connection, *, lock: bool = False) -> int:
    query = select(alert_progress.c.upto)
    return int(connection.execute(query.with_for_update() if lock else query).scalar_one())


def _hears(channel: Channel, event: EventRecord) -> bool:
    mine = channel.project_id is None or channel.project_id == event.project_id
    return mine and event.number > channel.after_event


def _put(connection: Connection, channel_id: int, told: Told, at: datetime) -> None:
    values: Mapping[str, Any] = {
        "channel_id": channel_id,
        "event_id": told.event_id,
        "kind": told.kind,
        "event": told.event,
        "status": DeliveryStatus.PENDING,
        "attempts": 0,
        "fence": 0,
        "due_at": at,
        "created_at": at,
    }
    new = insert_into(connection, alert_deliveries).values(values)
    connection.execute(new.on_conflict_do_nothing())


def _due(at: datetime) -> Any:
    """The id of the delivery to be made next."""
    other = alert_deliveries.alias()
    telling = select(other.c.id).where(
        other.c.channel_id == d.channel_id,
        other.c.status == DeliveryStatus.PENDING,
        other.c.expires_at > at,
    )
    free: ColumnElement[bool] = d.expires_at.is_(None) | (d.expires_at <= at)
    return (
        select(d.id)
        .join(alert_channels, alert_channels.c.id == d.channel_id)
        .where(
            d.status == DeliveryStatus.PENDING,
            d.due_at <= at,
            free,
            alert_channels.c.enabled,
            alert_channels.c.deleted_at.is_(None),
            ~telling.exists(),
        )
        .order_by(d.due_at, d.id)
        .limit(1)
    )


def _event(row: RowMapping) -> EventRecord:
    return EventRecord(number=row["id"], **{key: value for key, value in row.items() if key != "id"})


def _record(row: RowMapping) -> Delivery:
    values = {key: value for key, value in row.items() if key not in ("owner", "expires_at", "status")}
    return Delivery(status=DeliveryStatus(row["status"]), **values)
