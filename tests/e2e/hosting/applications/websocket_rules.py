"""WebSockets that do what the tests of the rules ask for; what they are told is kept, and given out by GET /seen."""

import asyncio
import json
from collections import defaultdict
from typing import Any

seen: dict[str, list[Any]] = defaultdict(list)
held = asyncio.Event()


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http" and scope["path"] == "/events":
        await events(receive, send)
    elif scope["type"] == "http":
        await tell(scope, send)
    elif scope["type"] == "websocket":
        name = scope["path"].strip("/")
        assert (await receive())["type"] == "websocket.connect"
        try:
            await SOCKETS[name](scope, receive, send)
        except BaseException as error:
            seen[f"{name} raised"].append(type(error).__name__)
            raise


async def events(receive: Any, send: Any) -> None:
    """A stream that is silent until it is told to end."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": b"data: begun\n\n", "more_body": True})
    seen["events"].append("begun")
    while (await receive())["type"] != "http.disconnect":
        ...
    await send({"type": "http.response.body", "body": b"data: told\n\n"})


async def tell(scope: Any, send: Any) -> None:
    body = json.dumps(seen).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    offered = scope["subprotocols"]
    await send({"type": "websocket.accept", "subprotocol": offered[-1] if offered else None})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"], "bytes": event["bytes"]})
    seen["echo"].append([event["code"], event["reason"]])


async def scope_of(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "websocket.accept"})
    told = {"scheme": scope["scheme"], "extensions": sorted(scope["extensions"])}
    await send({"type": "websocket.send", "text": json.dumps(told)})


async def refuse(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "websocket.close", "code": 4000})


async def deny(scope: Any, receive: Any, send: Any) -> None:
    fields = [(b"content-type", b"text/plain"), (b"x-why", b"because")]
    await send({"type": "websocket.http.response.start", "status": 418, "headers": fields})
    await send({"type": "websocket.http.response.body", "body": b"not ", "more_body": True})
    await asyncio.sleep(0.01)
    await send({"type": "websocket.http.response.body", "body": b"today"})


async def raises(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError("own fault")


async def returns(scope: Any, receive: Any, send: Any) -> None: ...


async def opens_and_raises(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "websocket.accept"})
    raise ValueError("own fault")


async def opens_and_returns(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "last"})


async def closes(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": 4001, "reason": "enough"})
    seen["closes"].append((await receive())["code"])


async def floods(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "websocket.accept"})
    try:
        for number in range(1_000_000):
            await send({"type": "websocket.send", "bytes": bytes(10_000)})
            seen["floods"] = [number]
    except OSError:
        seen["floods ended"].append(True)


async def deaf(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "websocket.accept"})
    await held.wait()


async def waits(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "ready"})
    event = await receive()
    seen["waits"].append([event["code"], event["reason"]])


SOCKETS = {
    "echo": echo,
    "scope": scope_of,
    "refuse": refuse,
    "deny": deny,
    "raises": raises,
    "returns": returns,
    "opens-and-raises": opens_and_raises,
    "opens-and-returns": opens_and_returns,
    "closes": closes,
    "floods": floods,
    "deaf": deaf,
    "waits": waits,
}
