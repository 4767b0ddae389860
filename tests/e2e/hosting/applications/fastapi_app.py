# ruff: noqa: ASYNC110 - tests poll
"""The contract of tests/e2e/hosting in FastAPI; `item` and `go` are synchronous routes, which run in threads."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import BackgroundTasks, FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse

marks: dict[str, str] = {}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
    yield {"started": "by the lifespan"}


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def index(response: Response) -> dict[str, str]:
    response.headers["x-app"] = "fastapi"
    return {"hello": "world"}


@app.get("/items/{number}")
def item(number: int, q: str) -> dict[str, Any]:
    return {"id": number, "q": q}


@app.get("/empty", status_code=204)
async def empty() -> None:
    return None


@app.post("/echo")
async def echo(request: Request) -> Response:
    return Response(await request.body(), media_type=request.headers.get("content-type"))


@app.post("/count")
async def count(request: Request) -> int:
    return sum([len(piece) async for piece in request.stream()])


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def pieces() -> AsyncIterator[str]:
        for number in range(100):
            yield f"piece {number}\n"

    return StreamingResponse(pieces(), media_type="text/plain")


@app.post("/both")
async def both(request: Request) -> StreamingResponse:
    return StreamingResponse(request.stream(), media_type="text/plain")


@app.get("/endless")
async def endless() -> StreamingResponse:
    async def pieces() -> AsyncIterator[str]:
        try:
            while True:
                yield "more\n"
                await asyncio.sleep(0.01)
        finally:
            marks["endless"] = "gone"

    return StreamingResponse(pieces(), media_type="text/plain")


@app.get("/events")
async def events() -> StreamingResponse:
    async def pieces() -> AsyncIterator[str]:
        for number in range(3):
            yield f"data: {number}\r\n\r\n"

    return StreamingResponse(pieces(), media_type="text/event-stream")


async def work() -> None:
    while "go" not in marks:
        await asyncio.sleep(0.01)
    marks["background"] = "done"


@app.get("/background")
async def background(tasks: BackgroundTasks) -> str:
    tasks.add_task(work)
    return "ok"


@app.get("/go")
def go() -> str:
    marks["go"] = "yes"
    return "ok"


@app.get("/marks")
async def seen() -> dict[str, str]:
    return marks


@app.get("/wait")
async def wait(request: Request) -> str:
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    marks["wait"] = "gone"
    return "gone"


@app.get("/state")
async def state(request: Request) -> dict[str, str]:
    return {"started": request.state.started}


@app.get("/error")
async def error() -> None:
    raise RuntimeError("the application's own fault")


@app.get("/broken")
async def broken() -> StreamingResponse:
    async def pieces() -> AsyncIterator[str]:
        yield "half"
        await asyncio.sleep(0)
        raise RuntimeError("in the middle")

    return StreamingResponse(pieces(), media_type="text/plain")


@app.websocket("/chat")
async def chat(websocket: WebSocket) -> None:
    offered = websocket.scope["subprotocols"]
    await websocket.accept(subprotocol=offered[0] if offered else None, headers=[(b"x-app", b"fastapi")])
    try:
        while True:
            event = await websocket.receive()
            websocket._raise_on_disconnect(event)
            if event.get("text") == "leave":
                await websocket.close(4000, "as you wish")
                return
            if event.get("text") == "fail":
                raise RuntimeError("the application's own fault")
            if event.get("text") is not None:
                await websocket.send_text(event["text"])
            else:
                await websocket.send_bytes(event["bytes"])
    except WebSocketDisconnect as gone:
        marks["chat"] = str(gone.code)


@app.websocket("/no-chat")
async def no_chat(websocket: WebSocket) -> None:
    await websocket.close()
