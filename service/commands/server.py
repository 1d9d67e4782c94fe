"""``incumbent serve``: one process with API, scheduler and searches."""

from __future__ import annotations

import gc
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from service.commands.console import CommandError, Exit, show_json
from service.commands.options import opened, settings

if TYPE_CHECKING:
    from service.settings import Settings

GRACE_SECONDS = 10
KEEP_ALIVE_SECONDS = 75
"""Longer than the idle connections of usual clients and proxies live, so that none is closed as it is used again."""
SWITCH_SECONDS = 1e-4
LEVELS = ("critical", "error", "warning", "info", "debug")


def start(*, host: str | None, port: int | None, home: Path | None, log_level: str, as_json: bool) -> None:
    """Serves until it is told to stop. Raises CommandError when it may not or can't listen there."""
    if log_level not in LEVELS:
        raise CommandError(
            f"There is no log level {log_level!r}.",
            remedy=f"Choose from {', '.join(LEVELS)}.",
            code=Exit.USAGE,
        )
    wanted = settings(host=host, port=port, home=home)
    if not wanted.on_loopback:
        _demand_key(wanted)
    with _listen(wanted) as listening:
        _run(wanted, listening, log_level, as_json)


def _demand_key(wanted: Settings) -> None:
    """Beyond this machine nobody may be let in without a key."""
    with opened(wanted) as registry:
        if registry.keys.any():
            return
    raise CommandError(
        f"Refusing to listen on {wanted.host}: without an API key, anyone who reaches it may do anything.",
        remedy=f"Make one first: incumbent key create --scope admin --home {wanted.home}",
        code=Exit.USAGE,
    )


def _listen(wanted: Settings) -> socket.socket:
    """A bound socket, taken before anything heavy is imported, so that a taken port is said at once."""
    family = socket.AF_INET6 if ":" in wanted.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((wanted.host, wanted.port))
    except OSError as error:
        listening.close()
        raise CommandError(
            f"Can't listen on {wanted.host}:{wanted.port}: {error.strerror or error}.",
            remedy="Choose another --port; 0 picks a free one.",
        ) from error
    return listening


def _run(wanted: Settings, listening: socket.socket, log_level: str, as_json: bool) -> None:
    # What is imported stays: the collector would walk it five times on the way, a quarter of a second in all.
    gc.disable()
    import uvicorn

    from service.memory import keep_little

    keep_little()
    # The loop lets go of the interpreter at each read and write. A thread that computes (a large call, a load, a look at
    # the triggers) would keep it for 5 ms each time, and a call takes three of them.
    sys.setswitchinterval(SWITCH_SECONDS)
    from service.app import create_app
    from service.wire.protocol import WireProtocol

    port = listening.getsockname()[1]
    shown = f"[{wanted.host}]" if ":" in wanted.host else wanted.host
    url = f"http://{shown}:{port}"
    log_from(log_level)

    class Announcing(uvicorn.Server):
        """Says its address once it answers there."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            gc.freeze()
            gc.enable()
            if self.started:
                _announce(url, wanted.home, as_json)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.closing = True  # streams of events end by themselves, so that nobody waits for them
            await super().shutdown(sockets)

    app = create_app(wanted.model_copy(update={"port": port}))
    config = uvicorn.Config(
        app,
        log_level=log_level,
        log_config=None,
        access_log=False,
        loop="uvloop" if sys.platform != "win32" else "auto",
        http=WireProtocol,
        ws="none",
        proxy_headers=False,  # the application looks at them, off the way of prediction calls
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = Announcing(config)
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        return  # uvicorn raises it again once it has stopped in good order
    if not server.started:
        raise CommandError("The server could not start; its log says why.")


def log_from(level: str) -> None:
    """Logs of ``level`` and above go to stderr; of libraries, only what is worth a line and tells no secret."""
    import logging

    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # A tick that comes while the last one still works is left out on purpose, and not worth a line.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    # It writes whole addresses, and those of receivers may hold a password or a key.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _announce(url: str, home: Path, as_json: bool) -> None:
    if as_json:
        show_json({"url": url, "home": str(home.absolute())})
    else:
        sys.stdout.write(
            f"Incumbent serves at {url}: open it in a browser (the API: {url}/docs). "
            f"Home {home.absolute()}. Ctrl-C stops it.\n"
        )
    sys.stdout.flush()
