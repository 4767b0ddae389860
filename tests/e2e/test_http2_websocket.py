"""WebSockets over HTTP/2 (RFC 8441): many on one connection, beside requests, with the limits that they have anyway."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from h2.settings import SettingCodes
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from tests.conftest import Start
from tests.support.http2 import Headers, HTTP2Client, head
from tests.support.server import ServerProcess
from tests.support.waiting import eventually
from tests.support.xray import address_of, asked, look

APPLICATION = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": scope["method"].encode()})
        return
    if scope["type"] != "websocket":
        raise NotImplementedError
    assert (await receive())["type"] == "websocket.connect"
    if scope["path"] == "/refused":
        await send({"type": "websocket.close"})
        return
    chosen = scope["subprotocols"][0] if scope["subprotocols"] else None
    fields = [(b"x-version", scope["http_version"].encode())]
    await send({"type": "websocket.accept", "subprotocol": chosen, "headers": fields})
    if scope["path"] == "/flood":
        for _ in range(400):
            await send({"type": "websocket.send", "bytes": bytes(10_000)})
    if scope["path"] == "/deaf":
        await asyncio.sleep(3600)
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        if event.get("text") == "end":
            await send({"type": "websocket.close", "code": 4001, "reason": "as you wish"})
            return
        await send({**event, "type": "websocket.send"})
"""


def connect(path: bytes = b"/", *fields: tuple[bytes, bytes], protocol: bytes = b"websocket") -> Headers:
    """A CONNECT that asks for a WebSocket."""
    version = (b"sec-websocket-version", b"13")
    return [*head(b"CONNECT", path)[:1], (b":protocol", protocol), *head(b"CONNECT", path)[1:], version, *fields]


class Talk:
    """One WebSocket on one stream."""

    def __init__(self, client: HTTP2Client, path: bytes = b"/", *fields: tuple[bytes, bytes]) -> None:
        self.client = client
        self.number = client.open(connect(path, *fields), end=False)
        self.answer = client.answer(self.number)
        self.protocol = ClientProtocol(parse_uri("ws://site/"), state=State.OPEN, max_size=None)
        self.heard: list[str | bytes] = []
        self.close: Close | None = None
        self._taken = 0

    def opened(self) -> "Talk":
        self.client.until(lambda: bool(self.answer.headers))
        assert self.answer.status == 200
        return self

    def say(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self.protocol.send_text(message.encode())
        else:
            self.protocol.send_binary(message)
        self.flush()

    def flush(self) -> None:
        """Send what there is, as far as the windows admit, and wait for them otherwise."""
        library = self.client.library
        for data in self.protocol.data_to_send():
            at = 0
            while at < len(data):
                self.client.until(lambda: library.local_flow_control_window(self.number) > 0)
                count = min(library.local_flow_control_window(self.number), library.max_outbound_frame_size)
                self.client.send(self.number, data[at : at + count])
                at += count

    def listen(self) -> None:
        """Take what has come."""
        body, self._taken = self.answer.body[self._taken :], len(self.answer.body)
        if body:
            self.protocol.receive_data(body)
        for event in self.protocol.events_received():
            assert isinstance(event, Frame)
            if event.opcode in (Opcode.TEXT, Opcode.BINARY):
                self.heard.append(bytes(event.data).decode() if event.opcode is Opcode.TEXT else bytes(event.data))
            elif event.opcode is Opcode.CLOSE:
                self.close = Close.parse(event.data)

    def hears(self, count: int) -> list[str | bytes]:
        def has() -> bool:
            self.listen()
            return len(self.heard) >= count

        self.client.until(has)
        return self.heard

    def closed(self) -> Close:
        def has() -> bool:
            self.listen()
            return self.close is not None

        self.client.until(has)
        self.flush()
        assert self.close is not None
        return self.close


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "talking.py").write_text(APPLICATION)
    return tmp_path


@contextmanager
def client_of(server: ServerProcess, *, takes_all: bool = True) -> Iterator[HTTP2Client]:
    with HTTP2Client(server.address, takes_all=takes_all) as client:
        client.until(lambda: SettingCodes.MAX_CONCURRENT_STREAMS in client.library.remote_settings)
        yield client


def begun(start: Start, folder: Path, *options: str) -> ServerProcess:
    return start("--app-dir", str(folder), "--h2c", "--xray", "127.0.0.1:0", *options, target="talking:app")


@pytest.fixture
def server(start: Start, folder: Path) -> ServerProcess:
    return begun(start, folder)


def test_messages_pass_both_ways_beside_requests(server: ServerProcess) -> None:
    with client_of(server) as client:
        assert client.library.remote_settings.enable_connect_protocol == 1
        talks = [Talk(client, b"/", (b"sec-websocket-protocol", b"chat, other")).opened() for _ in range(3)]
        for number, talk in enumerate(talks):
            assert talk.answer.get(b"sec-websocket-protocol") == b"chat"
            assert talk.answer.get(b"x-version") == b"2"
            assert talk.answer.get(b"sec-websocket-accept") is None
            talk.say(f"hello {number}")
            talk.say(b"\0" * number)
        for number, talk in enumerate(talks):
            assert talk.hears(2) == [f"hello {number}", b"\0" * number]
        assert client.get().body == b"GET"
        rows = look(server, "connections.json?state=tunnelling")["rows"]
        assert len(rows) == 3
        assert {row["kind"] for row in rows} == {"h2_stream"}
        assert all("websocket OPEN" in row["why"] for row in rows)


def test_a_long_message_takes_many_windows_both_ways(server: ServerProcess) -> None:
    message = os.urandom(1_000_000)
    with client_of(server) as client:
        talk = Talk(client).opened()
        talk.say(message)
        assert talk.hears(1) == [message]


def test_either_side_closes_and_the_stream_ends_in_order(server: ServerProcess) -> None:
    with client_of(server) as client:
        talk = Talk(client).opened()
        talk.protocol.send_close(4000, "enough")
        talk.flush()
        assert talk.closed() == Close(4000, "enough")
        client.until(lambda: talk.answer.ended)
        client.send(talk.number, b"", end=True)
        other = Talk(client).opened()
        other.say("end")
        assert other.closed() == Close(4001, "as you wish")
        client.until(lambda: other.answer.ended)
        client.send(other.number, b"", end=True)
        eventually(lambda: look(server, "connections.json?state=tunnelling")["matched"] == 0, what="their end")
        assert [talk.answer.reset, other.answer.reset] == [None, None]

    def logged() -> list[object]:
        return [one["end"] for one in server.events("request") if one["method"] == "CONNECT"]

    eventually(lambda: len(logged()) == 2, what="their lines in the log")
    assert logged() == [None, None]


def test_a_refused_one_is_an_answer(server: ServerProcess) -> None:
    with client_of(server) as client:
        answer = client.whole(client.open(connect(b"/refused"), end=False))
        assert answer.status == 403
        assert client.get().body == b"GET"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (connect(protocol=b"connect-udp"), 501),
        (connect(protocol=b"web socket"), 400),
        (connect(b"/", (b"content-length", b"0")), 400),
        (connect(b"/", (b"upgrade", b"websocket")), 400),
        ([field for field in connect() if field[0] != b":path"], 400),
        ([field for field in connect() if field[0] != b":scheme"], 400),
        ([field for field in connect() if field[0] != b":authority"], 400),
        ([*connect(), (b":protocol", b"websocket")], 400),
        ([(b":protocol", b"websocket"), *head(b"GET")], 400),
        ([field if field[0] != b"sec-websocket-version" else (field[0], b"8") for field in connect()], 426),
        ([field for field in connect() if field[0] != b"sec-websocket-version"], 400),
        ([(b":method", b"CONNECT"), (b":authority", b"site:80")], 501),
    ],
)
def test_an_ill_formed_one_is_refused_and_ends_its_stream_alone(
    server: ServerProcess, headers: Headers, status: int
) -> None:
    with client_of(server) as client:
        assert client.whole(client.open(headers, end=False)).status == status
        assert client.get().body == b"GET"


def test_a_client_that_does_not_read_stalls_itself_alone_and_is_cut(start: Start, folder: Path) -> None:
    server = begun(start, folder, "--websocket-send-timeout", "1")
    with client_of(server, takes_all=False) as client:
        talk = Talk(client, b"/flood").opened()
        other = Talk(client).opened()
        other.say("hello")
        client.takes_all = True
        client.until(lambda: talk.answer.reset is not None)
        assert talk.answer.reset == 8, "CANCEL"
        assert len(talk.answer.body) <= 65_535
        assert len(other.heard) == 0, "the client has admitted no byte more of the connection"
        client.library.increment_flow_control_window(1_000_000)
        client.flush()
        assert other.hears(1) == ["hello"]
    assert server.wait_for("websocket_ended")["state"] == "AWAITING_ROOM"


def test_limits_hold(start: Start, folder: Path) -> None:
    server = begun(start, folder, "--websocket-max-message", "1000", "--websocket-max-queue", "4")
    with client_of(server) as client:
        talk = Talk(client).opened()
        talk.say("x" * 1001)
        assert talk.closed().code == 1009
        deaf = Talk(client, b"/deaf").opened()
        for _ in range(200):
            deaf.protocol.send_binary(bytes(900))
        pieces = b"".join(deaf.protocol.data_to_send())
        window = client.library.local_flow_control_window(deaf.number)
        assert len(pieces) > window
        for at in range(0, window, 10_000):
            client.send(deaf.number, pieces[at : min(at + 10_000, window)])
        eventually(lambda: look(server, "connections.json?kind=websocket&state=awaiting_application")["matched"] == 1)
        assert client.library.local_flow_control_window(deaf.number) == 0, "nothing more of it is taken"
        assert client.get().body == b"GET", "the others go on"


def test_an_operator_cuts_one_and_a_drain_says_goodbye(start: Start, folder: Path) -> None:
    server = begun(start, folder, "--drain-timeout", "4")
    with client_of(server) as client:
        cut_and_drained(server, client, Talk(client).opened(), Talk(client).opened())


def cut_and_drained(server: ServerProcess, client: HTTP2Client, talk: Talk, other: Talk) -> None:
    """An operator closes the first, and the server's drain the other."""
    first = min(row["id"] for row in look(server, "connections.json?state=tunnelling")["rows"])
    assert json.loads(asked_to_close(server, first))["closed"] == [first]
    client.until(lambda: talk.answer.reset is not None)
    server.signal(signal.SIGTERM)
    assert other.closed().code == 1012
    client.until(lambda: other.answer.ended)
    client.send(other.number, b"", end=True)
    assert server.wait() == 0


def asked_to_close(server: ServerProcess, identity: str) -> str:
    return asked(address_of(server), f"connections/{identity}/close", "POST")


def test_what_is_no_application_of_websockets_does_not_offer_them(start: Start, tmp_path: Path) -> None:
    server = start("--h2c", target=str(tmp_path))
    with client_of(server) as client:
        assert client.library.remote_settings.enable_connect_protocol == 0
        assert client.whole(client.open(connect(), end=False)).status == 400
