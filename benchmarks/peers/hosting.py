"""The application of the suites `hosting`, `tls` and `workers`: bare ASGI, the same for every server.

What waits is counted, so that a client knows when all of it does.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks import work

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

JSON = (b"content-type", b"application/json")
TEXT = (b"content-type", b"text/plain")
HOUR = 3600
waiting = 0
"""Calls that wait for an hour."""


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request, or one WebSocket's messages."""
    if scope["type"] == "websocket":
        await _echo(receive, send)
    elif scope["type"] == "http":
        await _answer_path(scope["path"], receive, send)
    else:
        raise RuntimeError(f"this application serves HTTP and WebSocket, not {scope['type']}")


async def _answer_path(path: str, receive: Receive, send: Send) -> None:
    if path == "/constant":
        await _answer(send, work.constant(), JSON)
    elif path == "/sink":
        await _answer(send, b"%d" % await _length(receive), TEXT)
    elif path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": [TEXT]})
        for _ in range(work.PIECES):
            await send({"type": "http.response.body", "body": work.STREAMED, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    elif path == "/events":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await _rest()
    elif path == "/wait":
        await _rest()
    elif path == "/waiting":
        await _answer(send, b"%d" % waiting, TEXT)
    elif path == "/pid":
        await _answer(send, b"%d" % os.getpid(), TEXT)
    else:
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


async def _rest() -> None:
    global waiting
    waiting += 1
    try:
        await asyncio.sleep(HOUR)
    finally:
        waiting -= 1


async def _answer(send: Send, body: bytes, kind: tuple[bytes, bytes]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [kind, length]})
    await send({"type": "http.response.body", "body": body})


async def _length(receive: Receive) -> int:
    """How long the request's body is; all of it is read."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    return size


async def _echo(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message["bytes"]})
