"""An application whose handlers have WebSockets, for the tests; at `/seen` it says what became of them."""

from typing import Any

from clerestory import HTTPError, Request, Router, WebSocket, WebSocketClosed, json_response, sleep, wait_for

router = Router()
SEEN: dict[str, list[Any]] = {}


@router.get("/seen")
def seen(request: Request) -> dict[str, Any]:
    return SEEN


@router.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    async for message in socket:
        await socket.send(message)
    SEEN.setdefault("echo", []).append(socket.closed)


@router.websocket("/rooms/{room:int}")
async def room(socket: WebSocket, room: int, name: str = "nobody") -> None:
    await socket.accept("chat" if "chat" in socket.offered else None, ((b"x-room", b"%d" % room),))
    await socket.send({"room": room, "name": name})
    await socket.send(b"\x00")
    await socket.close(4001, "enough")


@router.websocket("/deny")
async def deny(socket: WebSocket) -> Any:
    return json_response({"why": "because"}, 418)


@router.websocket("/forbid")
async def forbid(socket: WebSocket) -> None:
    raise HTTPError(401, "Who are you?")


@router.websocket("/returns")
async def returns(socket: WebSocket) -> None:
    pass


@router.websocket("/raises")
async def raises(socket: WebSocket) -> None:
    raise LookupError("before")


@router.websocket("/breaks")
async def breaks(socket: WebSocket) -> None:
    await socket.receive()
    raise LookupError("after")


@router.websocket("/json")
async def sums(socket: WebSocket) -> None:
    while True:
        await socket.send({"sum": sum(await socket.receive_json())})


@router.websocket("/ticks")
async def ticks(socket: WebSocket) -> None:
    while True:
        try:
            message: Any = await wait_for(socket.receive(), 0.05)
        except TimeoutError:
            message = "tick"
        await socket.send(message)


@router.websocket("/floods")
async def floods(socket: WebSocket) -> None:
    count = SEEN["floods"] = [0]
    try:
        while True:
            await socket.send(bytes(10_000))
            count[0] += 1
    except WebSocketClosed as closed:
        SEEN["floods ended"] = [closed.code]
        raise


@router.websocket("/deaf")
async def deaf(socket: WebSocket) -> None:
    await socket.accept()
    try:
        await sleep(3600)
    finally:
        SEEN["deaf ended"] = [1]


@router.websocket("/slow")
async def slow(socket: WebSocket) -> None:
    await sleep(3600)
