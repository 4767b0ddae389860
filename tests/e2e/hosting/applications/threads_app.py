"""Functions in threads, asyncio's and anyio's, that return at once or block."""

import asyncio
import time
from typing import Any

import anyio.to_thread


def quick() -> None:
    """Returns."""


def block() -> None:
    time.sleep(3600)


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        raise RuntimeError("lifespans are not known here")
    _, pool, kind = scope["path"].split("/")
    function = {"quick": quick, "block": block}[kind]
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    await (asyncio.to_thread(function) if pool == "asyncio" else anyio.to_thread.run_sync(function))
    await send({"type": "http.response.body", "body": b""})
