"""The x-ray's endpoints: a router like any other, on the x-ray's own loop. What they answer: server.xray.shape."""

import json
from typing import Any

from handlers.errors import HTTPError
from handlers.messages import Application, Request, Response, html_response
from handlers.router import Router
from server.xray.filters import named, parse
from server.xray.guard import Guard
from server.xray.shape import JSON
from server.xray.watch import Watch

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_TYPE = ((b"content-type", b"application/json"),)

PLAIN = """<!doctype html><meta charset="utf-8"><title>x-ray</title><h1>x-ray</h1><ul>
<li><a href="snapshot.json">snapshot.json</a><li><a href="connections.json">connections.json</a>
<li><a href="machines.json">machines.json</a><li><a href="ended.json">ended.json</a><li><a href="metrics">metrics</a>
<li><a href="healthz">healthz</a><li><a href="readyz">readyz</a></ul>"""


def document(value: JSON) -> Response:
    """`value` as JSON. Rows are encoded one by one: the encoder holds the interpreter lock from its first byte to its
    last, and the loop that serves wants it too."""
    rows = value.get("rows")
    if not rows or len(rows) < 64:
        return Response(_encode(value).encode(), 200, _TYPE)
    head = _encode({name: member for name, member in value.items() if name != "rows"})
    body = ",".join([_encode(row) for row in rows])
    return Response(f'{head[:-1]},"rows":[{body}]}}'.encode(), 200, _TYPE)


def site(watch: Watch, token: str, *, local: bool = True, unix: bool = False) -> Application:
    """The endpoints behind their guard."""
    router = Router()
    guard = Guard(router, token, local, unix)

    def secrets(request: Request, asked: str | None) -> bool:
        if asked == "1" and not guard.has_token(request):
            raise HTTPError(403, "secrets=1 shows queries and credentials: it takes the token, as X-Clerestory-Token.")
        return asked == "1"

    @router.get("/")
    def page(request: Request) -> Response:  # noqa: ARG001
        return html_response(PLAIN)

    @router.get("/machines.json")
    def machines(request: Request) -> Response:  # noqa: ARG001
        return document(watch.tables())

    @router.get("/snapshot.json")
    async def snapshot(request: Request) -> Response:  # noqa: ARG001
        return document(watch.summary(await watch.look()))

    @router.get("/connections.json")
    async def connections(request: Request) -> Response:
        wanted, rest = parse(request.query, ("group", "secrets"))
        group, shown = rest.get("group", ""), secrets(request, rest.get("secrets"))
        if group not in ("", "state", "peer"):
            raise HTTPError(400, f"group={group}: rows are grouped by state or by peer.")
        return document(watch.rows(await watch.look(), wanted, group=group, secrets=shown))

    @router.get("/connections/{id}")
    async def connection(request: Request, id: str) -> Response:  # noqa: A002
        _, rest = parse(request.query, ("format", "secrets"))
        cut = await watch.look()
        seen: Any = named(cut, id)
        if seen is None:
            raise HTTPError(404, f"There is no connection {id}; /connections.json lists those there are.")
        return document(watch.one(cut, seen, secrets=secrets(request, rest.get("secrets"))))

    return guard
