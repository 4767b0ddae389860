"""The x-ray's endpoints: a router like any other, on the x-ray's own loop. What they answer:
server.xray.serve.shape."""

import json
import time
from collections.abc import Callable
from typing import Any

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response, text_response
from clerestory.handlers.api.operations import span
from clerestory.handlers.router import Router
from clerestory.server.logging.logs import Logs
from clerestory.server.xray.exports.exports import EXPORTS
from clerestory.server.xray.exports.metrics import CONTENT_TYPE, metrics
from clerestory.server.xray.observe.considerate import considerate
from clerestory.server.xray.observe.snapshot import identity_of, row
from clerestory.server.xray.observe.upstreams import upstreams
from clerestory.server.xray.observe.watch import Watch
from clerestory.server.xray.serve import pages
from clerestory.server.xray.serve.events import Events
from clerestory.server.xray.serve.filters import USUAL, named, parse
from clerestory.server.xray.serve.guard import CHALLENGE, secrets_of
from clerestory.server.xray.serve.keys import Keys
from clerestory.server.xray.serve.orders import Close, anyway, closable
from clerestory.server.xray.serve.shape import JSON, row_json
from clerestory.server.xray.serve.waits import example_json, waits_asked, waits_json

UNREADY = 1.0
"""Seconds of a blocked loop from which on a probe is told that we are not ready."""

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_TYPE = ((b"content-type", b"application/json"),)


def document(value: JSON, rows: list[str] | None = None) -> Response:
    """`value` as JSON; `rows` are JSON already. Lists are encoded one by one: an encoder holds the interpreter lock
    from its first byte to its last, and the loop that serves wants it too."""
    text = "{" + ",".join(f"{encode(name)}:{_member(member)}" for name, member in value.items()) + "}"
    if rows is not None:
        text = f'{text[:-1]},"rows":[{",".join(rows)}]}}'
    return Response(text.encode(), 200, _TYPE)


def _member(member: object) -> str:
    return f"[{','.join(map(encode, member))}]" if isinstance(member, list) else encode(member)


class Site:
    """The endpoints; `router` is the application. Built from `watch`, with `events` and `logs` for what is changed."""

    def __init__(
        self,
        watch: Watch,
        events: Events,
        logs: Logs,
        keys: Keys,
    ) -> None:
        self.watch = watch
        self.events = events
        self.logs = logs
        self.keys = keys
        self.files = pages.load()
        self.router = router = Router()
        router.get("/")(lambda request: self.page(request, "index.html"))
        router.get("/page/{name}")(self.page)
        router.get("/machines.json")(lambda _: document(watch.tables()))
        router.get("/ended.json")(self.ended)
        router.get("/events")(lambda _: self.events.answer())
        router.get("/healthz")(lambda _: text_response("ok\n"))
        router.get("/readyz")(self.readiness)
        router.get("/metrics")(self.metrics)
        router.get("/snapshot.json")(self.snapshot)
        router.get("/waits.json")(self.waits)
        router.get("/connections.json")(self.connections)
        router.get("/connections/{id}")(self.connection)
        router.get("/connections/{number:int}/{stream:int}")(self.stream)
        router.post("/session")(self.session)
        router.post("/key")(lambda _: document({"key": keys.new_key()}))
        router.post("/connections/{id}/close")(self.close)
        router.post("/connections/{number:int}/{stream:int}/close")(self.close_stream)
        router.post("/close")(self.close_many)

    # --- looking

    def page(self, _: Request, name: str) -> Response:
        """The page and its files."""
        found = pages.answer(self.files, name)
        if found is None:
            raise HTTPError(404, f"The page has no file {name}.")
        return found

    def session(self, request: Request) -> Response:
        """A session, for the key of a link, or for the token."""
        for secret in secrets_of(request):
            session = self.keys.open_session(secret)
            if session is not None:
                return document({"session": session})
        raise HTTPError(
            401, "This key has been used, or is too old: `clerestory page` prints a new link.", (CHALLENGE,)
        )

    async def readiness(self, _: Request) -> Response:
        """For probes: not ready while it drains, which is the first thing a drain does, while it is blocked, and
        while no upstream is up."""
        if self.watch.service.draining:
            raise HTTPError(503, "draining")
        cut = await self.watch.look()
        blocked = cut.blocked
        if blocked is not None and blocked.seconds > UNREADY:
            raise HTTPError(503, f"blocked for {span(blocked.seconds)}")
        found = upstreams(cut)
        if found and not any(one.may_be_asked for one in found):
            raise HTTPError(503, "no upstream is up")
        return text_response("ready\n")

    async def metrics(self, _: Request) -> Response:
        """For Prometheus."""
        cut = await self.watch.look()
        with considerate():
            page = metrics(self.watch, cut).encode()
        return Response(page, 200, ((b"content-type", CONTENT_TYPE),))

    async def snapshot(self, request: Request) -> Response:
        """The whole process at a glance."""
        cut = await self.watch.look()
        with considerate():
            return document(self.watch.summary(cut, buckets="buckets=1" in request.query))

    def waits(self, request: Request) -> Response:
        """Where the time of each route's requests goes. It asks nothing of the main loop."""
        route, example, secrets = waits_asked(request.query)
        with considerate():
            if example:
                return document(example_json(self.watch, example, secrets=secrets))
            classes = "classes=1" in request.query
            return document(waits_json(self.watch, route, secrets=secrets, classes=classes))

    def ended(self, _: Request) -> Response:
        """Those that have ended."""
        with considerate():
            return document(self.watch.ended())

    async def connections(self, request: Request) -> Response:
        """The machines that are asked for, a row each."""
        wanted, rest = parse(request.query, ("group", "secrets"))
        group, secrets = rest.get("group", ""), rest.get("secrets") == "1"
        if group not in ("", "state", "peer"):
            raise HTTPError(400, f"group={group}: rows are grouped by state or by peer.")
        cut = await self.watch.look()
        with considerate():
            return document(*self.watch.rows(cut, wanted, group=group, secrets=secrets))

    async def connection(self, request: Request, id: str) -> Response:  # noqa: A002
        """One machine, open or ended; or an export of it."""
        _, rest = parse(request.query, ("format", "secrets"))
        secrets, form = rest.get("secrets") == "1", rest.get("format", "json")
        cut = await self.watch.look()
        seen = named(cut, id) or named(cut, self.watch.connection_of(id))
        if seen is not None and form == "json":
            return document(self.watch.one(cut, seen, secrets=secrets))
        recording = self.watch.recording(cut, identity_of(seen) if seen is not None else self.watch.connection_of(id))
        if recording is None:
            raise HTTPError(404, f"{id} is not there: /connections.json lists the open ones, /ended.json the others.")
        if form == "json":
            return document(self.watch.gone(recording, cut.now, secrets=secrets))
        if form not in EXPORTS:
            raise HTTPError(400, f"format={form}: there are json, {', '.join(EXPORTS)}.")
        export, media_type = EXPORTS[form]
        epoch = time.time() - self.watch.ours.clock()
        text = export(recording, secrets=secrets, epoch=epoch)
        return Response(text.encode(), 200, ((b"content-type", media_type),))

    async def stream(self, request: Request, number: int, stream: int) -> Response:
        """One stream, whose id is written as it is shown."""
        return await self.connection(request, f"{number}/{stream}")

    # --- changing

    async def close(self, request: Request, id: str) -> Response:  # noqa: A002
        """Close one."""
        seen = named(await self.watch.look(), id)
        if seen is None or not closable(seen[0]):
            raise HTTPError(404, f"{id} is not an open connection: /connections.json lists them.")
        return await self._order(request, [seen], anyway)

    async def close_stream(self, request: Request, number: int, stream: int) -> Response:
        """Close one stream."""
        return await self.close(request, f"{number}/{stream}")

    async def close_many(self, request: Request) -> Response:
        """Close those that are asked for; without confirm=1 say which they are."""
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
        if not found:  # of several workers, the one that has none of them
            return document({"dry_run": False, "closed": [], "failed": []})
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
