"""Clients that shut their sending side, or leave, while they are answered; those that read only when all is sent."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.conftest import Start
from tests.support.certificates import Authority
from tests.support.client import Client, SecureAddress, request
from tests.support.server import ServerProcess
from tests.support.waiting import PATIENCE, eventually

pytestmark = [pytest.mark.tls_too, pytest.mark.usefixtures("within_the_worlds")]

TABS = 200


class Events:
    """An upstream whose `/events` tells one event and is silent then; anything else is answered at once."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=TABS)
        self.url = "http://{}:{}".format(*self.listener.getsockname())
        self.begun = self.left = 0
        self._mutex = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while (head := self._read(connection)) and not head.startswith(b"GET /events"):
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfast")
            if not head:
                return
            with self._mutex:
                self.begun += 1
            fields = b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n9\r\ndata: 1\n\n\r\n")
            assert not self._read(connection)
            with self._mutex:
                self.left += 1

    def _read(self, connection: socket.socket) -> bytes:
        try:
            return connection.recv(65536)
        except ConnectionResetError:
            return b""


@pytest.fixture
def events() -> Iterator[Events]:
    upstream = Events()
    yield upstream
    upstream.listener.close()


def test_closed_tabs_of_a_silent_event_stream_hold_neither_a_connection_nor_an_upstream(
    start: Start, events: Events
) -> None:
    """A browser closes, it never half-closes; an upstream that is silent would not be told for a minute."""
    proxy = start("--half-close-timeout", "0.5", target=events.url)
    for _ in range(TABS):
        with Client(proxy.address, data=request("/events")) as tab:
            while b"data: 1" not in tab.buffer:
                tab.buffer += tab.socket.recv(65536)
    proxy.settle()
    eventually(lambda: events.left == TABS)
    assert events.begun == TABS
    with Client(proxy.address) as client:
        assert client.get("/fast").text == "fast"


def test_a_client_that_sends_and_shuts_its_side_gets_the_whole_answer(
    server: ServerProcess, start: Start, authority: Authority
) -> None:
    """`curl | nc -N`, and whatever says by its FIN that there are no further requests."""
    trusting = ["--upstream-ca", authority.file] if server.url.startswith("https:") else []
    proxy = start(*trusting, target=server.url)
    for address in (server.address, proxy.address):
        with Client(address, data=request("/sleep/700")) as client:
            client.half_close()
            assert client.answer().status == 200
            assert client.end() == "closed"
        with Client(address, data=request("/stream-slowly/5/200")) as client:
            client.half_close()
            assert client.answer().status == 200
            assert client.end() == "closed"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_producer_that_hands_out_nothing_ends_briefly_after_its_client_has_shut_its_side(
    start: Start, kind: str
) -> None:
    """It never waits, so nothing but the loop's turns can show the FIN; others are served meanwhile."""
    server = start("--half-close-timeout", "0.5", "--backend-timeout", "3600")
    with Client(server.address, data=request(f"/stream-nothing/{kind}")) as client, Client(server.address) as other:
        while b"3\r\none\r\n" not in client.buffer:
            client.buffer += client.socket.recv(65536)
        assert json.loads(other.get("/marks").body) == []
        client.half_close()
        eventually(lambda: json.loads(other.get("/marks").body) == ["nothing ended"])
        ended = server.wait_for("request", target=f"/stream-nothing/{kind}")
        assert ended["end"].startswith("client in "), ended
    server.settle()


@pytest.mark.parametrize(("target", "status"), [("/limited", 413), ("/hello", 405)])
def test_a_client_that_uploads_far_beyond_the_limit_reads_its_refusal(
    server: ServerProcess, target: str, status: int
) -> None:
    """RFC 9112 section 9.6: a close with unread bytes is a reset, and takes the answer with it."""
    host, port = server.address[:2]
    address = server.address
    connection = (
        http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=address.context)
        if isinstance(address, SecureAddress)
        else http.client.HTTPConnection(host, port, timeout=PATIENCE)
    )
    connection.request("POST", target, body=bytes(100_000_000))
    with connection.getresponse() as response:
        assert response.status == status
    connection.close()
