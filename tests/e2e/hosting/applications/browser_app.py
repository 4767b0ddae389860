"""What a browser asks of a server: a page, a WebSocket that echoes and closes, and events that go on after a break."""

import asyncio
from typing import Any

PAGE = b"<!doctype html><title>tests</title><link rel=icon href=data:,>"


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await chat(receive, send)
    elif scope["type"] == "http" and scope["path"] == "/events":
        await events(scope, send)
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": PAGE})


async def chat(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        text = event["text"]
        if text == "return":
            return
        if text == "raise":
            raise RuntimeError("the application's own fault")
        if text is not None and text.isdigit():
            await send({"type": "websocket.close", "code": int(text), "reason": "as you wish"})
            return
        await send({"type": "websocket.send", "text": text, "bytes": event["bytes"]})


async def events(scope: Any, send: Any) -> None:
    """Two events, and the end: the browser comes back, and says which it has had."""
    said = dict(scope["headers"]).get(b"last-event-id", b"0")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": b"retry: 20\n\n", "more_body": True})
    for number in (int(said) + 1, int(said) + 2):
        await asyncio.sleep(0.01)
        body = b"id: %d\ndata: %d\n\n" % (number, number)
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
