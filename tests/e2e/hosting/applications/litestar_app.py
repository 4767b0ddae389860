# ruff: noqa: ASYNC110 - tests poll
"""The contract of tests/e2e/hosting in Litestar."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from litestar import Litestar, Request, Response, WebSocket, get, post, websocket
from litestar.background_tasks import BackgroundTask
from litestar.exceptions import NotAuthorizedException, WebSocketDisconnect
from litestar.response import Stream

marks: dict[str, str] = {}
started: dict[str, str] = {}


async def start() -> None:
    started["started"] = "by the lifespan"


@get("/")
async def index() -> Response[dict[str, str]]:
    return Response({"hello": "world"}, headers={"x-app": "litestar"})


@get("/items/{number:int}", sync_to_thread=True)
def item(number: int, q: str) -> dict[str, Any]:
    return {"id": number, "q": q}


@get("/empty", status_code=204)
async def empty() -> None:
    return None


@post("/echo", status_code=200)
async def echo(request: Request[Any, Any, Any]) -> Response[bytes]:
    return Response(await request.body(), media_type=request.headers.get("content-type"))


@post("/count", status_code=200)
async def count(request: Request[Any, Any, Any]) -> int:
    return sum([len(piece) async for piece in request.stream()])


@get("/stream")
async def stream() -> Stream:
    async def pieces() -> AsyncIterator[str]:
        for number in range(100):
            yield f"piece {number}\n"

    return Stream(pieces(), media_type="text/plain")


@get("/endless")
async def endless() -> Stream:
    async def pieces() -> AsyncIterator[str]:
        try:
            while True:
                yield "more\n"
                await asyncio.sleep(0.01)
        finally:
            marks["endless"] = "gone"

    return Stream(pieces(), media_type="text/plain")


@get("/events")
async def events() -> Stream:
    async def pieces() -> AsyncIterator[str]:
        for number in range(3):
            yield f"data: {number}\r\n\r\n"

    return Stream(pieces(), media_type="text/event-stream")


async def work() -> None:
    while "go" not in marks:
        await asyncio.sleep(0.01)
    marks["background"] = "done"


@get("/background")
async def background() -> Response[str]:
    return Response('"ok"', background=BackgroundTask(work), media_type="application/json")


@get("/go")
async def go() -> dict[str, str]:
    marks["go"] = "yes"
    return marks


@get("/marks")
async def seen() -> dict[str, str]:
    return marks


@get("/wait")
async def wait() -> None:
    try:
        await asyncio.sleep(60)
    finally:
        marks["wait"] = "gone"


@get("/state")
async def state() -> dict[str, str]:
    return started


@get("/error")
async def error() -> None:
    raise RuntimeError("the application's own fault")


@websocket("/chat")
async def chat(socket: WebSocket[Any, Any, Any]) -> None:
    offered = socket.scope["subprotocols"]
    await socket.accept(subprotocols=offered[0] if offered else None, headers={"x-app": "litestar"})
    try:
        while True:
            event: Any = await socket.receive()
            if event["type"] == "websocket.disconnect":
                marks["chat"] = str(event["code"])
                return
            if event.get("text") == "leave":
                await socket.close(4000, "as you wish")
                return
            if event.get("text") == "fail":
                raise RuntimeError("the application's own fault")
            if event.get("text") is not None:
                await socket.send_text(event["text"])
            else:
                await socket.send_bytes(event["bytes"])
    except WebSocketDisconnect as gone:
        marks["chat"] = str(gone.code)


@websocket("/no-chat")
async def no_chat(socket: WebSocket[Any, Any, Any]) -> None:
    raise NotAuthorizedException("no")


SOCKETS = [chat, no_chat]
HANDLERS = [index, item, empty, echo, count, stream, endless, events, background, go, seen, wait, state, error]
app = Litestar([*HANDLERS, *SOCKETS], on_startup=[start], openapi_config=None)
