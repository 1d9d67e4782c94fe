"""A receiver of webhooks that can be down, up, or silent, and lets through only what is signed for it."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook


class SignedReceiver:
    """Keeps the events that were verified. Its port stays its own while it is down."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self.secret = ""
        self.calls: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.answering = threading.Event()
        self.answering.set()
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def up(self) -> None:
        one = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                event = Webhook(one.secret).verify(body, dict(self.headers.items()))
                one.calls.append(event["id"])
                if one.answering.is_set():
                    one.events.append(event)
                    self.send_response(204)
                    self.end_headers()
                else:
                    one.answering.wait(30)  # whoever called is gone by then

            def log_message(self, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        words = {"poll_interval": 0.05}
        threading.Thread(target=self._server.serve_forever, kwargs=words, daemon=True).start()

    def down(self) -> None:
        if self._server is not None:
            self.answering.set()
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["alert"] == kind]
