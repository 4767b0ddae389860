# ruff: noqa: ASYNC110 - tests poll
"""The contract of tests/e2e/hosting in Falcon."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import falcon
import falcon.asgi

marks: dict[str, str] = {}
started: dict[str, str] = {}


class Lifespan:
    async def process_startup(self, scope: Any, event: Any) -> None:
        started["started"] = "by the lifespan"


class Resource:
    async def on_get(self, req: Any, resp: Any) -> None:
        resp.media = {"hello": "world"}
        resp.set_header("x-app", "falcon")

    async def on_get_item(self, req: Any, resp: Any, number: int) -> None:
        resp.media = {"id": number, "q": req.get_param("q")}

    async def on_get_empty(self, req: Any, resp: Any) -> None:
        resp.status = falcon.HTTP_204

    async def on_post_echo(self, req: Any, resp: Any) -> None:
        resp.data = await req.stream.read()
        resp.content_type = req.content_type

    async def on_post_count(self, req: Any, resp: Any) -> None:
        resp.media = sum([len(piece) async for piece in req.stream])

    async def on_get_stream(self, req: Any, resp: Any) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for number in range(100):
                yield b"piece %d\n" % number

        resp.content_type = "text/plain"
        resp.stream = pieces()

    async def on_get_endless(self, req: Any, resp: Any) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"more\n"
                    await asyncio.sleep(0.01)
            finally:
                marks["endless"] = "gone"

        resp.stream = pieces()

    async def on_get_events(self, req: Any, resp: Any) -> None:
        async def said() -> AsyncIterator[falcon.asgi.SSEvent]:
            for number in range(3):
                yield falcon.asgi.SSEvent(text=str(number))

        resp.sse = said()

    async def on_get_background(self, req: Any, resp: Any) -> None:
        async def work() -> None:
            while "go" not in marks:
                await asyncio.sleep(0.01)
            marks["background"] = "done"

        resp.media = "ok"
        resp.schedule(work)

    async def on_get_go(self, req: Any, resp: Any) -> None:
        marks["go"] = "yes"
        resp.media = "ok"

    async def on_get_marks(self, req: Any, resp: Any) -> None:
        resp.media = marks

    async def on_get_wait(self, req: Any, resp: Any) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            marks["wait"] = "gone"

    async def on_get_state(self, req: Any, resp: Any) -> None:
        resp.media = started

    async def on_get_error(self, req: Any, resp: Any) -> None:
        raise RuntimeError("the application's own fault")


app = falcon.asgi.App(middleware=[Lifespan()])
one = Resource()
app.add_route("/", one)
app.add_route("/items/{number:int}", one, suffix="item")
for name in [
    "empty",
    "echo",
    "count",
    "stream",
    "endless",
    "events",
    "background",
    "go",
    "marks",
    "wait",
    "state",
    "error",
]:
    app.add_route(f"/{name}", one, suffix=name)
