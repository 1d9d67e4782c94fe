"""Signatures of webhooks, after Standard Webhooks 1.0 (https://www.standardwebhooks.com): HMAC-SHA256 over id, time and
body. The time is in it, so that a call that was recorded can't be played again later."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64
TOLERANCE_SECONDS = 300


class BadSignature(Exception):
    """The call was not signed with one of these secrets, or not within the tolerance."""


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The key that a secret writes down. Raises ValueError for what is no secret of the convention."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"a signing secret is '{PREFIX}' and base64") from None
    if not secret.startswith(PREFIX) or not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise ValueError(f"a signing secret is '{PREFIX}' and base64 of {LEAST_BYTES} to {MOST_BYTES} bytes")
    return key


def signed(body: bytes, *, event_id: str, at: datetime, secrets: Sequence[str]) -> dict[str, str]:
    """The headers; with several secrets (one replaces another) a signature by each."""
    stamp = str(int(at.timestamp()))
    content = _content(body, event_id, stamp)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(_signature(content, secret) for secret in secrets),
    }


def verify(body: bytes, headers: Mapping[str, str], *, secret: str, now: datetime) -> str:
    """The id of a call that was signed with ``secret`` at about ``now``, for a receiver of our own. Raises BadSignature."""
    event_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not stamp.isdigit() or abs(now.timestamp() - int(stamp)) > TOLERANCE_SECONDS:
        raise BadSignature(f"the call's time is not within {TOLERANCE_SECONDS} s of now")
    expected = _signature(_content(body, event_id, stamp), secret)
    given = headers.get("webhook-signature", "").split()
    if not any(hmac.compare_digest(one.encode(), expected.encode()) for one in given):
        raise BadSignature("no signature of the call is by this secret")
    return event_id


def _content(body: bytes, event_id: str, stamp: str) -> bytes:
    return b".".join((event_id.encode(), stamp.encode(), body))


def _signature(content: bytes, secret: str) -> str:
    return "v1," + base64.b64encode(hmac.digest(key_of(secret), content, "sha256")).decode()
