"""Channels as people make, change and try them, through the API and the dashboard alike."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import SplitResult

from registry.alert_channels import Channel, NewChannel
from registry.alert_deliveries import Delivery
from registry.errors import NotFound
from registry.records import Project
from registry.store import Registry
from service.alerts.addresses import PORTS, fault, parsed, shown_address
from service.alerts.envelope import a_test
from service.alerts.kinds import BY_NAME, USUAL
from service.alerts.mail import plain_address
from service.alerts.room import AlertRoom
from service.alerts.seals import seal, unseal
from service.alerts.signature import key_of, new_secret
from service.alerts.telling import post_office
from service.clock import Clock
from service.host_guard import SETTING, Forbidden
from service.problems import Problem
from service.settings import Settings

CHANNEL_KINDS = ("webhook", "slack", "email")
BOTH_SECRETS = timedelta(hours=24)
"""So long after a new secret the old one is signed with as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A channel as somebody describes it."""

    name: str
    kind: str
    url: str | None = None
    to: Sequence[str] = ()
    secret: str | None = None
    events: Sequence[str] | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """``project`` narrows it to that project's channels; None is the whole installation's desk, which has them all."""

    registry: Registry
    settings: Settings
    clock: Clock
    room: AlertRoom
    project: Project | None = None

    def add(self, asked: Asked) -> tuple[Channel, str | None]:
        """The channel, and the signing secret where one was made for it: it can't be had again. Raises problems."""
        target, known, made = self._described(asked)
        key = self.registry.signing_key
        new = NewChannel(
            name=asked.name,
            kind=asked.kind,
            target=target,
            sealed=seal(key, known) if known else None,
            wanted=_wanted(asked.events),
            project_id=None if self.project is None else self.project.id,
            enabled=asked.enabled,
        )
        return self.registry.alert_channels.add(new, at=self.clock()), made

    def channels(self) -> tuple[Channel, ...]:
        only = None if self.project is None else self.project.id
        return self.registry.alert_channels.list(project_id=only)

    def channel(self, name: str) -> Channel:
        """Raises a 404 problem for a name that this desk does not have."""
        try:
            found = self.registry.alert_channels.get(name)
        except NotFound as error:
            raise _unknown(str(error)) from None
        if self.project is not None and found.project_id != self.project.id:
            raise _unknown(f"the project {self.project.name!r} has no alert channel named {name!r}")
        return found

    def change(
        self,
        name: str,
        *,
        url: str | None = None,
        to: Sequence[str] | None = None,
        events: Sequence[str] | None = None,
        enabled: bool | None = None,
    ) -> Channel:
        """The channel with what is given in place of what it had. Raises problems."""
        channel = self.channel(name)
        if events is not None:
            channel = replace(channel, wanted=_wanted(events))
        if enabled is not None:
            channel = replace(channel, enabled=enabled)
        if url is not None or to is not None:
            channel = self._moved(channel, url, to)
        changed = self.registry.alert_channels.change(channel, at=self.clock())
        self.room.nudge()
        return changed

    def renew_secret(self, name: str) -> str:
        """A new signing secret. Calls are signed with the one before as well for a day. Raises problems."""
        channel = self.channel(name)
        if channel.kind != "webhook":
            raise Problem(
                409,
                "channel_unsigned",
                f"A channel of the kind {channel.kind} is not signed.",
                remedy="Only webhooks have a secret.",
            )
        now, key = self.clock(), self.registry.signing_key
        known, secret = unseal(key, channel.sealed), new_secret()
        before = {"secret": known["secret"], "until": (now + BOTH_SECRETS).isoformat()}
        sealed = seal(key, {"url": known["url"], "secret": secret, "before": before})
        self.registry.alert_channels.change(replace(channel, sealed=sealed), at=now)
        return secret

    def remove(self, name: str) -> None:
        """Raises a 404 problem."""
        self.registry.alert_channels.remove(self.channel(name).name, at=self.clock())

    def test(self, name: str, *, by: str) -> Delivery:
        """Have the channel told that it is tried; what comes of it stands among its deliveries. Raises problems."""
        channel, at = self.channel(name), self.clock()
        if not channel.enabled:
            raise Problem(
                409,
                "channel_paused",
                f"The channel {name!r} is paused: nothing is told on it.",
                remedy='Let it go on first: PATCH it with {"enabled": true}.',
            )
        told = a_test(self.room.origin, uuid.uuid4().hex[:12], channel, by=by, at=at)
        put = self.registry.alert_deliveries.put(channel.id, told, at=at)
        self.room.nudge()
        return put

    def deliveries(self, name: str, *, limit: int = 50, before: int | None = None) -> tuple[Delivery, ...]:
        """The newest first. Raises a 404 problem."""
        channel = self.channel(name)
        return self.registry.alert_deliveries.list(channel.id, limit=limit, before=before)

    def _described(self, asked: Asked) -> tuple[dict[str, Any], dict[str, Any], str | None]:
        """What may be shown, what is sealed, and a secret that was made."""
        if asked.kind not in CHANNEL_KINDS:
            raise fault(
                "kind", f"there is no kind of channel {asked.kind[:50]!r}", "Choose webhook, slack or email."
            )
        if asked.kind == "email":
            _absent("url", asked.url, asked.kind)
            _absent("secret", asked.secret, asked.kind)
            return {"to": self._recipients(asked.to)}, {}, None
        _absent("to", asked.to or None, asked.kind)
        url = self._checked(asked.url, asked.kind)
        known: dict[str, Any] = {"url": url.geturl()}
        if asked.kind == "slack":
            _absent("secret", asked.secret, asked.kind)
            return {"address": f"{url.scheme}://{url.netloc}/…"}, known, None
        made = new_secret() if asked.secret is None else None
        known["secret"] = made or _given_secret(asked.secret or "")
        return {"address": shown_address(url)}, known, made

    def _moved(self, channel: Channel, url: str | None, to: Sequence[str] | None) -> Channel:
        if channel.kind == "email":
            _absent("url", url, channel.kind)
            return replace(channel, target={"to": self._recipients(to or ())})
        _absent("to", to, channel.kind)
        checked, key = self._checked(url, channel.kind), self.registry.signing_key
        known = {**unseal(key, channel.sealed), "url": checked.geturl()}
        hidden = f"{checked.scheme}://{checked.netloc}/…"
        shown = hidden if channel.kind == "slack" else shown_address(checked)
        return replace(channel, target={"address": shown}, sealed=seal(key, known))

    def _checked(self, text: str | None, kind: str) -> SplitResult:
        """The address, of a host that may be called. It is looked up again whenever it is called."""
        if not text:
            raise fault(
                "url", f"a channel of the kind {kind} needs a url", "Give the address that takes POSTs."
            )
        url = parsed(text)
        try:
            self.room.teller.guard.addresses(str(url.hostname), url.port or PORTS[url.scheme])
        except Forbidden as error:
            raise Problem(
                422,
                "address_forbidden",
                f"{error}.",
                field="url",
                remedy=f"Take a public address, or name the host or network in {SETTING} where the server starts.",
            ) from None
        except OSError as error:
            remedy = "Check its name, and that the server can look it up."
            raise fault("url", f"the host {url.hostname!r} is not found: {error}", remedy) from None
        return url

    def _recipients(self, to: Sequence[str]) -> list[str]:
        if post_office(self.settings) is None:
            raise Problem(
                409,
                "no_mail_server",
                "This server can't send mail yet: no mail server is set.",
                remedy="Start it with INCUMBENT_SMTP_HOST and INCUMBENT_SMTP_FROM; see docs/alerts.md.",
            )
        if not to:
            raise fault("to", "a channel of the kind email needs recipients", "Give one address or more.")
        try:
            return [plain_address(one) for one in to]
        except ValueError as error:
            raise fault("to", str(error), "Write it like anna@example.org.") from None


def shown(channel: Channel) -> dict[str, Any]:
    """The channel as it may be read: no secret, and of an address only what is none."""
    return {
        "name": channel.name,
        "kind": channel.kind,
        "project": channel.project,
        **channel.target,
        "events": list(channel.wanted),
        "enabled": channel.enabled,
        "created_at": channel.created_at,
        "updated_at": channel.updated_at,
    }


def shown_delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "delivery": delivery.id,
        "id": delivery.event_id,
        "kind": delivery.kind,
        "status": delivery.status.value,
        "attempts": delivery.attempts,
        "note": delivery.note,
        "created_at": delivery.created_at,
        "attempted_at": delivery.attempted_at,
        "due_at": delivery.due_at if delivery.ended_at is None else None,
        "ended_at": delivery.ended_at,
        "event": dict(delivery.event),
    }


def _given_secret(secret: str) -> str:
    try:
        key_of(secret)
    except ValueError as error:
        raise fault("secret", str(error), "Leave it out to have one made.") from None
    return secret


def _wanted(events: Sequence[str] | None) -> tuple[str, ...]:
    if events is None:
        return USUAL
    unknown = [one for one in events if one not in BY_NAME]
    if unknown:
        raise fault(
            "events", f"there is no kind of event {unknown[0]!r}", f"Choose from {', '.join(BY_NAME)}."
        )
    if not events:
        raise fault("events", "a channel that wants nothing hears nothing", "Name one kind of event or more.")
    return tuple(name for name in BY_NAME if name in events)


def _absent(field: str, value: object, kind: str) -> None:
    if value is not None:
        raise fault(field, f"a channel of the kind {kind} has no {field}", f"Leave {field!r} out.")


def _unknown(detail: str) -> Problem:
    return Problem(
        404,
        "channel_not_found",
        detail[:1].upper() + detail[1:] + ".",
        field="channel",
        remedy="GET /v1/alerts/channels lists the channels.",
    )
