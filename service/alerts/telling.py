"""Telling a channel something once: the webhook is signed, the message is worded, the mail is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from registry.alert_channels import Channel
from registry.alert_deliveries import Delivery
from service.alerts import mail, slack
from service.alerts.envelope import MEDIA_TYPE
from service.alerts.seals import unseal
from service.alerts.signature import signed
from service.alerts.wording import Message, message, one_line
from service.clock import Clock
from service.host_guard import Forbidden, Guard
from service.problems import Problem
from service.settings import Settings

if TYPE_CHECKING:
    from service.alerts.pinned import Answer

GONE = 410
DEADLINE_SECONDS = 10.0


class Untold(Exception):
    """The channel was not told. ``asked`` is how long its receiver asks to be left alone; ``final`` that it wants to hear
    nothing more."""

    def __init__(self, reason: str, *, asked: timedelta | None = None, final: bool = False) -> None:
        super().__init__(reason)
        self.asked = asked
        self.final = final


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """Speaks to the receivers. ``seconds`` is how long one may take."""

    settings: Settings
    signing_key: bytes
    clock: Clock
    seconds: float = DEADLINE_SECONDS

    @property
    def guard(self) -> Guard:
        return Guard.of(self.settings.alert_hosts, only=self.settings.alert_hosts_only)

    def tell(self, channel: Channel, delivery: Delivery) -> str:
        """What came of it, in a few words. Raises Untold."""
        try:
            known = unseal(self.signing_key, channel.sealed)
        except Problem as problem:
            raise Untold(problem.detail) from problem
        if channel.kind == "email":
            return self._mail(channel, delivery)
        if channel.kind == "slack":
            told = slack.body(self._message(delivery))
            return self._post(known["url"], told, {"content-type": slack.MEDIA_TYPE})
        body = json.dumps(dict(delivery.event), ensure_ascii=False).encode()
        now = self.clock()
        headers = signed(
            body, event_id=delivery.event_id, at=now, secrets=valid_secrets(known, now.isoformat())
        )
        return self._post(known["url"], body, {"content-type": MEDIA_TYPE, **headers})

    def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> str:
        from service.alerts.pinned import (  # with the first call: a server without channels needs no client
            Unreachable,
            post,
        )

        named = {"user-agent": f"incumbent/{version('incumbent')}", "accept": "*/*", **headers}
        try:
            answer = post(url, body, named, guard=self.guard, seconds=self.seconds)
        except (Unreachable, Forbidden) as error:
            raise Untold(one_line(str(error), 500)) from error
        if 200 <= answer.status < 300:
            return f"answered {answer.status}"
        raise Untold(_refusal(answer), asked=self._asked(answer), final=answer.status == GONE)

    def _asked(self, answer: Answer) -> timedelta | None:
        text = answer.headers.get("retry-after", "")
        if text.isdigit():
            return timedelta(seconds=min(int(text), 10**6))
        try:
            return max(timedelta(), parsedate_to_datetime(text) - self.clock())
        except (TypeError, ValueError):  # it isn't there, or says nothing
            return None

    def _mail(self, channel: Channel, delivery: Delivery) -> str:
        office = post_office(self.settings)
        if office is None:
            raise Untold("no mail server is set: set INCUMBENT_SMTP_HOST and INCUMBENT_SMTP_FROM")
        letter = mail.written(
            self._message(delivery),
            delivery.event,
            sender=office.sender,
            to=channel.target["to"],
            at=self.clock(),
        )
        try:
            return mail.send(letter, office, seconds=self.seconds)
        except mail.NotMailed as error:
            raise Untold(one_line(str(error), 500)) from error

    def _message(self, delivery: Delivery) -> Message:
        return message(delivery.event, public_url=self.settings.public_url)


def valid_secrets(known: Mapping[str, Any], now: str) -> tuple[str, ...]:
    """The secret, and the one before it for as long as both are signed with. Times are UTC in ISO 8601."""
    before = known.get("before")
    return (
        (known["secret"],) if before is None or before["until"] < now else (known["secret"], before["secret"])
    )


def post_office(settings: Settings) -> mail.Post | None:
    """The mail server of the settings; None where none is set."""
    if settings.smtp_host is None or settings.smtp_from is None:
        return None
    return mail.Post(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        user=settings.smtp_user,
        password=settings.smtp_password,
        sender=settings.smtp_from,
    )


def _refusal(answer: Answer) -> str:
    where = answer.headers.get("location")
    if 300 <= answer.status < 400 and where:
        return f"answered {answer.status}: it sends to {one_line(where, 200)}, and redirects are not followed"
    said = one_line(answer.body.decode("utf-8", "replace"), 200)
    return f"answered {answer.status}: {said}" if said else f"answered {answer.status}"
