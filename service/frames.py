"""Messages between the server and a process beside it: each behind its length in eight bytes."""

from __future__ import annotations

from typing import IO


def read_frame(stream: IO[bytes]) -> bytes | None:
    """The next message; None at the end of the stream."""
    head = stream.read(8)
    if len(head) < 8:
        return None
    length = int.from_bytes(head, "big")
    body = stream.read(length)
    return body if len(body) == length else None


def write_frame(stream: IO[bytes], message: bytes) -> None:
    """Raises OSError when nobody reads any more."""
    stream.write(len(message).to_bytes(8, "big"))
    stream.write(message)
    stream.flush()
