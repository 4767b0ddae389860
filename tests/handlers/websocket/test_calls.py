"""The call of a handler with a WebSocket: refused, given up, ended; and what the log is told."""

from typing import Any

import pytest

from clerestory import HTTPError, Router, WebSocket, sleep, text_response
from clerestory.handlers.websocket.under_way import conversations_on
from clerestory.testing import Client
from clerestory.testing_websocket import WebSocketRefused


def client_of(handler: Any, **how: Any) -> Client:
    router = Router()
    router.websocket("/ws")(handler)
    return Client(router, **how)


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (None, 403, b"403 Forbidden\n"),
        ("text", 200, b"text"),
        (text_response("no", 410), 410, b"no"),
        (HTTPError(402, "Pay."), 402, b"402 Payment Required: Pay.\n"),
    ],
)
def test_one_that_does_not_accept_refuses(answer: Any, status: int, body: bytes) -> None:
    async def handler(socket: WebSocket) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with client_of(handler) as client, pytest.raises(WebSocketRefused) as refused:
        client.websocket("/ws")
    assert (refused.value.status, refused.value.body) == (status, body)


def test_what_it_raises_is_raised_in_the_test_before_and_after_the_accept() -> None:
    async def handler(socket: WebSocket) -> None:
        if b"early" in socket.request.query.encode():
            raise KeyError("early")
        await socket.receive()
        raise KeyError("late")

    with client_of(handler) as client:
        with pytest.raises(KeyError, match="early"):
            client.websocket("/ws?early")
        socket = client.websocket("/ws")
        socket.send("go")
        with pytest.raises(KeyError, match="late"):
            socket.receive()
        socket.close()


def test_one_that_does_not_accept_in_time_is_504_and_given_up() -> None:
    ended: list[str] = []

    async def handler(socket: WebSocket) -> None:
        try:
            await sleep(3600)
        finally:
            ended.append("finally")

    with client_of(handler, backend_timeout=0.05) as client:
        with pytest.raises(WebSocketRefused) as refused:
            client.websocket("/ws")
        assert (refused.value.status, ended) == (504, ["finally"])
        assert conversations_on(client._loop).runs == set()


def test_behind_the_end_it_has_a_grace_and_is_given_up_then() -> None:
    steps: list[str] = []

    async def handler(socket: WebSocket) -> None:
        try:
            async for _ in socket:
                pass
            steps.append("told")
            await sleep(0.01)
            steps.append("in time")
            while True:
                await sleep(0.01)
        finally:
            steps.append("finally")

    with client_of(handler, application_leave_timeout=0.1) as client:
        with client.websocket("/ws") as socket:
            socket.send("a")
        step = client._waiting()
        while conversations_on(client._loop).runs:
            step()
        assert steps == ["told", "in time", "finally"]


def test_a_drain_says_1012_and_lets_it_end() -> None:
    ended: list[Any] = []

    async def handler(socket: WebSocket) -> None:
        async for message in socket:
            await socket.send(message)
        ended.append(socket.closed)

    with client_of(handler) as client, client.websocket("/ws") as socket:
        socket.send("a")
        assert socket.receive() == "a"
        conversations_on(client._loop).drain()
        with pytest.raises(Exception, match="1012"):
            socket.receive()
        assert ended == [(1012, "")]


def test_a_drain_ends_one_that_has_not_accepted() -> None:
    async def handler(socket: WebSocket) -> None:
        conversations_on(client._loop).drain()
        await sleep(3600)

    with client_of(handler) as client, pytest.raises(WebSocketRefused) as refused:
        client.websocket("/ws")
    assert refused.value.status == 503


def test_a_bad_handshake_does_not_reach_the_handler() -> None:
    async def handler(socket: WebSocket) -> None:
        raise AssertionError

    fields = {"upgrade": "websocket", "connection": "upgrade", "sec-websocket-version": "13", "sec-websocket-key": "x"}
    with client_of(handler) as client:
        assert client.get("/ws", headers=fields).status == 400
