"""What a channel must know and nobody may read: addresses that hold a token, and signing secrets. They are encrypted in
the database (Fernet), under a key made of the registry's signing key, which lies in the home folder and not in there."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from service.problems import Problem


def seal(signing_key: bytes, what: Mapping[str, Any]) -> bytes:
    token: bytes = _fernet(signing_key).encrypt(json.dumps(dict(what)).encode())
    return token


def unseal(signing_key: bytes, sealed: bytes | None) -> dict[str, Any]:
    """What was sealed; nothing for None. Raises a problem when it was sealed under another key."""
    if sealed is None:
        return {}
    from cryptography.fernet import InvalidToken

    try:
        found: dict[str, Any] = json.loads(_fernet(signing_key).decrypt(sealed))
    except InvalidToken:
        raise Problem(
            409,
            "channel_sealed",
            "The channel's address and secret were kept under another signing key and can't be read.",
            remedy="Put keys/signing.key of the old home folder back, or set the channel's address and secret again.",
        ) from None
    return found


def _fernet(signing_key: bytes) -> Any:
    from cryptography.fernet import Fernet  # when it is first needed: most servers never seal anything

    key = hmac.digest(signing_key, b"alerts: what channels know", hashlib.sha256)
    return Fernet(base64.urlsafe_b64encode(key))
