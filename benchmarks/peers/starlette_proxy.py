"""A reverse proxy as one writes it with Starlette and httpx. Run by uvicorn; $BENCHMARK_UPSTREAM is what is asked."""

import os
from collections.abc import AsyncIterator

import anyio  # type: ignore[import-not-found, unused-ignore]
import httpx  # type: ignore[import-not-found, unused-ignore]
from starlette.requests import Request  # type: ignore[import-not-found, unused-ignore]
from starlette.responses import StreamingResponse  # type: ignore[import-not-found, unused-ignore]
from starlette.types import Receive, Scope, Send  # type: ignore[import-not-found, unused-ignore]

HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
CONNECTIONS = 8
"""To the upstream. With 64, as the others have, each request costs several times as much: all are looked at for it."""

UPSTREAM = os.environ["BENCHMARK_UPSTREAM"]

_client: httpx.AsyncClient | None = None


def _asking() -> httpx.AsyncClient:
    """The one client, made when there is a loop."""
    global _client
    if _client is None:
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=3600)
        _client = httpx.AsyncClient(base_url=UPSTREAM, limits=limits, timeout=30)
    return _client


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Ask the upstream what was asked of us, and hand its answer on."""
    request = Request(scope, receive)
    client = _asking()
    fields = [(name, value) for name, value in request.headers.raw if name.decode() not in HOP_BY_HOP]
    fields.append((b"x-forwarded-for", request.client.host.encode() if request.client else b"unknown"))
    url = httpx.URL(path=request.url.path, query=request.url.query.encode())
    answer = await client.send(client.build_request(request.method, url, headers=fields), stream=True)

    async def body() -> AsyncIterator[bytes]:
        try:
            async for piece in answer.aiter_raw():
                yield piece
        finally:
            with anyio.CancelScope(shield=True):  # else a client that leaves keeps its place in the pool for ever
                await answer.aclose()

    kept = {name: value for name, value in answer.headers.items() if name not in HOP_BY_HOP}
    await StreamingResponse(body(), answer.status_code, kept)(scope, receive, send)
