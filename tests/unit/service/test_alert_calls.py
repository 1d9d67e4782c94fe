"""One call of a webhook over real sockets: pinned to what was checked, without redirects, proxies or end."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alert_receiver import receiver, self_signed

from service.alerts.pinned import MOST_BYTES, Unreachable, post
from service.host_guard import Forbidden, Guard

LOOPBACK = Guard.of(["127.0.0.0/8"])
NAMED = Guard.of(["hooks.test"])


def here(host: str, port: int) -> tuple[str, ...]:
    return ("127.0.0.1",)


def test_the_name_stays_in_the_request_while_the_connection_goes_to_the_checked_address() -> None:
    with receiver((202, {"X-Answer": "yes"})) as one:
        answer = post(
            f"http://hooks.test:{one.port}/a?b=c",
            b"{}",
            {"x-mine": "1"},
            guard=NAMED,
            seconds=5,
            look_up=here,
        )
    assert (answer.status, answer.headers["x-answer"]) == (202, "yes")
    got = one.got[0]
    assert (got.path, got.headers["host"], got.headers["x-mine"]) == ("/a?b=c", f"hooks.test:{one.port}", "1")


def test_a_name_that_leads_elsewhere_a_moment_later_is_not_asked_again() -> None:
    """DNS rebinding: public when it is checked, this machine when somebody would connect."""
    asked = []

    def rebinding(host: str, port: int) -> tuple[str, ...]:
        asked.append(host)
        return ("192.0.2.1",) if len(asked) == 1 else ("127.0.0.1",)

    guard = Guard.of(["192.0.2.0/24"])  # a test network, which answers nowhere
    with receiver() as one:
        with pytest.raises(Unreachable):
            post(f"http://rebind.test:{one.port}/", b"", {}, guard=guard, seconds=1, look_up=rebinding)
        assert (len(asked), one.got) == (1, []), "it was looked up once, and nothing came here"
        with pytest.raises(Forbidden):
            post(f"http://rebind.test:{one.port}/", b"", {}, guard=guard, seconds=1, look_up=rebinding)
        assert one.got == [], "the next call checks what it finds then"


def test_what_is_not_allowed_is_not_even_connected_to() -> None:
    with receiver() as one:
        with pytest.raises(Forbidden):
            post(one.url, b"", {}, guard=Guard(), seconds=5)
        for url in (f"http://localhost:{one.port}/", f"http://[::ffff:127.0.0.1]:{one.port}/"):
            with pytest.raises(Forbidden):
                post(url, b"", {}, guard=Guard(), seconds=5)
    assert one.got == []


def test_redirects_are_not_followed_and_proxies_of_the_environment_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiver() as elsewhere, receiver((302, {"Location": elsewhere.url})) as one:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, elsewhere.url)
        answer = post(one.url, b"", {}, guard=LOOPBACK, seconds=5)
    assert (answer.status, answer.headers["location"]) == (302, elsewhere.url)
    assert (len(one.got), elsewhere.got) == (1, [])


@contextmanager
def dripping(first: bytes, drop: bytes) -> Iterator[int]:
    """A port that says ``first`` and then ``drop`` after ``drop``, until nobody listens."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(first)
            try:
                while not over.wait(0.02):
                    connection.sendall(drop)
            except OSError:
                return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        thread.join(timeout=5)
        listener.close()


def test_a_receiver_that_says_a_little_now_and_then_is_left_at_the_deadline() -> None:
    with dripping(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n") as port:
        began = time.monotonic()
        with pytest.raises(Unreachable, match=r"no answer within 0\.5 s"):
            post(f"http://127.0.0.1:{port}/", b"", {}, guard=LOOPBACK, seconds=0.5)
        assert time.monotonic() - began < 5


def test_of_an_endless_answer_only_the_beginning_is_read() -> None:
    with dripping(b"HTTP/1.1 500 X\r\n\r\n", b"x" * 8192) as port:
        answer = post(f"http://127.0.0.1:{port}/", b"", {}, guard=LOOPBACK, seconds=10)
    assert (answer.status, len(answer.body)) == (500, MOST_BYTES)


def test_where_nobody_listens_the_reason_is_told() -> None:
    with receiver() as one:
        url = one.url
    with pytest.raises(Unreachable, match="refused"):
        post(url, b"", {}, guard=LOOPBACK, seconds=5)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls") / "hooks.pem")


def test_tls_is_checked_against_the_name_though_the_address_is_called(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    asked_for: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    guard = Guard.of(["hooks.test", "other.test"])

    def wrap(plain: socket.socket) -> ssl.SSLSocket:
        return context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)

    with receiver(wrap=wrap) as one:
        with pytest.raises(Unreachable, match="certificate"):
            post(f"https://hooks.test:{one.port}/", b"", {}, guard=guard, seconds=5, look_up=here)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        answer = post(f"https://hooks.test:{one.port}/", b"", {}, guard=guard, seconds=5, look_up=here)
        assert answer.status == 204
        with pytest.raises(Unreachable, match="certificate"):
            post(f"https://other.test:{one.port}/", b"", {}, guard=guard, seconds=5, look_up=here)
    assert asked_for[:2] == ["hooks.test", "hooks.test"]
