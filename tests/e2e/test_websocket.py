"""WebSocket through the reverse proxy: a real server and a real client, of the library `websockets`, at its two ends;
and raw sockets where what they do is not what a library would."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server, ServerConnection, serve

from tests.conftest import Start
from tests.e2e.test_proxy import Played, head_of, reset, until_reset
from tests.support.certificates import Authority
from tests.support.client import Client, CutShort, request
from tests.support.server import ROOT, ServerProcess
from tests.support.waiting import PATIENCE, eventually

MIB = 1 << 20
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: a", "Sec-WebSocket-Version: 13")
AGREED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def echo(far: ServerConnection) -> None:
    """Sends back what it gets; ends with a code of its own when it is told to."""
    for message in far:
        if message == "leave":
            far.close(4000, "as you wish")
            return
        far.send(message)


@contextmanager
def echoing(**how: Any) -> Iterator[Server]:
    with serve(echo, "127.0.0.1", 0, max_size=None, compression=None, **how) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(PATIENCE)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where the echo is."""
    with echoing() as server:
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"


@contextmanager
def talking(proxy: ServerProcess, target: str = "/chat") -> Iterator[ClientConnection]:
    """Somebody who talks through the proxy."""
    address = proxy.url.replace("http", "ws").rstrip("/") + target
    with connect(address, max_size=None, compression=None, proxy=None, open_timeout=PATIENCE) as near:
        yield near


@contextmanager
def tunnel(proxy: ServerProcess, upstream: Played, **how: Any) -> Iterator[tuple[Client, socket.socket]]:
    """Raw sockets at both ends of a tunnel."""
    with Client(proxy.address, data=request("/raw", *UPGRADE), **how) as client:
        connection = upstream.asked()
        connection.sendall(AGREED)
        head = head_of(client.socket)
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        yield client, connection


@pytest.fixture
def upstream() -> Iterator[Played]:
    played = Played()
    yield played
    played.close()


def test_a_conversation_with_messages_small_and_large(start: Start, url: str) -> None:
    proxy = start(target=url)
    with talking(proxy) as near:
        for message in ("", "hello", b"\x00\xff", os.urandom(125), os.urandom(65_536), os.urandom(20 * MIB)):
            near.send(message)
            assert near.recv(PATIENCE) == message
        assert near.ping().wait(PATIENCE)
    told = proxy.request_event("/chat")
    assert (told["status"], told["end"]) == (101, None)
    assert told["bytes_in"] > 20 * MIB < told["bytes_out"]
    assert told["times"]["tunnelling"] > 0
    proxy.settle()


def test_many_talk_at_once(start: Start, url: str) -> None:
    proxy = start("--upstream-max-connections", "2", target=url)
    with ExitStack() as stack:
        nears = [stack.enter_context(talking(proxy)) for _ in range(20)]
        for number, near in enumerate(nears):
            near.send(f"I am {number}")
        for number, near in enumerate(nears):
            assert near.recv(PATIENCE) == f"I am {number}"
    proxy.settle()


def test_codes_and_reasons_of_the_end_come_through(start: Start, url: str) -> None:
    proxy = start(target=url)
    with talking(proxy) as near:
        near.send("leave")
        with pytest.raises(ConnectionClosed) as caught:
            near.recv(PATIENCE)
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4000, "as you wish")
    proxy.settle()


def test_over_tls_to_the_upstream(start: Start, tmp_path_factory: pytest.TempPathFactory) -> None:
    authority = Authority(tmp_path_factory.mktemp("tls"))
    with echoing(ssl=authority.server()) as server:
        url = f"https://127.0.0.1:{server.socket.getsockname()[1]}"
        proxy = start("--upstream-ca", authority.file, target=url)
        with talking(proxy) as near:
            message = os.urandom(3 * MIB)
            near.send(message)
            assert near.recv(PATIENCE) == message
        proxy.settle()


def test_an_upstream_that_does_not_agree_is_heard(start: Start, server: ServerProcess) -> None:
    proxy = start(target=server.url)
    with pytest.raises(InvalidStatus) as caught, talking(proxy, "/nothing-here"):
        pass
    assert caught.value.response.status_code == 404


@pytest.mark.parametrize(
    "lines",
    [
        ("Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
        ("Connection: Upgrade", "Upgrade: websocket, h2c"),
        ("Upgrade: websocket",),
    ],
)
def test_nothing_but_websocket_is_asked_for_and_only_where_the_client_does(
    start: Start, upstream: Played, lines: tuple[str, ...]
) -> None:
    proxy = start(target=upstream.url)
    with Client(proxy.address, data=request("/", *lines)) as client:
        connection = upstream.accept()
        head = head_of(connection).lower()
        assert b"upgrade" not in head
        assert b"http2-settings" not in head
        connection.sendall(AGREED)  # and to what was not asked for nobody can agree
        assert client.answer().status == 502


@pytest.mark.parametrize("whose", ["client", "upstream"])
def test_a_reset_at_one_end_is_a_reset_at_the_other(start: Start, upstream: Played, whose: str) -> None:
    proxy = start(target=upstream.url)
    with tunnel(proxy, upstream) as (client, connection):
        if whose == "client":
            client.reset()
            assert until_reset(connection) == b""
        else:
            reset(connection)
            assert until_reset(client.socket) == b""
    assert proxy.wait_for("connection_ended", state="TUNNELLING", cause=whose)
    proxy.settle()


def test_a_half_close_goes_through_behind_what_was_sent(start: Start, upstream: Played) -> None:
    proxy = start(target=upstream.url)
    data = os.urandom(5 * MIB)
    with tunnel(proxy, upstream) as (client, connection):

        def send() -> None:
            client.socket.sendall(data)
            client.half_close()

        sending = threading.Thread(target=send)
        sending.start()
        assert to_the_end(connection) == data
        sending.join()
        connection.sendall(b"last words")
        connection.shutdown(socket.SHUT_WR)
        assert to_the_end(client.socket) == b"last words"
    proxy.settle()
    assert not proxy.events("connection_ended")


def to_the_end(connection: socket.socket) -> bytes:
    data = bytearray()
    while piece := connection.recv(1 << 16):
        data += piece
    return bytes(data)


def test_a_slow_reader_costs_little_memory_either_way(start: Start, upstream: Played) -> None:
    proxy = start(target=upstream.url)
    with tunnel(proxy, upstream, window=4096) as (client, connection):
        for sender in (connection, client.socket):
            sender.settimeout(0)
            before, sent = proxy.memory(), 0
            try:
                while True:
                    sent += sender.send(bytes(MIB))
            except BlockingIOError:
                pass

            def more(sender: socket.socket = sender) -> bool:
                try:
                    return sender.send(bytes(65536)) == 0
                except BlockingIOError:
                    return True

            eventually(more)
            assert sent > 65536
            assert proxy.memory() - before < MIB
        client.reset()


def test_a_silent_tunnel_is_ended_by_its_deadline(start: Start, upstream: Played) -> None:
    proxy = start("--tunnel-timeout", "0.4", target=upstream.url)
    with tunnel(proxy, upstream) as (client, connection):
        assert until_reset(connection) == b""
        assert until_reset(client.socket) == b""
    ended = proxy.wait_for("connection_ended", state="TUNNELLING")
    assert (ended["cause"], ended["trigger"]) == ("deadline", "DEADLINE_PASSED")
    proxy.settle()


def test_a_drain_lets_it_go_on_and_its_deadline_cuts_it(start: Start, url: str) -> None:
    proxy = start("--drain-timeout", "1", target=url)
    with talking(proxy) as near:
        near.send("before")
        assert near.recv(PATIENCE) == "before"
        proxy.signal()
        proxy.wait_for("draining")
        near.send("while it drains")
        assert near.recv(PATIENCE) == "while it drains"
        with pytest.raises(ConnectionClosedError):
            near.recv(PATIENCE)
    assert proxy.wait() == 0
    (cut,) = proxy.events("connection_cut")
    assert cut["state"] == "TUNNELLING"


def test_a_conversation_that_ends_while_it_drains_ends_the_drain(start: Start, url: str) -> None:
    proxy = start(target=url)
    with talking(proxy) as near:
        near.send("hello")
        assert near.recv(PATIENCE) == "hello"
        proxy.signal()
        proxy.wait_for("draining")
    assert proxy.wait() == 0
    assert not proxy.events("connection_cut")


def test_as_many_as_are_allowed_and_no_more(start: Start, url: str) -> None:
    proxy = start("--upstream-max-tunnels", "1", target=url)
    with talking(proxy) as near:
        with pytest.raises(InvalidStatus) as caught, talking(proxy):
            pass
        assert caught.value.response.status_code == 503
        near.send("still here")
        assert near.recv(PATIENCE) == "still here"
    eventually(lambda: _can_talk(proxy))


def _can_talk(proxy: ServerProcess) -> bool:
    try:
        with talking(proxy) as near:
            near.send("me")
            return near.recv(PATIENCE) == "me"
    except InvalidStatus:
        return False


def test_each_end_tells_of_the_other_in_the_x_ray(start: Start, url: str) -> None:
    proxy = start(target=url)
    with talking(proxy):
        command = [sys.executable, "-m", "clerestory", "ps", "--kind", "*", "--xray"]
        address = proxy.wait_for("xray")["url"].removeprefix("http://").rstrip("/")
        done = subprocess.run([*command, address], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
        lines = [line for line in done.stdout.splitlines() if "TUNNELLING" in line]
        assert len(lines) == 2
        assert any("<- upstream#1 " in line for line in lines), lines
        assert any("<- connection#1 " in line for line in lines), lines


def test_an_answer_to_a_client_that_did_not_ask_is_cut_at_no_byte(start: Start, upstream: Played) -> None:
    """Behind a 101 that is refused nothing of what the upstream says is taken for an answer to anybody."""
    proxy = start(target=upstream.url)
    with Client(proxy.address, data=request("/")) as client:
        connection = upstream.asked()
        connection.sendall(AGREED + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        assert client.answer().status == 502
        client.send(request("/next"))
        upstream.asked().sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine")
        try:
            assert client.answer().text == "mine"
        except CutShort:
            pytest.fail("the connection is good for the next request")
