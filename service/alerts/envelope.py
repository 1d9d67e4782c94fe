"""An event as CloudEvents 1.0 (https://github.com/cloudevents/spec, structured JSON). Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from registry.alert_channels import Channel
from registry.alert_deliveries import Told
from registry.records import EventRecord
from service.alerts.kinds import TEST, kind_of, wants

MEDIA_TYPE = "application/cloudevents+json; charset=utf-8"
TEST_TYPE = "incumbent.alerts.test"


def installation(signing_key: bytes) -> str:
    """Twelve letters that tell this installation's events from those of any other; they say nothing of the key."""
    return hmac.digest(signing_key, b"alerts: which installation", hashlib.sha256).hex()[:12]


def route(origin: str) -> Any:
    """What a channel is told of an event of the installation ``origin``: see :class:`registry.alert_deliveries.Route`."""

    def told(event: EventRecord, channel: Channel) -> Told | None:
        kind = kind_of(event.type, event.data)
        if kind is None or not wants(channel.wanted, kind, event.data):
            return None
        event_id = f"{origin}-{event.number}"
        whole = envelope(event_id, event.type, kind.name, event.data, event.at)
        return Told(event_id=event_id, kind=kind.name, event=whole)

    return told


def a_test(origin: str, number: str, channel: Channel, *, by: str, at: datetime) -> Told:
    """What a channel is told to try it."""
    data = {"channel": channel.name, "reason": f"{by} asked for a test of this channel."}
    if channel.project is not None:
        data["project"] = channel.project
    event_id = f"{origin}-test-{number}"
    return Told(event_id=event_id, kind=TEST, event=envelope(event_id, TEST_TYPE, TEST, data, at))


def envelope(event_id: str, type: str, kind: str, data: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """All required attributes, and the extension ``alert``: the kind, which is finer than the type."""
    project, run = data.get("project"), data.get("run")
    subject = {} if run is None else {"subject": f"runs/{run}"}
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "/" if project is None else f"/projects/{project}",
        "type": type,
        "time": at.isoformat().replace("+00:00", "Z"),
        **subject,
        "datacontenttype": "application/json",
        "alert": kind,
        "data": dict(data),
    }
