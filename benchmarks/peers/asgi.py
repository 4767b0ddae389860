"""The application for uvicorn, hypercorn and granian: plain ASGI, without a framework.

A file is handed to the server where it offers `http.response.pathsend`, else it is read and sent in pieces.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks import work

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

JSON = (b"content-type", b"application/json")
BINARY = (b"content-type", b"application/octet-stream")


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request."""
    if scope["type"] != "http":
        raise RuntimeError(f"this application serves HTTP, not {scope['type']}")
    path: str = scope["path"]
    if path == "/constant":
        await _answer(send, 200, work.constant(), JSON)
    elif path.startswith("/emails/"):
        found = work.email(int(path[8:]))
        await _answer(send, 200 if found else 404, found or b"", JSON)
    elif path == "/wait":
        await asyncio.sleep(3600)
    elif path == "/echo":
        await _answer(send, 200, await _body(receive), BINARY)
    elif path.startswith("/files/") and (file := work.file(path[7:])):
        await _file(scope, send, file)
    else:
        await _answer(send, 404, b"", BINARY)


async def _answer(send: Send, status: int, body: bytes, kind: tuple[bytes, bytes]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [kind, length]})
    await send({"type": "http.response.body", "body": body})


async def _body(receive: Receive) -> bytes:
    pieces, more = [], True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


async def _file(scope: Scope, send: Send, file: Path) -> None:
    length = (b"content-length", str(os.stat(file).st_size).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [BINARY, length]})
    if "http.response.pathsend" in scope.get("extensions", {}):
        await send({"type": "http.response.pathsend", "path": str(file)})
        return
    with file.open("rb") as source:
        while piece := source.read(work.PIECE):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
