"""One contract for WebSockets, kept by every framework: messages, subprotocols, fields, refusals, ends."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.support.client import Client
from tests.support.server import ServerProcess, serving
from tests.support.waiting import PATIENCE, eventually

FRAMEWORKS = ("starlette", "fastapi", "quart", "litestar", "channels")
LOOPS = {"starlette": "uvloop", "fastapi": "asyncio", "quart": "asyncio", "litestar": "uvloop", "channels": "asyncio"}


OWN_CODES = {"litestar": (1011, 4500), "quart": (1000,)}
"""What a framework closes with that catches the exception itself."""


class Hosted:
    """A framework's server, and what it is called."""

    def __init__(self, name: str, server: ServerProcess) -> None:
        self.name = name
        self.server = server

    def dial(self, path: str = "/chat", **how: Any) -> ClientConnection:
        host, port = self.server.address
        connection: ClientConnection = connect(f"ws://{host}:{port}{path}", max_size=None, **how)
        return connection

    def mark(self) -> str:
        with Client(self.server.address) as client:
            return str(json.loads(client.get("/marks").body).get("chat", ""))


@pytest.fixture(scope="module", params=FRAMEWORKS)
def hosted(request: pytest.FixtureRequest) -> Iterator[Hosted]:
    name = request.param
    pytest.importorskip(name)
    options = ("--loop", LOOPS[name] if LOOPS[name] == "asyncio" else "auto", "--no-xray")
    target = f"tests.e2e.hosting.applications.{name}_app:app"
    with serving(*options, "--application-leave-timeout", "0.3", target=target) as server:
        yield Hosted(name, server)


def test_messages_come_back_in_order(hosted: Hosted) -> None:
    with hosted.dial() as chat:
        for message in ("hello", "grüße", "", b"\x00\xff", "x" * 100_000):
            chat.send(message)
            assert chat.recv(PATIENCE) == message
        for number in range(100):
            chat.send(str(number))
        assert [chat.recv(PATIENCE) for _ in range(100)] == [str(number) for number in range(100)]


def test_fields_and_a_subprotocol_are_the_applications(hosted: Hosted) -> None:
    with hosted.dial(subprotocols=["one", "two"]) as chat:
        assert chat.response is not None
        assert (chat.subprotocol, chat.response.headers["x-app"]) == ("one", hosted.name)


def test_a_refusal_is_not_a_websocket(hosted: Hosted) -> None:
    with pytest.raises(InvalidStatus) as refused:
        hosted.dial("/no-chat")
    assert refused.value.response.status_code in (401, 403)


def ends(chat: ClientConnection) -> tuple[int | None, str | None]:
    with pytest.raises(ConnectionClosed):
        chat.recv(PATIENCE)
    return chat.close_code, chat.close_reason


def test_the_application_closes_with_its_code(hosted: Hosted) -> None:
    with hosted.dial() as chat:
        chat.send("leave")
        assert ends(chat) == (4000, "as you wish")


def test_an_exception_closes_with_1011_or_the_frameworks_code(hosted: Hosted) -> None:
    with hosted.dial() as chat:
        chat.send("fail")
        code, _ = ends(chat)
        assert code in OWN_CODES.get(hosted.name, (1011,))


def test_the_application_learns_that_the_client_has_closed(hosted: Hosted) -> None:
    with hosted.dial() as chat:
        chat.send("hello")
        chat.recv(PATIENCE)
        chat.close(4321)
    eventually(lambda: hosted.mark() in ("4321", "gone"), what="the application's mark")


def test_the_application_learns_that_the_client_has_gone(hosted: Hosted) -> None:
    with hosted.dial(close_timeout=0) as chat:
        chat.send("hello")
        chat.recv(PATIENCE)
        chat.socket.shutdown(socket.SHUT_RDWR)
    eventually(lambda: hosted.mark() in ("1006", "gone"), what="the application's mark")
