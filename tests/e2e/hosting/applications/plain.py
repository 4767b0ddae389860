# ruff: noqa: ASYNC110 - tests poll
"""The contract of tests/e2e/hosting as a bare ASGI application."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

marks: dict[str, str] = {}


async def answer(send: Send, body: bytes, status: int = 200, kind: bytes = b"application/json") -> None:
    fields = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), (b"x-app", b"plain")]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def start(send: Send, kind: bytes = b"text/plain") -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})


async def pieces(receive: Receive) -> Any:
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ConnectionError
        yield event["body"]
        if not event["more_body"]:
            return


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    scope["state"]["started"] = "by the lifespan"
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def endless(receive: Receive, send: Send) -> None:
    """Until the client has left."""
    await start(send)
    try:
        while True:
            await send({"type": "http.response.body", "body": b"more\n", "more_body": True})
            await asyncio.sleep(0.01)
    except OSError:
        marks["endless"] = "gone"


async def wait(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    marks["wait"] = "gone"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        return await lifespan(scope, receive, send)
    path = scope["path"]
    if path == "/":
        await answer(send, b'{"hello": "world"}')
    elif path.startswith("/items/"):
        said = {"id": int(path.removeprefix("/items/")), "q": scope["query_string"].decode().removeprefix("q=")}
        await answer(send, json.dumps(said).encode())
    elif path == "/empty":
        await answer(send, b"", 204)
    elif path == "/echo":
        body = b"".join([piece async for piece in pieces(receive)])
        await answer(send, body, kind=dict(scope["headers"]).get(b"content-type", b"text/plain"))
    elif path == "/count":
        await answer(send, b"%d" % sum([len(piece) async for piece in pieces(receive)]))
    elif path == "/stream":
        await start(send)
        for number in range(100):
            await send({"type": "http.response.body", "body": b"piece %d\n" % number, "more_body": True})
        await send({"type": "http.response.body"})
    elif path == "/both":
        await start(send)
        async for piece in pieces(receive):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})
    elif path == "/endless":
        await endless(receive, send)
    elif path == "/events":
        await start(send, b"text/event-stream")
        for number in range(3):
            await send({"type": "http.response.body", "body": b"data: %d\r\n\r\n" % number, "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body"})
    elif path == "/background":
        await answer(send, b'"ok"')
        while "go" not in marks:
            await asyncio.sleep(0.01)
        marks["background"] = "done"
    elif path == "/go":
        marks["go"] = "yes"
        await answer(send, b'"ok"')
    elif path == "/marks":
        await answer(send, json.dumps(marks).encode())
    elif path == "/wait":
        await wait(receive)
    elif path == "/state":
        await answer(send, json.dumps(scope["state"]).encode())
    elif path == "/error":
        raise RuntimeError("the application's own fault")
    elif path == "/broken":
        await start(send)
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        await asyncio.sleep(0)
        raise RuntimeError("in the middle")
    else:
        await answer(send, b'"not found"', 404)
    return None
