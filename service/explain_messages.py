"""What the server and the process that explains say to each other: MessagePack, each message behind its length in eight
bytes."""

from __future__ import annotations

from typing import IO, Any

import msgspec


class Model(msgspec.Struct):
    """A model as the registry keeps it, with rows like those it was trained on (Parquet)."""

    pipeline: bytes
    schema: dict[str, Any]
    task: dict[str, Any]
    background: bytes


class Request(msgspec.Struct):
    """Rows (an Arrow stream, typed) to be explained by the model with that key."""

    key: str
    rows: bytes
    model: Model | None = None


class Reply(msgspec.Struct):
    """One JSON object a row, or that the model is lacking, or why there is no answer."""

    explanations: list[bytes] = []
    lacking: bool = False
    error: str | None = None


def read_frame(stream: IO[bytes]) -> bytes | None:
    """The next message; None at the end of the stream."""
    head = stream.read(8)
    if len(head) < 8:
        return None
    length = int.from_bytes(head, "big")
    body = stream.read(length)
    return body if len(body) == length else None


def write_frame(stream: IO[bytes], message: bytes) -> None:
    stream.write(len(message).to_bytes(8, "big"))
    stream.write(message)
    stream.flush()
