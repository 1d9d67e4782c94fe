"""The limit: reads the body and answers as many fixed bytes of JSON as the path says. ``echo.py PORT``"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import uvicorn


@cache
def answer(path: str) -> bytes:
    size = int(path.rpartition("/")[2] or 0)
    return b'{"answer":"' + b"x" * max(0, size - 13) + b'"}'


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message["body"])
        more = message.get("more_body", False)
    b"".join(parts)
    body = answer(scope["path"])
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


if __name__ == "__main__":
    # The very settings of `incumbent serve`.
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
    )
