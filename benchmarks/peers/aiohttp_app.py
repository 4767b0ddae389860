"""The application on aiohttp's own server, with uvloop. Run: `python -m benchmarks.peers.aiohttp_app PORT`."""

import sys

import uvloop  # type: ignore[import-not-found, unused-ignore]
from aiohttp import web  # type: ignore[import-not-found]

from benchmarks import work


async def constant(_request: web.Request) -> web.Response:
    """Answer `/constant`."""
    return web.Response(body=work.constant(), content_type="application/json")


async def email(request: web.Request) -> web.Response:
    """Answer `/emails/{id}`."""
    found = work.email(int(request.match_info["number"]))
    return web.Response(body=found or b"", status=200 if found else 404, content_type="application/json")


async def echo(request: web.Request) -> web.Response:
    """Answer `/echo`."""
    return web.Response(body=await request.read(), content_type="application/octet-stream")


async def file(request: web.Request) -> web.StreamResponse:
    """Answer `/files/{name}`, by sendfile where the loop has it."""
    found = work.file(request.match_info["name"])
    return web.FileResponse(found) if found else web.Response(status=404)


def serve(app: web.Application, port: int) -> None:
    """Serve `app` until SIGTERM."""
    web.run_app(
        app,
        host="127.0.0.1",
        port=port,
        access_log=None,
        print=lambda *_: None,
        backlog=4096,
        keepalive_timeout=3600,
        loop=uvloop.new_event_loop(),
    )


def main(port: int) -> None:
    """Serve until SIGTERM."""
    app = web.Application()
    app.router.add_get("/constant", constant)
    app.router.add_get("/emails/{number}", email)
    app.router.add_post("/echo", echo)
    app.router.add_get("/files/{name}", file)
    serve(app, port)


if __name__ == "__main__":
    main(int(sys.argv[1]))
