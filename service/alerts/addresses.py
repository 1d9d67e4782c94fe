"""The address of a webhook as somebody writes it, and as others may read it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from service.problems import Problem

PORTS: Mapping[str, int] = {"http": 80, "https": 443}


def parsed(text: str) -> SplitResult:
    remedy = "Write it like https://example.org/hooks/incumbent."
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
        (host or "").encode("idna")
    except ValueError:
        raise fault("url", f"{text[:200]!r} is no address", remedy) from None
    if url.scheme not in PORTS or not host or not text.isascii() or not text.isprintable() or " " in text:
        raise fault("url", f"{text[:200]!r} is no address of http or https", remedy)
    if url.username is not None or url.fragment:
        raise fault("url", "an address has no user, password or #fragment here", remedy)
    return url


def shown_address(url: SplitResult) -> str:
    """Without what comes after the path: that may be a token."""
    return f"{url.scheme}://{url.netloc}{url.path}" + ("?…" if url.query else "")


def fault(field: str, detail: str, remedy: str) -> Problem:
    return Problem(422, "invalid_channel", detail[:1].upper() + detail[1:] + ".", field=field, remedy=remedy)
