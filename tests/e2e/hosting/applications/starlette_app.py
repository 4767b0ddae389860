# ruff: noqa: ASYNC110 - tests poll
"""The contract of tests/e2e/hosting in Starlette."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

marks: dict[str, str] = {}


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
    yield {"started": "by the lifespan"}


async def index(request: Request) -> Response:
    return JSONResponse({"hello": "world"}, headers={"x-app": "starlette"})


async def item(request: Request) -> Response:
    return JSONResponse({"id": request.path_params["id"], "q": request.query_params.get("q")})


async def empty(request: Request) -> Response:
    return Response(status_code=204)


async def echo(request: Request) -> Response:
    return Response(await request.body(), media_type=request.headers.get("content-type"))


async def count(request: Request) -> Response:
    return JSONResponse(sum([len(piece) async for piece in request.stream()]))


async def stream(request: Request) -> Response:
    async def pieces() -> AsyncIterator[str]:
        for number in range(100):
            yield f"piece {number}\n"

    return StreamingResponse(pieces(), media_type="text/plain")


async def both(request: Request) -> Response:
    return StreamingResponse(request.stream(), media_type="text/plain")


async def endless(request: Request) -> Response:
    async def pieces() -> AsyncIterator[str]:
        try:
            while True:
                yield "more\n"
                await asyncio.sleep(0.01)
        finally:
            marks["endless"] = "gone"

    return StreamingResponse(pieces(), media_type="text/plain")


async def events(request: Request) -> Response:
    async def said() -> AsyncIterator[dict[str, Any]]:
        for number in range(3):
            yield {"data": number}

    return EventSourceResponse(said())


async def work() -> None:
    while "go" not in marks:
        await asyncio.sleep(0.01)
    marks["background"] = "done"


async def background(request: Request) -> Response:
    return JSONResponse("ok", background=BackgroundTask(work))


async def go(request: Request) -> Response:
    marks["go"] = "yes"
    return JSONResponse("ok")


async def seen(request: Request) -> Response:
    return JSONResponse(marks)


async def wait(request: Request) -> Response:
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    marks["wait"] = "gone"
    return JSONResponse("gone")


async def state(request: Request) -> Response:
    return JSONResponse({"started": request.state.started})


async def error(request: Request) -> Response:
    raise RuntimeError("the application's own fault")


async def broken(request: Request) -> Response:
    async def pieces() -> AsyncIterator[str]:
        yield "half"
        await asyncio.sleep(0)
        raise RuntimeError("in the middle")

    return StreamingResponse(pieces(), media_type="text/plain")


async def chat(websocket: WebSocket) -> None:
    offered = websocket.scope["subprotocols"]
    await websocket.accept(subprotocol=offered[0] if offered else None, headers=[(b"x-app", b"starlette")])
    try:
        while True:
            match await websocket.receive():
                case {"type": "websocket.disconnect", "code": code}:
                    marks["chat"] = str(code)
                    return
                case {"text": "leave"}:
                    await websocket.close(4000, "as you wish")
                    return
                case {"text": "fail"}:
                    raise RuntimeError("the application's own fault")
                case {"text": str(text)}:
                    await websocket.send_text(text)
                case {"bytes": data}:
                    await websocket.send_bytes(data)
    except WebSocketDisconnect as gone:
        marks["chat"] = str(gone.code)


async def no_chat(websocket: WebSocket) -> None:
    await websocket.close()


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/", index),
        Route("/items/{id:int}", item),
        Route("/empty", empty),
        Route("/echo", echo, methods=["POST"]),
        Route("/count", count, methods=["POST"]),
        Route("/stream", stream),
        Route("/both", both, methods=["POST"]),
        Route("/endless", endless),
        Route("/events", events),
        Route("/background", background),
        Route("/go", go),
        Route("/marks", seen),
        Route("/wait", wait),
        Route("/state", state),
        Route("/error", error),
        Route("/broken", broken),
        WebSocketRoute("/chat", chat),
        WebSocketRoute("/no-chat", no_chat),
    ],
)
