"""What the clients of HTTP/2 are served in tests: a page, answers that take a moment, uploads, downloads, events."""

from collections.abc import AsyncIterator

from clerestory import Request, Response, Router, WebSocket, event_stream, sleep

router = Router()
HTML = ((b"content-type", b"text/html; charset=utf-8"),)


@router.get("/")
def page(request: Request) -> Response:
    return Response(b"<!doctype html><title>A page</title><link rel=icon href='data:,'>", 200, HTML)


@router.websocket("/chat")
async def chat(socket: WebSocket) -> None:
    async for message in socket:
        await socket.send(message)


@router.get("/squares/{n:int}")
async def square(request: Request, n: int) -> Response:
    await sleep(0.01)
    return Response(b"%d" % (n * n))


@router.get("/wait")
async def wait(request: Request) -> Response:
    await sleep(3600)
    return Response(b"")


@router.get("/zeros/{size:int}")
def zeros(request: Request, size: int) -> Response:
    return Response(bytes(size))


@router.post("/length", max_body=64 * 1024 * 1024)
async def length(request: Request) -> Response:
    size = 0
    async for piece in request:
        size += len(piece)
    return Response(b"%d" % size)


async def count() -> AsyncIterator[int]:
    for number in range(1_000_000):
        yield number
        await sleep(0.01)


@router.get("/events")
def events(request: Request) -> Response:
    return event_stream(count())
