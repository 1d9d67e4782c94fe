"""An alert by e-mail: plain text, over one SMTP session."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError, MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Literal

from pydantic import SecretStr

from service.alerts.wording import Message, one_line

Security = Literal["starttls", "tls", "none"]


class NotMailed(Exception):
    """The server took it for nobody; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """The mail server, as the settings name it."""

    host: str
    port: int
    security: Security
    user: str | None
    password: SecretStr | None
    sender: str


def plain_address(text: str) -> str:
    """The address without name or blanks. Raises ValueError for what is none."""
    try:
        address = Address(addr_spec=text.strip())
    except (HeaderParseError, MessageError, ValueError, IndexError):
        raise ValueError(f"{text!r} is no e-mail address") from None
    if not address.username or not address.domain or not text.isprintable():
        raise ValueError(f"{text!r} is no e-mail address")
    return address.addr_spec


def written(
    message: Message, event: Mapping[str, Any], *, sender: str, to: Sequence[str], at: datetime
) -> EmailMessage:
    """The mail. Sent twice, it has the same Message-ID: programs show it once."""
    mail = EmailMessage()
    mail["Subject"] = one_line(f"[Incumbent] {message.title}", 200)
    mail["From"], mail["To"] = sender, ", ".join(to)
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{event['id']}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Incumbent-Alert"] = event["alert"]
    where = "" if message.link is None else f"\n{message.link}\n"
    mail.set_content(
        f"{message.title}\n\n{message.why}\n{where}\n-- \n{event['alert']}, {event['time']}, {event['id']}\n"
    )
    return mail


def send(mail: EmailMessage, post: Post, *, seconds: float) -> str:
    """What the server said to it. Raises NotMailed."""
    try:
        with _session(post, seconds) as session:
            refused = session.send_message(mail)
    except smtplib.SMTPRecipientsRefused as error:
        raise NotMailed(f"the mail server refused all recipients: {_refusals(error.recipients)}") from error
    except smtplib.SMTPResponseException as error:
        raise NotMailed(f"the mail server said {error.smtp_code} {_text(error.smtp_error)}") from error
    except (smtplib.SMTPException, OSError) as error:
        raise NotMailed(f"{post.host}:{post.port}: {type(error).__name__}: {error}") from error
    return f"mailed; refused: {_refusals(refused)}" if refused else "mailed"


def _session(post: Post, seconds: float) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if post.security == "tls":
        session: smtplib.SMTP = smtplib.SMTP_SSL(post.host, post.port, timeout=seconds, context=context)
    else:
        session = smtplib.SMTP(post.host, post.port, timeout=seconds)
    try:
        if post.security == "starttls":
            session.starttls(context=context)
        if post.user is not None and post.password is not None:
            session.login(post.user, post.password.get_secret_value())
    except BaseException:
        session.close()
        raise
    return session


def _refusals(refused: Mapping[str, tuple[int, bytes]]) -> str:
    return ", ".join(f"{to} ({code} {_text(said)})" for to, (code, said) in refused.items())


def _text(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return one_line(text, 200)
