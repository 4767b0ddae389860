"""WebSockets over HTTP/2 (RFC 8441) of a router's handlers, and through the proxy to an upstream of HTTP/1.1.

Behind the proxy are a real server of the library `websockets`, and raw sockets where what they say is not what a
library would.
"""

import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from websockets.frames import Close

from clerestory.handlers.proxy.websocket import accept_of
from tests.conftest import Start
from tests.e2e.test_http2_websocket import Talk, client_of, connect, cut_and_drained
from tests.e2e.test_proxy import Played, head_of, reset, until_reset
from tests.e2e.test_websocket import MIB, echoing
from tests.support.http2 import Answer, HTTP2Client, head
from tests.support.server import ServerProcess
from tests.support.waiting import eventually
from tests.support.xray import look

TARGET = "tests.support.sockets:router"
LIBRARY = ("--h2c", "--xray", "127.0.0.1:0")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where an upstream is that sends back what it gets."""
    with echoing(select_subprotocol=lambda _, offered: "chat" if "chat" in offered else None) as server:
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"


@pytest.fixture
def upstream() -> Iterator[Played]:
    played = Played()
    yield played
    played.close()


def agreed(head: bytes) -> bytes:
    """The 101 of an upstream that has been asked by `head`."""
    key = re.search(rb"(?im)^sec-websocket-key: (\S+)\r$", head)
    assert key is not None
    lines = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %b\r\n\r\n" % accept_of(key[1])
    return b"HTTP/1.1 101 Switching Protocols\r\n" + lines


def answered(client: HTTP2Client, path: bytes = b"/chat") -> int:
    """The status of a CONNECT that opens no WebSocket."""
    return client.whole(client.open(connect(path), end=False)).status


# --- a router's handlers


@pytest.fixture
def router(start: Start) -> ServerProcess:
    return start(*LIBRARY, target=TARGET)


def test_a_handler_talks_on_streams_of_one_connection(router: ServerProcess) -> None:
    with client_of(router) as client:
        assert client.library.remote_settings.enable_connect_protocol == 1
        talks = [Talk(client, b"/echo").opened() for _ in range(5)]
        message = os.urandom(300_000)
        for number, talk in enumerate(talks):
            talk.say(f"hello {number}")
            talk.say(message)
        for number, talk in enumerate(talks):
            assert talk.hears(2) == [f"hello {number}", message]
        rows = look(router, "connections.json?state=tunnelling")["rows"]
        assert {(row["kind"], "websocket OPEN" in row["why"]) for row in rows} == {("h2_stream", True)}
        talks[0].protocol.send_close(4123, "my reason")
        talks[0].flush()
        assert talks[0].closed() == Close(4123, "my reason")
        client.until(lambda: talks[0].answer.ended)
        room = Talk(client, b"/rooms/7?name=Ada", (b"sec-websocket-protocol", b"x, chat")).opened()
        assert (room.answer.get(b"sec-websocket-protocol"), room.answer.get(b"x-room")) == (b"chat", b"7")
        assert room.hears(2) == ['{"room": 7, "name": "Ada"}', b"\0"]
        assert room.closed() == Close(4001, "enough")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (b"/deny", 418),
        (b"/forbid", 401),
        (b"/returns", 403),
        (b"/raises", 500),
        (b"/rooms/x", 404),
        (b"/nothing", 404),
        (b"/seen", 405),
    ],
)
def test_what_opens_none_is_an_answer_on_its_stream(router: ServerProcess, path: bytes, status: int) -> None:
    with client_of(router) as client:
        assert answered(client, path) == status
        assert client.get(b"/seen").status == 200


def test_the_methods_of_a_path_are_those_of_requests(router: ServerProcess) -> None:
    with client_of(router) as client:
        answer = client.whole(client.open(head(b"PUT", b"/echo")))
        assert (answer.status, answer.get(b"allow")) == (405, b"GET, OPTIONS")
        assert client.get(b"/echo").status == 400


def test_a_drain_tells_handlers_and_an_operator_cuts_one(start: Start) -> None:
    server = start(*LIBRARY, "--drain-timeout", "4", target=TARGET)
    with client_of(server) as client:
        cut_and_drained(server, client, Talk(client, b"/echo").opened(), Talk(client, b"/echo").opened())


def test_a_site_beside_one_with_websockets_refuses_them(start: Start, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    server = start(*LIBRARY, "--mount", f"/files={tmp_path}", target=TARGET)
    with client_of(server) as client:
        assert answered(client, b"/files/a.txt") in (400, 405)
        assert Talk(client, b"/echo").opened().answer.status == 200


# --- through the proxy


@pytest.fixture
def proxy(start: Start, url: str) -> ServerProcess:
    return start(*LIBRARY, target=url)


def test_through_the_proxy_messages_small_and_large(proxy: ServerProcess) -> None:
    with client_of(proxy) as client:
        assert client.library.remote_settings.enable_connect_protocol == 1
        talks = [Talk(client, b"/chat", (b"sec-websocket-protocol", b"chat")).opened() for _ in range(3)]
        messages: list[str | bytes] = ["", "hello", b"\0\xff", os.urandom(125), os.urandom(65_536), os.urandom(2 * MIB)]
        for talk in talks:
            assert talk.answer.get(b"sec-websocket-accept") is None
            assert talk.answer.get(b"sec-websocket-protocol") == b"chat"
            for message in messages:
                talk.say(message)
        for talk in talks:
            assert talk.hears(len(messages)) == messages
        rows = look(proxy, "connections.json?state=tunnelling&kind=h2_stream")["rows"]
        assert len(rows) == 3
        assert all("upstream#" in row["why"] for row in rows), rows
    proxy.settle()


def test_codes_and_reasons_come_through_and_either_side_ends_first(proxy: ServerProcess) -> None:
    with client_of(proxy) as client:
        talk = Talk(client).opened()
        talk.protocol.send_close(4000, "enough")
        talk.flush()
        assert talk.closed() == Close(4000, "enough")
        client.send(talk.number, b"", end=True)
        client.until(lambda: talk.answer.is_over)
        other = Talk(client).opened()
        other.say("leave")
        assert other.closed() == Close(4000, "as you wish")
        client.send(other.number, b"", end=True)
        client.until(lambda: other.answer.is_over)
        assert [talk.answer.reset, other.answer.reset] == [None, None]
        eventually(lambda: look(proxy, "connections.json?state=tunnelling")["matched"] == 0, what="their end")

    def told() -> list[object]:
        return [(one["method"], one["status"], one["end"]) for one in proxy.events("request")]

    eventually(lambda: told() == [("CONNECT", 101, None)] * 2, what="their lines in the log")


@pytest.mark.parametrize("status", [b"400 Bad Request", b"403 Forbidden", b"426 Upgrade Required", b"302 Found"])
def test_an_upstream_that_refuses_is_heard(start: Start, upstream: Played, status: bytes) -> None:
    proxy = start(*LIBRARY, target=upstream.url)
    with client_of(proxy) as client:
        number = client.open(connect(b"/chat"), end=False)
        upstream.asked().sendall(b"HTTP/1.1 %b\r\nX: y\r\nContent-Length: 3\r\n\r\nno!" % status)
        answer = client.whole(number)
        assert (answer.status, answer.body, answer.get(b"x")) == (int(status[:3]), b"no!", b"y")


@contextmanager
def tunnel(
    proxy: ServerProcess, upstream: Played, *fields: tuple[bytes, bytes], takes_all: bool = True
) -> Iterator[tuple[HTTP2Client, int, Answer, socket.socket, bytes]]:
    """A client, its stream and what it has got on that, and the upstream's raw socket; and the head of its request."""
    with client_of(proxy, takes_all=takes_all) as client:
        number = client.open(connect(b"/chat?a=b", *fields), end=False)
        connection = upstream.accept()
        asked = head_of(connection)
        connection.sendall(agreed(asked))
        answer = client.answer(number)
        client.until(lambda: bool(answer.headers))
        assert answer.status == 200
        yield client, number, answer, connection, asked


def test_the_upstream_is_asked_by_http_1_1_and_with_a_key_of_ours(start: Start, upstream: Played) -> None:
    proxy = start(*LIBRARY, target=upstream.url)
    own = ((b"sec-websocket-key", b"stolen"), (b"origin", b"http://site"), (b"cookie", b"a=b"), (b"cookie", b"c=d"))
    with tunnel(proxy, upstream, *own) as (client, _, answer, _, asked):
        line, *lines = asked.removesuffix(b"\r\n\r\n").split(b"\r\n")
        assert line == b"GET /chat?a=b HTTP/1.1"
        names = [one.partition(b":")[0].lower() for one in lines]
        assert len(names) == len(set(names))
        said = dict(one.lower().split(b": ", 1) for one in lines)
        assert (said[b"host"], said[b"upgrade"], said[b"connection"]) == (b"site", b"websocket", b"upgrade")
        assert (said[b"origin"], said[b"cookie"]) == (b"http://site", b"a=b; c=d")
        assert said[b"via"].startswith(b"2 clerestory-")
        assert b"stolen" not in asked
        assert {b"content-length", b"transfer-encoding"}.isdisjoint(names)
        assert {name for name, _ in answer.headers}.isdisjoint((b"upgrade", b"connection", b"sec-websocket-accept"))
        assert client.whole(client.open(connect(b"/", (b"content-length", b"0")), end=False)).status == 400


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    ],
)
def test_an_answer_that_opens_none_is_never_taken_for_one_that_does(
    start: Start, upstream: Played, said: bytes
) -> None:
    proxy = start(*LIBRARY, target=upstream.url)
    with client_of(proxy) as client:
        number = client.open(connect(b"/chat"), end=False)
        connection = upstream.asked()
        connection.sendall(said)
        assert client.whole(number).status == 502
        connection.settimeout(None)
        until_over(connection)
    proxy.settle()


def stalled(sender: socket.socket) -> int:
    """How much is taken of who sends as much as is."""
    sender.settimeout(0)
    sent = 0

    def is_full() -> bool:
        nonlocal sent
        before = sent
        with suppress(BlockingIOError):
            while True:
                sent += sender.send(bytes(65_536))
        return before == sent

    eventually(lambda: is_full() and is_full())
    return sent


def until_over(connection: socket.socket) -> bytes:
    """What comes before an end of whatever kind."""
    data = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(1 << 16):
            data += piece
    return data


def test_a_half_close_goes_through_behind_what_was_sent(start: Start, upstream: Played) -> None:
    proxy = start(*LIBRARY, target=upstream.url)
    with tunnel(proxy, upstream) as (client, number, answer, connection, _):
        client.send(number, b"x" * 10_000, end=True)
        assert len(until_over(connection)) == 10_000
        connection.sendall(b"y" * 200_000)
        connection.shutdown(socket.SHUT_WR)
        client.until(lambda: answer.is_over)
        assert (answer.body, answer.reset) == (b"y" * 200_000, None)
    proxy.settle()


def test_what_came_behind_the_101_and_before_the_200_is_not_lost(start: Start, upstream: Played) -> None:
    proxy = start(*LIBRARY, target=upstream.url)
    with client_of(proxy) as client:
        number = client.open(connect(b"/chat"), end=False)
        client.send(number, b"early")
        connection = upstream.accept()
        connection.sendall(agreed(head_of(connection)) + b"late")
        answer = client.answer(number)
        client.until(lambda: answer.body == b"late")
        assert connection.recv(100) == b"early"


@pytest.mark.parametrize("whose", ["client", "upstream", "connection"])
def test_a_reset_at_one_end_is_a_reset_at_the_other(start: Start, upstream: Played, whose: str) -> None:
    proxy = start(*LIBRARY, target=upstream.url)
    with tunnel(proxy, upstream) as (client, number, answer, connection, _):
        if whose == "upstream":
            reset(connection)
            client.until(lambda: answer.is_over)
            assert answer.reset == 8, "CANCEL"
        elif whose == "client":
            client.library.reset_stream(number, 8)
            client.flush()
            assert until_reset(connection) == b""
        else:
            reset(client.socket)
            assert until_reset(connection) == b""
    eventually(lambda: [one["end"] for one in proxy.events("request")] == [f"{cause_of(whose)} in TUNNELLING"])
    proxy.settle()


def cause_of(whose: str) -> str:
    return "upstream" if whose == "upstream" else "client"


def test_a_client_that_opens_no_window_holds_the_upstream_up_and_no_other_stream(
    start: Start, upstream: Played
) -> None:
    proxy = start(*LIBRARY, target=upstream.url)
    with tunnel(proxy, upstream, takes_all=False) as (client, _, answer, connection, _):
        before = proxy.memory()
        sent = stalled(connection)
        assert sent > 65_536
        assert proxy.memory() - before < MIB
        client.until(lambda: len(answer.body) == 65_535)
        client.library.increment_flow_control_window(1_000_000)
        client.flush()
        number = client.open(connect(b"/other"), end=False)
        other = upstream.accept()
        other.sendall(agreed(head_of(other)) + b"hello")
        client.until(lambda: client.answer(number).body == b"hello")
        assert len(answer.body) == 65_535
        rows = look(proxy, "connections.json?state=tunnelling&kind=h2_stream")["rows"]
        assert len(rows) == 2


def test_an_upstream_that_does_not_read_stalls_its_client_at_a_window(start: Start, upstream: Played) -> None:
    proxy = start(*LIBRARY, target=upstream.url)
    with tunnel(proxy, upstream) as (client, number, _, connection, _):
        library, sent, before = client.library, 0, proxy.memory()
        while True:
            if library.local_flow_control_window(number) <= 0:
                client.ping()
            if library.local_flow_control_window(number) <= 0:
                break
            count = min(library.local_flow_control_window(number), library.max_outbound_frame_size)
            client.send(number, bytes(count))
            sent += count
        assert proxy.memory() - before < 2 * MIB
        got = 0
        while got < sent:
            got += len(connection.recv(1 << 16))
        client.until(lambda: library.local_flow_control_window(number) > 0)


def test_a_silent_tunnel_is_ended_by_its_deadline(start: Start, upstream: Played) -> None:
    proxy = start(*LIBRARY, "--tunnel-timeout", "0.4", target=upstream.url)
    with tunnel(proxy, upstream) as (client, _, answer, connection, _):
        assert until_reset(connection) == b""
        client.until(lambda: answer.is_over)
        assert answer.reset == 8, "CANCEL"
    eventually(lambda: [one["end"] for one in proxy.events("request")] == ["deadline in TUNNELLING"])


def test_as_many_as_are_allowed_and_no_more(start: Start, url: str) -> None:
    proxy = start(*LIBRARY, "--upstream-max-tunnels", "1", target=url)
    with client_of(proxy) as client:
        talk = Talk(client).opened()
        assert answered(client) == 503
        talk.say("still here")
        assert talk.hears(1) == ["still here"]
        client.library.reset_stream(talk.number, 8)
        client.flush()
        eventually(lambda: look(proxy, "connections.json?state=tunnelling")["matched"] == 0, what="its end")
        assert Talk(client).opened().answer.status == 200


def test_a_drain_lets_it_go_on_and_its_deadline_cuts_it(start: Start, url: str) -> None:
    proxy = start(*LIBRARY, "--drain-timeout", "1", target=url)
    with client_of(proxy) as client:
        talk = Talk(client).opened()
        proxy.signal(signal.SIGTERM)
        client.until(lambda: client.goaway is not None)
        talk.say("while it drains")
        assert talk.hears(1) == ["while it drains"]
        with suppress(AssertionError, ConnectionResetError):
            client.until(lambda: talk.answer.is_over)
        assert proxy.wait() == 0
    assert proxy.events("connection_cut")


def test_a_conversation_that_ends_while_it_drains_ends_the_drain(start: Start, url: str) -> None:
    proxy = start(*LIBRARY, target=url)
    with client_of(proxy) as client:
        talk = Talk(client).opened()
        proxy.signal(signal.SIGTERM)
        client.until(lambda: client.goaway is not None)
        talk.protocol.send_close(1000, "")
        talk.flush()
        assert talk.closed().code == 1000
        client.send(talk.number, b"", end=True)
        assert proxy.wait() == 0
    assert not proxy.events("connection_cut")
