"""Alert channels: where people want to hear of what happened, and of which kinds of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, select
from sqlalchemy.exc import IntegrityError

from registry import tables as t
from registry.alert_tables import alert_channels, alert_deliveries
from registry.database import Database
from registry.errors import Conflict, NotFound
from registry.records import Json

REMOVED = "the channel was removed before it was told"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChannel:
    """``target`` may be shown to anyone who may look; ``sealed`` is what only its reader's key opens; ``wanted`` are
    the kinds of event. Without ``project_id`` it is the whole installation's."""

    name: str
    kind: str
    target: Json
    wanted: tuple[str, ...]
    sealed: bytes | None = None
    project_id: int | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A channel; ``project`` is its project's name. It hears of events with a number above ``after_event``."""

    id: int
    name: str
    project_id: int | None
    project: str | None
    kind: str
    target: Json
    sealed: bytes | None
    wanted: tuple[str, ...]
    enabled: bool
    after_event: int
    created_at: datetime
    updated_at: datetime


class AlertChannels:
    """Channels by name, which is unique in the installation. Those of deleted projects are not found."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, new: NewChannel, *, at: datetime) -> Channel:
        """A new channel, which hears of what happens from now on. Raises Conflict (``channel_exists``)."""
        newest = select(func.coalesce(func.max(t.events.c.id), 0)).scalar_subquery()
        values = {
            "name": new.name,
            "project_id": new.project_id,
            "kind": new.kind,
            "target": dict(new.target),
            "sealed": new.sealed,
            "wanted": list(new.wanted),
            "enabled": new.enabled,
            "after_event": newest,
            "created_at": at,
            "updated_at": at,
        }
        try:
            with self._db.write() as connection:
                connection.execute(alert_channels.insert().values(values))
                return _named(connection, new.name)
        except IntegrityError as error:
            raise Conflict(f"a channel named {new.name!r} exists already", code="channel_exists") from error

    def get(self, name: str) -> Channel:
        """The channel of that name. Raises NotFound."""
        with self._db.read() as connection:
            return _named(connection, name)

    def list(self, *, project_id: int | None = None) -> tuple[Channel, ...]:
        """All channels, or those of one project only, by name."""
        with self._db.read() as connection:
            found = live_channels(connection)
        return tuple(one for one in found if project_id is None or one.project_id == project_id)

    def change(self, channel: Channel, *, at: datetime) -> Channel:
        """Keep the channel as it is given: its target, what is sealed, what it wants and whether it is enabled.
        Raises NotFound when it was removed."""
        change = alert_channels.update().where(
            alert_channels.c.id == channel.id, alert_channels.c.deleted_at.is_(None)
        )
        values = {
            "target": dict(channel.target),
            "sealed": channel.sealed,
            "wanted": list(channel.wanted),
            "enabled": channel.enabled,
            "updated_at": at,
        }
        with self._db.write() as connection:
            if not connection.execute(change.values(values)).rowcount:
                raise NotFound(f"there is no alert channel named {channel.name!r}")
        return replace(channel, updated_at=at)

    def remove(self, name: str, *, at: datetime) -> None:
        """Forget the channel with its address and secrets; what it was not told yet is given up. Its name is free
        at once. Raises NotFound."""
        with self._db.write() as connection:
            channel = _named(connection, name)
            connection.execute(
                alert_channels.update()
                .where(alert_channels.c.id == channel.id)
                .values(deleted_at=at, sealed=None, target={})
            )
            connection.execute(
                alert_deliveries.update()
                .where(
                    alert_deliveries.c.channel_id == channel.id,
                    alert_deliveries.c.status == "pending",
                )
                .values(status="gave_up", note=REMOVED, ended_at=at, expires_at=None)
            )


def live_channels(connection: Connection) -> tuple[Channel, ...]:
    """All channels that were not removed, with their projects' names, by name."""
    query = (
        select(alert_channels, t.projects.c.name.label("project"))
        .outerjoin(t.projects, t.projects.c.id == alert_channels.c.project_id)
        .where(
            alert_channels.c.deleted_at.is_(None),
            alert_channels.c.project_id.is_(None) | t.projects.c.deleted_at.is_(None),
        )
        .order_by(alert_channels.c.name)
    )
    return tuple(_record(row) for row in connection.execute(query).mappings())


def _named(connection: Connection, name: str) -> Channel:
    for channel in live_channels(connection):
        if channel.name == name:
            return channel
    raise NotFound(f"there is no alert channel named {name!r}")


def _record(row: RowMapping) -> Channel:
    values = {key: value for key, value in row.items() if key not in ("deleted_at", "wanted", "sealed")}
    sealed = row["sealed"]
    return Channel(**values, wanted=tuple(row["wanted"]), sealed=None if sealed is None else bytes(sealed))
