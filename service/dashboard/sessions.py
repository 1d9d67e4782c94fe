"""Who looks: a signed cookie that names a key, and the token that every form of the dashboard has to send back.

The cookie holds no secret: a key's public prefix, signed with a key derived from the registry's. Whether that key
still is valid, and what it may do, is asked anew with each request.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from functools import lru_cache

from fastapi import Request, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer

from service.actors import Actor
from service.api.context import Context, context_of
from service.problems import Problem

COOKIE = "incumbent_session"
SAYING = "incumbent_said"
LASTS_SECONDS = 12 * 3600
_SAID_SECONDS = 60
_OPEN = "open"


class LoginNeeded(Exception):
    """Nobody is logged in where keys are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """``key`` is the prefix of the key logged in with, None where no key is needed; ``token`` goes into forms."""

    key: str | None
    scopes: frozenset[str]
    token: str

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "admin" in self.scopes

    @property
    def actor(self) -> Actor:
        """Who this is to the ledgers."""
        return Actor(key=self.key, via="dashboard")


def viewer_of(request: Request) -> Viewer:
    """Who asks. Raises LoginNeeded, and a 403 problem for a key that may not read."""
    context = context_of(request)
    if not context.keys_required:
        return Viewer(key=None, scopes=frozenset({"admin"}), token=_token(context, _OPEN))
    session = _read(context, COOKIE, request.cookies.get(COOKIE), LASTS_SECONDS)
    if not isinstance(session, dict):
        raise LoginNeeded
    key = context.registry.keys.find(str(session.get("key")))
    if key is None:
        raise LoginNeeded
    viewer = Viewer(key=key.prefix, scopes=key.scopes, token=_token(context, str(session["id"])))
    if not viewer.may("data"):
        raise Problem(
            403,
            "scope_missing",
            f"The key {key.prefix} may not look at the dashboard: it lacks the scope 'data'.",
            remedy="Log out, and log in with a key made with --scope data or --scope admin.",
        )
    return viewer


def log_in(context: Context, response: Response, secret: str, *, secure: bool) -> bool:
    """Sets the cookie when the secret is a valid key's; whether it was."""
    key = context.registry.keys.verify(secret.strip())
    if key is None:
        return False
    value = _signer(context.registry.signing_key, COOKIE).dumps(
        {"id": secrets.token_urlsafe(16), "key": key.prefix}
    )
    response.set_cookie(
        COOKIE, value, max_age=LASTS_SECONDS, httponly=True, samesite="strict", secure=secure, path="/"
    )
    return True


def log_out(response: Response) -> None:
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")


def login_token(context: Context) -> str:
    """What the login form sends back, where there is no session yet."""
    return _token(context, "login")


def check_login_token(context: Context, request: Request, given: str) -> None:
    _check(login_token(context), request, given)


def check_token(viewer: Viewer, request: Request, given: str | None) -> None:
    """Raises a 403 problem unless the form was made by this dashboard for this viewer."""
    _check(viewer.token, request, given or request.headers.get("x-csrf-token") or "")


def say(context: Context, response: Response, text: str) -> None:
    """One sentence for the next page."""
    value = _signer(context.registry.signing_key, SAYING).dumps(text[:500])
    response.set_cookie(SAYING, value, max_age=_SAID_SECONDS, httponly=True, samesite="strict", path="/")


def said(context: Context, request: Request) -> str | None:
    text = _read(context, SAYING, request.cookies.get(SAYING), _SAID_SECONDS)
    return text if isinstance(text, str) else None


def _check(expected: str, request: Request, given: str) -> None:
    # Browsers say where a request comes from; the token is for those that don't, and for other ports of this machine.
    foreign = request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
    if foreign or not hmac.compare_digest(given.encode(), expected.encode()):
        raise Problem(
            403,
            "form_not_ours",
            "The form was not sent from this dashboard, or the session it was made for is over.",
            remedy="Go back, load the page again and repeat it.",
        )


def _token(context: Context, session: str) -> str:
    return hmac.digest(context.registry.signing_key, b"dashboard form " + session.encode(), "sha256").hex()


def _read(context: Context, purpose: str, value: str | None, max_age: int) -> object:
    if not value:
        return None
    try:
        read: object = _signer(context.registry.signing_key, purpose).loads(value, max_age=max_age)
    except BadSignature:
        return None
    return read


@lru_cache(maxsize=16)
def _signer(key: bytes, purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt=f"incumbent.dashboard.{purpose}")
