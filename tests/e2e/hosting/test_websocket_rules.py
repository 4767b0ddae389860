"""The rules of the ASGI WebSocket specification and of RFC 6455, each over a real socket.

The library `websockets` is at the client's end, and raw bytes where a library would not do it.
"""

import json
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from tests.support.client import Client, request
from tests.support.server import ServerProcess, serving
from tests.support.waiting import PATIENCE, eventually

TARGET = "tests.e2e.hosting.applications.websocket_rules:app"
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version: 13",
)


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    with serving("--loop", request.param, "--no-xray", "--websocket-max-controls", "1000", target=TARGET) as server:
        yield server


def dial(server: ServerProcess, name: str, **how: Any) -> ClientConnection:
    return connect(
        f"ws://{server.address[0]}:{server.address[1]}/{name}", **({"compression": None, "max_size": None} | how)
    )


def seen(server: ServerProcess, name: str) -> Any:
    with Client(server.address) as client:
        return json.loads(client.get("/seen").body).get(name)


def closing(connection: ClientConnection) -> tuple[int, str]:
    """What the server has said at the end."""
    with suppress(ConnectionClosed):
        while True:
            connection.recv(PATIENCE)
    assert connection.close_code is not None
    return connection.close_code, connection.close_reason or ""


class Raw(Client):
    """A WebSocket that is spoken by hand."""

    def __init__(self, server: ServerProcess, name: str) -> None:
        super().__init__(server.address)
        self.send(request(f"/{name}", *UPGRADE))
        while b"\r\n\r\n" not in self.buffer:
            self.take(len(self.buffer) + 1)
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n"), head

    def frame(self) -> tuple[int, bytes]:
        """The next frame of the server: its first byte, and its payload."""
        self.take(2)
        size = self.buffer[1]
        start = 2
        if size == 126:
            self.take(4)
            size, start = int.from_bytes(self.buffer[2:4], "big"), 4
        self.take(start + size)
        first, payload = self.buffer[0], self.buffer[start : start + size]
        self.buffer = self.buffer[start + size :]
        return first, payload


def framed(opcode: Opcode, data: bytes, **how: Any) -> bytes:
    return Frame(opcode, data, **how).serialize(mask=True)


# --- the handshake


def test_messages_come_back_as_they_were_sent(server: ServerProcess) -> None:
    with dial(server, "echo") as connection:
        for message in ("", "grüße", b"", b"\x00\xff", "x" * 70_000, os.urandom(2_000_000)):
            connection.send(message)
            assert connection.recv(PATIENCE) == message


def test_a_subprotocol_is_chosen_among_those_that_are_offered(server: ServerProcess) -> None:
    with dial(server, "echo", subprotocols=["a", "b"]) as connection:
        assert connection.subprotocol == "b"


def test_a_close_before_the_accept_is_403(server: ServerProcess) -> None:
    with pytest.raises(InvalidStatus) as refused:
        dial(server, "refuse")
    assert refused.value.response.status_code == 403


def test_a_denial_is_sent_as_it_was_given(server: ServerProcess) -> None:
    """And the connection goes on: it is an answer like others."""
    with Client(server.address) as client:
        client.send(request("/deny", *UPGRADE))
        answer = client.answer()
        assert (answer.status, answer["x-why"], answer.body) == (418, "because", b"not today")
        assert client.get("/seen").status == 200


@pytest.mark.parametrize("name", ["raises", "returns"])
def test_an_application_that_ends_before_the_accept_is_500(server: ServerProcess, name: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        dial(server, name)
    assert refused.value.response.status_code == 500


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([*UPGRADE[:2], UPGRADE[3]], 400),
        ([*UPGRADE[:3], "Sec-WebSocket-Version: 8"], 426),
        ([*UPGRADE, "Content-Length: 2"], 400),
    ],
)
def test_a_handshake_that_is_not_well_formed_is_refused(server: ServerProcess, lines: list[str], status: int) -> None:
    with Client(server.address) as client:
        client.send(request("/echo", *lines))
        assert client.answer().status == status


def test_a_handshake_may_come_in_any_pieces_with_frames_behind_it(server: ServerProcess) -> None:
    data = request("/echo", *UPGRADE) + framed(Opcode.TEXT, b"a") + framed(Opcode.TEXT, b"b")
    for cut in range(1, len(data), 3):
        with Client(server.address) as client:
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.send(data[:cut])
            client.send(data[cut:])
            while not client.buffer.endswith(b"\x81\x01a\x81\x01b"):
                client.take(len(client.buffer) + 1)


# --- frames


def test_frames_may_be_cut_at_every_position(server: ServerProcess) -> None:
    parts = [
        framed(Opcode.TEXT, b"a" * 130),
        framed(Opcode.TEXT, b"b", fin=False),
        framed(Opcode.PING, b"?"),
        framed(Opcode.CONT, b"c"),
    ]
    data = b"".join(parts)
    with Raw(server, "echo") as raw:
        raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(data)):
            raw.send(data[:cut])
            raw.send(data[cut:])
            got = sorted(raw.frame() for _ in range(3))
            assert got == [(0x81, b"a" * 130), (0x81, b"bc"), (0x8A, b"?")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (Frame(Opcode.TEXT, b"a").serialize(mask=False), 1002),
        (framed(Opcode.CONT, b"a"), 1002),
        (b"\x83\x80abcd", 1002),
        (b"\xc1\x80abcd", 1002),
        (framed(Opcode.TEXT, b"\xff"), 1007),
        (b"\x82\xff" + (1 << 40).to_bytes(8, "big") + b"abcd", 1009),
        (b"\x88\x81abcd\x00", 1002),
    ],
    ids=("unmasked", "continuation", "opcode", "compressed", "text", "too long", "short close"),
)
def test_what_breaks_the_protocol_is_closed_with_its_code(server: ServerProcess, data: bytes, code: int) -> None:
    with Raw(server, "echo") as raw:
        raw.send(data)
        first, payload = raw.frame()
        assert (first, int.from_bytes(payload[:2], "big")) == (0x88, code)
        assert raw.rest() == b""


def test_rubbish_ends_the_connection_and_not_the_server(server: ServerProcess) -> None:
    for _ in range(20):
        with Raw(server, "echo") as raw:
            raw.send(os.urandom(3000))
            raw.socket.shutdown(socket.SHUT_WR)
            raw.rest()
    with dial(server, "echo") as connection:
        connection.send("still here")
        assert connection.recv(PATIENCE) == "still here"


# --- the end


def test_the_clients_close_is_told_to_the_application(server: ServerProcess) -> None:
    with dial(server, "echo") as connection:
        connection.close(4123, "my reason")
    eventually(lambda: [4123, "my reason"] in (seen(server, "echo") or []))


def test_a_client_that_is_gone_without_a_close_is_1006(server: ServerProcess) -> None:
    for way in ("close", "reset"):
        before = (seen(server, "echo") or []).count([1006, ""])
        with Raw(server, "echo") as raw:
            if way == "reset":
                raw.reset()
        eventually(lambda before=before: (seen(server, "echo") or []).count([1006, ""]) > before)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [("opens-and-returns", 1000, ""), ("opens-and-raises", 1011, ""), ("closes", 4001, "enough")],
)
def test_the_applications_end_is_told_to_the_client(server: ServerProcess, name: str, code: int, reason: str) -> None:
    with dial(server, name) as connection:
        assert closing(connection) == (code, reason)


def test_an_application_that_closes_is_told_its_own_code(server: ServerProcess) -> None:
    with dial(server, "closes") as connection:
        closing(connection)
    eventually(lambda: 4001 in (seen(server, "closes") or []))


def test_a_client_that_does_not_answer_our_close_is_cut() -> None:
    with (
        serving("--no-xray", "--websocket-close-timeout", "0.3", target=TARGET) as server,
        Raw(server, "closes") as raw,
    ):
        assert raw.frame() == (0x88, b"\x0f\xa1enough")
        assert raw.end() == "reset"
        server.wait_for("websocket_ended", cause="deadline", state="CLOSING")


# --- waiting


def test_a_slow_reader_holds_its_application_and_nobody_else(server: ServerProcess) -> None:
    with Raw(server, "floods") as raw:

        def stands() -> bool:
            before = seen(server, "floods")
            return before is not None and seen(server, "floods") == before

        eventually(stands, what="send() waits")
        assert seen(server, "floods")[0] < 10_000
        before = seen(server, "floods")[0]
        for _ in range(1000):
            raw.frame()
        eventually(lambda: seen(server, "floods")[0] > before, what="it goes on")
        raw.reset()
    eventually(lambda: seen(server, "floods ended"), what="send() raises")


def test_a_reader_that_takes_nothing_is_cut() -> None:
    with serving("--no-xray", "--websocket-send-timeout", "0.3", target=TARGET) as server, Raw(server, "floods"):
        server.wait_for("websocket_ended", cause="deadline", state="AWAITING_ROOM")
        eventually(lambda: seen(server, "floods ended"), what="send() raises")


def test_an_application_that_takes_nothing_stops_the_sender_and_is_given_up() -> None:
    options = ("--no-xray", "--websocket-take-timeout", "0.5", "--websocket-max-queue", "2")
    with serving(*options, target=TARGET) as server, dial(server, "deaf", close_timeout=1) as connection:
        sent = 0

        def send() -> None:
            nonlocal sent
            try:
                while True:
                    connection.send(bytes(100_000))
                    sent += 1
            except ConnectionClosed:
                pass

        sender = threading.Thread(target=send)
        sender.start()
        assert closing(connection) == (1011, "the application does not take its messages")
        sender.join(PATIENCE)
        assert 2 <= sent < 500


def test_the_silent_are_asked_and_those_that_do_not_answer_are_closed() -> None:
    options = ("--no-xray", "--websocket-ping-interval", "0.3", "--websocket-pong-timeout", "0.5")
    with serving(*options, target=TARGET) as server, dial(server, "echo", ping_interval=None) as answers:
        with Raw(server, "echo") as silent:
            assert silent.frame() == (0x89, b"")
            assert silent.frame() == (0x88, b"\x03\xf3no answer to a ping")
        answers.send("the other has answered")
        assert answers.recv(PATIENCE) == "the other has answered"
        eventually(lambda: [1006, "no answer to a ping"] in (seen(server, "echo") or []))


# --- limits, each with what is one more


@pytest.mark.parametrize(("size", "code"), [(1000, None), (1001, 1009)])
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_a_message_has_so_many_bytes(limited: ServerProcess, size: int, code: int | None, compression: str) -> None:
    with dial(limited, "echo", compression=compression) as connection:
        connection.send(bytes(size))
        if code is None:
            assert connection.recv(PATIENCE) == bytes(size)
        else:
            assert closing(connection)[0] == code


@pytest.mark.parametrize(("count", "code"), [(4, None), (5, 1008)])
def test_a_message_has_so_many_fragments(limited: ServerProcess, count: int, code: int | None) -> None:
    with dial(limited, "echo") as connection:
        connection.send(["x"] * (count - 1))  # the library adds an empty last one
        if code is None:
            assert connection.recv(PATIENCE) == "x" * (count - 1)
        else:
            assert closing(connection)[0] == code


def test_control_frames_of_a_second_are_bounded(limited: ServerProcess) -> None:
    """Ten a second may come: in whichever seconds they are, of 21 at once more than ten are in one."""
    with Raw(limited, "echo") as raw:
        for _ in range(10):
            raw.send(framed(Opcode.PING, b""))
            assert raw.frame()[0] == 0x8A
    with Raw(limited, "echo") as raw:
        raw.send(framed(Opcode.PING, b"") * 21)
        while (frame := raw.frame())[0] == 0x8A:
            pass
        assert frame[0] == 0x88
        assert int.from_bytes(frame[1][:2], "big") == 1008


@pytest.fixture(scope="module")
def limited() -> Iterator[ServerProcess]:
    options = ("--websocket-max-message", "1000", "--websocket-max-fragments", "4", "--websocket-max-controls", "10")
    with serving("--no-xray", "--websocket-compression", *options, target=TARGET) as server:
        yield server


def test_a_bomb_is_not_unpacked() -> None:
    """RFC 7692: 64 MiB of zeros are 64 KiB on the wire; what counts is what comes out."""
    with serving("--no-xray", "--websocket-compression", target=TARGET) as server:
        before = server.peak_memory()
        with dial(server, "deaf", compression="deflate", max_size=None) as connection:
            connection.send(bytes(64 << 20))
            assert closing(connection)[0] == 1009
        assert server.peak_memory() - before < (40 << 20)


# --- the end of the server


def test_a_drain_closes_websockets_with_1012() -> None:
    options = ("--no-xray", "--drain-timeout", "4", "--last-request-timeout", "0.1", "--application-leave-timeout", "1")
    with serving(*options, target=TARGET) as server, dial(server, "waits") as connection:
        assert connection.recv(PATIENCE) == "ready"
        server.signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosedError) as ended:
            connection.recv(PATIENCE)
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 1012
        assert server.wait() == 0
        assert not server.events("application_cancelled")


# --- seen


def test_a_websocket_is_seen_from_its_connection_to_the_line_of_the_application() -> None:
    with serving("--no-xray", target=TARGET) as server, dial(server, "echo") as connection:
        connection.send("a")
        connection.recv(PATIENCE)
        server.signal(signal.SIGUSR1)
        server.wait_for("xray_dump")
        said = str(server.events("xray_dump")[-1])
        assert re.search(
            r"/echo TUNNELLING .* <- websocket OPEN [0-9.]+ s, last message [0-9.]+ s ago <- application CONVERSING "
            r"[0-9.]+ s at applications/websocket_rules.py:[0-9]+ echo",
            said,
        ), said
