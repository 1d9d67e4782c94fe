"""Asking again until something has ended, for both clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, TypeVar

from service.client_words import ENDED

State = TypeVar("State", bound=Mapping[str, Any])


def until_ended(read: Callable[[], State], every: float) -> Iterator[State]:
    """What ``read`` says each ``every`` seconds until its ``status`` is an end; the last one given is the end."""
    while True:
        state = read()
        yield state
        if state.get("status") in ENDED:
            return
        time.sleep(every)


async def until_ended_async(read: Callable[[], Awaitable[State]], every: float) -> AsyncIterator[State]:
    """The same where reading and waiting leave the loop to others."""
    while True:
        state = await read()
        yield state
        if state.get("status") in ENDED:
            return
        await asyncio.sleep(every)
