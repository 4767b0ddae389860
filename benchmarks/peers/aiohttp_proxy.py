"""A reverse proxy on aiohttp, server and client, with uvloop. Run: `python -m benchmarks.peers.aiohttp_proxy PORT`;
$BENCHMARK_UPSTREAM is what is asked."""

import os
import sys
from collections.abc import AsyncIterator

import aiohttp  # type: ignore[import-not-found]
from aiohttp import web

from benchmarks.peers.aiohttp_app import serve

HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
UPSTREAM = os.environ["BENCHMARK_UPSTREAM"]


async def ask(request: web.Request) -> web.StreamResponse:
    """Ask the upstream what was asked of us, and hand its answer on."""
    fields = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP]
    fields.append(("X-Forwarded-For", request.remote or "unknown"))
    session: aiohttp.ClientSession = request.app["session"]
    async with session.request(request.method, UPSTREAM + request.raw_path, headers=fields) as answer:
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
        response = web.StreamResponse(status=answer.status, headers=kept)
        await response.prepare(request)
        async for piece in answer.content.iter_any():
            await response.write(piece)
        await response.write_eof()
        return response


async def session(app: web.Application) -> AsyncIterator[None]:
    """The one client session, while the server runs."""
    connector = aiohttp.TCPConnector(limit=64, keepalive_timeout=3600)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as made:
        app["session"] = made
        yield


def main(port: int) -> None:
    """Serve until SIGTERM."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", ask)
    app.cleanup_ctx.append(session)
    serve(app, port)


if __name__ == "__main__":
    main(int(sys.argv[1]))
