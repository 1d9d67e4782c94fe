"""The body of a prediction call: read whole, unpacked, and into rows; and the problems with it."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec

from service.problems import Problem


class Call(msgspec.Struct):
    rows: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1)]


_decoder = msgspec.json.Decoder(Call)


def read_rows(body: bytes) -> list[dict[str, Any]]:
    """The rows of a JSON body, whatever their values. Raises a problem that names what is wrong with it."""
    try:
        return _decoder.decode(body).rows
    except msgspec.ValidationError as error:
        message = str(error)
        path = message.partition("`$")[2].partition("`")[0].lstrip(".")
        raise Problem(
            422,
            "invalid_rows",
            message,
            field=path or "rows",
            remedy='Send {"rows": [{"column": value, …}, …]} with at least one row.',
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(
            422,
            "invalid_json",
            f"The body is not JSON: {error}",
            field="body",
            remedy='Send {"rows": [{"column": value, …}, …]} as UTF-8 JSON; NaN is no JSON, send null.',
        ) from None


async def joined(parts: AsyncIterator[bytes], most: int) -> bytes:
    """The body, never more than ``most`` bytes of it in memory."""
    found, size = [], 0
    async for part in parts:
        size += len(part)
        if size > most:
            raise body_too_large(most)
        found.append(part)
    return b"".join(found)


def unpacked(body: bytes, encoding: str, most: int) -> bytes:
    """The body without its content encoding. Raises a problem for one that is not known, that is broken, or that
    hides more than ``most`` bytes."""
    if encoding not in ("gzip", "x-gzip"):
        raise Problem(
            415,
            "unknown_encoding",
            f"Bodies encoded as {encoding!r} are not read here.",
            field="Content-Encoding",
            remedy="Send the body as gzip, or as it is.",
        )
    found = b""
    rest = body
    try:
        while rest:  # a gzip file may have several members
            reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
            found += reader.decompress(rest, most + 1 - len(found))
            if len(found) > most:
                raise body_too_large(most)
            if not reader.eof:
                raise zlib.error("it ends early")
            rest = reader.unused_data
    except zlib.error as error:
        raise Problem(
            422,
            "broken_gzip",
            f"The body is not the gzip stream that its Content-Encoding promises: {error}.",
            field="body",
            remedy="Compress it again, or send it without Content-Encoding.",
        ) from None
    return found


def body_too_large(most: int) -> Problem:
    return Problem(
        413,
        "body_too_large",
        f"The body is larger than {most} bytes.",
        remedy="Send the rows in several calls.",
    )


def too_many_rows(count: int, most: int) -> Problem:
    return Problem(
        413,
        "too_many_rows",
        f"{count} rows in one call; the most is {most}.",
        field="rows",
        remedy="Send the rows in several calls.",
    )
