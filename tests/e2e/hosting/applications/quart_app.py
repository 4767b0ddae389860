# ruff: noqa: ASYNC110 - tests poll
"""The contract of tests/e2e/hosting in Quart."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from quart import Quart, Response, abort, current_app, jsonify, request, websocket

marks: dict[str, str] = {}
started: dict[str, str] = {}
app = Quart(__name__)


@app.before_serving
async def start() -> None:
    started["started"] = "by the lifespan"


@app.get("/")
async def index() -> Any:
    return jsonify(hello="world"), 200, {"x-app": "quart"}


@app.get("/items/<int:number>")
def item(number: int) -> Any:
    return jsonify(id=number, q=request.args.get("q"))


@app.get("/empty")
async def empty() -> Any:
    return "", 204


@app.post("/echo")
async def echo() -> Any:
    return Response(await request.get_data(), content_type=request.headers.get("content-type"))


@app.post("/count")
async def count() -> Any:
    return jsonify(sum([len(piece) async for piece in request.body]))


@app.get("/stream")
async def stream() -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(100):
            yield b"piece %d\n" % number

    return pieces(), 200, {"content-type": "text/plain"}


@app.get("/endless")
async def endless() -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"more\n"
                await asyncio.sleep(0.01)
        finally:
            marks["endless"] = "gone"

    response = Response(pieces())
    response.timeout = None
    return response


@app.get("/events")
async def events() -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"data: %d\r\n\r\n" % number

    return pieces(), 200, {"content-type": "text/event-stream"}


async def work() -> None:
    while "go" not in marks:
        await asyncio.sleep(0.01)
    marks["background"] = "done"


@app.get("/background")
async def background() -> Any:
    current_app.add_background_task(work)
    return jsonify("ok")


@app.get("/go")
async def go() -> Any:
    marks["go"] = "yes"
    return jsonify("ok")


@app.get("/marks")
async def seen() -> Any:
    return jsonify(marks)


@app.get("/wait")
async def wait() -> Any:
    try:
        await asyncio.sleep(60)
    finally:
        marks["wait"] = "gone"


@app.get("/state")
async def state() -> Any:
    return jsonify(started)


@app.get("/error")
async def error() -> Any:
    raise RuntimeError("the application's own fault")


@app.websocket("/chat")
async def chat() -> None:
    offered = websocket.requested_subprotocols
    await websocket.accept(headers={"x-app": "quart"}, subprotocol=offered[0] if offered else None)
    try:
        while True:
            message = await websocket.receive()
            if message == "leave":
                await websocket.close(4000, "as you wish")
                return
            if message == "fail":
                raise RuntimeError("the application's own fault")
            await websocket.send(message)
    except asyncio.CancelledError:  # that is how Quart tells that the client has gone
        marks["chat"] = "gone"
        raise


@app.websocket("/no-chat")
async def no_chat() -> None:
    abort(403)
