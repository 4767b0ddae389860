"""The WebSocket of a handler, through the whole server but its listener; over real sockets it is in
tests/e2e/test_websocket_handlers.py."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from clerestory import Router, WebSocket, WebSocketClosed, gather
from clerestory.testing import Client

Handler = Callable[[WebSocket], Awaitable[Any]]


def client_of(handler: Handler, **how: Any) -> Client:
    router = Router()
    router.websocket("/ws")(handler)  # type: ignore[type-var]
    return Client(router, **how)


def test_text_bytes_and_json_are_sent() -> None:
    async def handler(socket: WebSocket) -> None:
        for message in ("text", b"bytes", bytearray(b"array"), {"a": 1}, [1, "ü"]):
            await socket.send(message)  # type: ignore[arg-type]

    with client_of(handler) as client, client.websocket("/ws") as socket:
        assert [socket.receive() for _ in range(5)] == ["text", b"bytes", b"array", '{"a": 1}', '[1, "ü"]']
        with pytest.raises(WebSocketClosed) as closed:
            socket.receive()
        assert (closed.value.code, closed.value.reason) == (1000, "")


@pytest.mark.parametrize("message", [7, None, object(), ("a",)])
def test_what_is_no_message_is_an_error_where_it_is_sent(message: Any) -> None:
    raised: list[str] = []

    async def handler(socket: WebSocket) -> None:
        try:
            await socket.send(message)
        except TypeError as error:
            raised.append(str(error))
        await socket.accept()

    with client_of(handler) as client, client.websocket("/ws"):
        assert raised[0].startswith("a message is str, bytes, or a dict or list for JSON, not ")


def test_it_is_accepted_once_and_with_what_was_offered() -> None:
    said: list[str] = []

    async def handler(socket: WebSocket) -> None:
        tries: list[tuple[Any, ...]] = [("other",), (None, ((b"sec-websocket-protocol", b"a"),)), ("b",), ()]
        for given in tries:
            try:
                await socket.accept(*given)
            except (ValueError, RuntimeError) as error:
                said.append(str(error))

    with client_of(handler) as client, client.websocket("/ws", subprotocols=["a", "b"]) as socket:
        assert socket.subprotocol == "b"
    assert said == [
        "subprotocol 'other' was not offered by the client; it offers: a, b",
        "the server sends sec-websocket-protocol itself",
        "the WebSocket has been accepted before",
    ]


def test_what_came_before_the_clients_close_is_received_and_then_its_code() -> None:
    got: list[Any] = []

    async def handler(socket: WebSocket) -> None:
        try:
            await socket.accept()
            while True:
                got.append(await socket.receive())
        except WebSocketClosed as closed:
            got.append((closed.code, closed.reason))
            try:
                await socket.send("too late")
            except WebSocketClosed as again:
                got.append(again.code)
            await socket.close()  # does nothing

    with client_of(handler) as client:
        with client.websocket("/ws") as socket:
            socket.send("a")
            socket.send(b"b")
            socket.close(4000, "bye")
        assert got == ["a", b"b", (4000, "bye"), 4000]


def test_several_may_be_awaited_at_once() -> None:
    async def handler(socket: WebSocket) -> None:
        both = await gather(socket.receive(), socket.receive())
        await gather(socket.send(both[1]), socket.send(both[0]))
        await gather(socket.receive(), socket.receive())

    with client_of(handler) as client, client.websocket("/ws") as socket:
        socket.send("a")
        socket.send("b")
        assert [socket.receive(), socket.receive()] == ["b", "a"]


def test_one_handler_may_send_to_the_socket_of_another() -> None:
    room: list[WebSocket] = []

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        room.append(socket)
        async for message in socket:
            for other in room:
                await other.send(message)
        room.remove(socket)

    with client_of(handler) as client, client.websocket("/ws") as one, client.websocket("/ws") as other:
        one.send("hello")
        assert (one.receive(), other.receive()) == ("hello", "hello")
    assert room == []


def test_a_code_that_may_not_be_sent_is_an_error() -> None:
    said: list[str] = []

    async def handler(socket: WebSocket) -> None:
        try:
            await socket.close(1006)
        except ValueError as error:
            said.append(str(error))
        await socket.close(4000)

    with client_of(handler) as client, client.websocket("/ws") as socket, pytest.raises(WebSocketClosed):
        socket.receive()
    assert said == ["close code 1006 may not be sent: write 1000, or a code from 3000 to 4999"]


def test_a_send_waits_for_room_and_raises_when_the_client_is_gone() -> None:
    sent: list[int] = []

    async def handler(socket: WebSocket) -> None:
        try:
            while True:
                await socket.send(bytes(10_000))
                sent.append(1)
        except WebSocketClosed:
            sent.append(0)

    with client_of(handler, websocket_max_unsent=20_000) as client:
        with client.websocket("/ws") as socket:
            assert len(socket.receive()) == 10_000
            assert 0 not in sent
        assert sent[-1] == 0
