"""The x-ray's endpoints: a router like any other, on the x-ray's own loop. What they answer: server.xray.shape."""

import json
from collections.abc import Callable
from typing import Any

from handlers.errors import HTTPError
from handlers.messages import Request, Response, text_response
from handlers.operations import span
from handlers.router import Router
from server.logs import Logs
from server.xray import pages
from server.xray.considerate import considerate
from server.xray.events import Events
from server.xray.exports import EXPORTS
from server.xray.filters import USUAL, named, parse
from server.xray.guard import Guard
from server.xray.metrics import CONTENT_TYPE, metrics
from server.xray.orders import Close, anyway, closable
from server.xray.shape import JSON, row_json
from server.xray.snapshot import identity_of, row
from server.xray.watch import Watch

UNREADY = 1.0
"""Seconds of a blocked loop from which on a probe is told that we are not ready."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_TYPE = ((b"content-type", b"application/json"),)


def document(value: JSON, rows: list[str] | None = None) -> Response:
    """`value` as JSON; `rows` are JSON already. Lists are encoded one by one: an encoder holds the interpreter lock
    from its first byte to its last, and the loop that serves wants it too."""
    text = "{" + ",".join(f"{_encode(name)}:{_member(member)}" for name, member in value.items()) + "}"
    if rows is not None:
        text = f'{text[:-1]},"rows":[{",".join(rows)}]}}'
    return Response(text.encode(), 200, _TYPE)


def _member(member: object) -> str:
    return f"[{','.join(map(_encode, member))}]" if isinstance(member, list) else _encode(member)


class Site:
    """The endpoints; `guard` is the application. Built from `watch`, with `events` and `logs` for what is changed."""

    def __init__(
        self, watch: Watch, events: Events, logs: Logs, token: str, *, local: bool = True, unix: bool = False
    ) -> None:
        self.watch = watch
        self.events = events
        self.logs = logs
        self.files = pages.load()
        router = Router()
        self.guard = Guard(router, token, local, unix)
        router.get("/")(lambda request: self.page(request, "index.html"))
        router.get("/page/{name}")(self.page)
        router.get("/machines.json")(lambda _: document(watch.tables()))
        router.get("/ended.json")(self.ended)
        router.get("/events")(lambda _: events.answer())
        router.get("/healthz")(lambda _: text_response("ok\n"))
        router.get("/readyz")(self.readiness)
        router.get("/metrics")(self.metrics)
        router.get("/snapshot.json")(self.snapshot)
        router.get("/connections.json")(self.connections)
        router.get("/connections/{id}")(self.connection)
        router.post("/connections/{id}/close")(self.close)
        router.post("/close")(self.close_many)

    # --- looking

    def page(self, request: Request, name: str) -> Response:
        """The page and its files."""
        found = pages.answer(self.files, name, self.guard, request)
        if found is None:
            raise HTTPError(404, f"The page has no file {name}.")
        return found

    async def readiness(self, _: Request) -> Response:
        """For probes: not ready while it drains, which is the first thing a drain does, nor while it is blocked."""
        if self.watch.service.draining:
            raise HTTPError(503, "draining")
        blocked = (await self.watch.look()).blocked
        if blocked is not None and blocked.seconds > UNREADY:
            raise HTTPError(503, f"blocked for {span(blocked.seconds)}")
        return text_response("ready\n")

    async def metrics(self, _: Request) -> Response:
        """For Prometheus."""
        cut = await self.watch.look()
        with considerate():
            page = metrics(self.watch, cut).encode()
        return Response(page, 200, ((b"content-type", CONTENT_TYPE),))

    async def snapshot(self, _: Request) -> Response:
        """The whole process at a glance."""
        cut = await self.watch.look()
        with considerate():
            return document(self.watch.summary(cut))

    def ended(self, _: Request) -> Response:
        """Those that have ended."""
        with considerate():
            return document(self.watch.ended())

    async def connections(self, request: Request) -> Response:
        """The machines that are asked for, a row each."""
        wanted, rest = parse(request.query, ("group", "secrets"))
        group, secrets = rest.get("group", ""), self._secrets(request, rest)
        if group not in ("", "state", "peer"):
            raise HTTPError(400, f"group={group}: rows are grouped by state or by peer.")
        cut = await self.watch.look()
        with considerate():
            return document(*self.watch.rows(cut, wanted, group=group, secrets=secrets))

    async def connection(self, request: Request, id: str) -> Response:  # noqa: A002
        """One machine, open or ended; or an export of it."""
        _, rest = parse(request.query, ("format", "secrets"))
        secrets, form = self._secrets(request, rest), rest.get("format", "json")
        cut = await self.watch.look()
        seen = named(cut, id)
        if seen is not None and form == "json":
            return document(self.watch.one(cut, seen, secrets=secrets))
        recording = self.watch.recording(cut, id)
        if recording is None:
            raise HTTPError(404, f"{id} is not there: /connections.json lists the open ones, /ended.json the others.")
        if form == "json":
            return document(self.watch.gone(recording, cut.now, secrets=secrets))
        if form not in EXPORTS:
            raise HTTPError(400, f"format={form}: there are json, {', '.join(EXPORTS)}.")
        export, media_type = EXPORTS[form]
        return Response(export(recording, secrets=secrets).encode(), 200, ((b"content-type", media_type),))

    def _secrets(self, request: Request, rest: dict[str, str]) -> bool:
        asked = rest.get("secrets") == "1"
        if asked and not self.guard.has_token(request):
            raise HTTPError(403, "secrets=1 shows queries and credentials: send the token as X-Clerestory-Token.")
        return asked

    # --- changing

    async def close(self, request: Request, id: str) -> Response:  # noqa: A002
        """Close one."""
        await self.guard.demand(request)
        seen = named(await self.watch.look(), id)
        if seen is None or not closable(seen[0]):
            raise HTTPError(404, f"{id} is not there, or is no connection: /connections.json lists those there are.")
        return await self._order(request, [seen], anyway)

    async def close_many(self, request: Request) -> Response:
        """Close those that are asked for; without confirm=1 say which they are."""
        await self.guard.demand(request)
        wanted, rest = parse(request.query, ("confirm",))
        if not wanted.narrow:
            raise HTTPError(400, "Say which to close, by at least one of state=, older=, peer= and path=.")
        cut = await self.watch.look()
        found = [seen for seen in map(cut.seen.__getitem__, wanted.select(cut)) if closable(seen[0])]
        if rest.get("confirm") != "1":
            rows: list[Any] = [row_json(row(seen, cut.now)) for seen in found[:USUAL]]
            return document({"dry_run": True, "would_close": len(found), "rows": rows})
        return await self._order(request, found, wanted.matches)

    async def _order(self, request: Request, found: list[Any], still: Callable[[Any, float], bool]) -> Response:
        closed = await Close(self.watch.service.loop, self.watch.ours, found, still)
        gone = set(closed)
        failed = [one for one in map(identity_of, found) if one not in gone]
        self.logs.warning(
            "closed_by_operator",
            request=f"{request.method} {request.target}",
            peer=request.peer,
            closed=len(closed),
            connections=closed[:USUAL],
            failed=len(failed),
        )
        return document({"dry_run": False, "closed": closed, "failed": failed})
