"""The endpoints of a supervisor's x-ray: as server.xray.serve.site, for all its workers at once.

What is of one worker is asked of that one: `/connections/2:17` of worker 2. A number alone is asked of all, and
answered where only one knows it.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response, text_response
from clerestory.handlers.api.operations import span
from clerestory.server.logging.logs import Logs
from clerestory.server.xray.exports.metrics import CONTENT_TYPE, metrics
from clerestory.server.xray.observe.beats import Beats
from clerestory.server.xray.observe.considerate import considerate
from clerestory.server.xray.observe.snapshot import row
from clerestory.server.xray.serve.filters import MOST, named, parse
from clerestory.server.xray.serve.keys import Keys
from clerestory.server.xray.serve.shape import JSON, row_json
from clerestory.server.xray.serve.site import Site, document, encode
from clerestory.server.xray.serve.waits import waits_asked, waits_json
from clerestory.server.xray.workers import sums
from clerestory.server.xray.workers.events import WorkersEvents
from clerestory.server.xray.workers.exposition import Families, Family, read, write
from clerestory.server.xray.workers.inquiry import Answer, Answers
from clerestory.server.xray.workers.member import Member
from clerestory.server.xray.workers.waits import waits
from clerestory.server.xray.workers.workers import Workers, detail_of, documents_of
from clerestory.statemachines.supervisor import State as S

NOT_SERVING = {S.STARTING: "starting", S.AWAITING_CHANGE: "the application cannot be started", S.STOPPING: "stopping"}
"""States of a supervisor in which no probe is told that it is ready, besides DRAINING."""

OURS = ("clerestory_slots", "clerestory_descriptors", "clerestory_descriptors_limit", "clerestory_draining")
"""Metrics of a process that serves, which a supervisor does not."""


class WorkersSite(Site):
    """The endpoints, of `workers`."""

    def __init__(self, workers: Workers, beats: Beats, logs: Logs, keys: Keys) -> None:
        self.workers = workers
        super().__init__(workers.watch, WorkersEvents(workers, beats), logs, keys)

    # --- looking

    async def readiness(self, _: Request) -> Response:
        """For probes: ready while a worker is."""
        cut, members = await self.workers.look()
        for position in cut.seen.at(lambda machine, _: machine.engine.table.name == "supervisor"):
            state = cut.seen[position][1].state
            if state in (S.DRAINING, S.STOPPED):
                raise HTTPError(503, "draining")
            if state in NOT_SERVING:
                raise HTTPError(503, NOT_SERVING[S(state)])
        serving = [member for member in members if member.serves]
        answers = await self.workers.ask(serving, "/readyz", enough=lambda answer: answer.status == 200)
        found = [answer for answer in answers.values() if answer is not None]
        if any(answer.status == 200 for answer in found):
            return text_response("ready\n")
        raise HTTPError(503, detail_of(found[0]) if found else "no worker answers")

    async def metrics(self, _: Request) -> Response:
        """For Prometheus: one process, as it were."""
        cut, members = await self.workers.look()
        answers = await self.workers.ask(members, "/metrics")
        with considerate():
            own = read(metrics(self.watch, cut))
            found = self.workers.metrics({name: own[name] for name in own if name not in OURS}, members, answers)
            page = write(found | _apart(members, answers)).encode()
        return Response(page, 200, ((b"content-type", CONTENT_TYPE),))

    async def snapshot(self, _: Request) -> Response:
        """All workers at a glance."""
        return document(await self.workers.summary(await self.watch.look()))

    async def waits(self, request: Request) -> Response:  # type: ignore[override]
        """Where the time of each route's requests goes, whichever worker has answered them."""
        route, example, secrets = waits_asked(request.query)
        _, members = await self.workers.look()
        if example:
            return await self._forwarded(members, example, "", request, "example")
        said = await self.workers.documents(members, f"/waits.json?{_query(request, classes='1')}")
        with considerate():
            return document(waits(waits_json(self.watch, route, secrets=secrets, classes=True), said))

    async def ended(self, _: Request) -> Response:  # type: ignore[override]
        """Those that have ended, of the workers that there are."""
        members = (await self.workers.look())[1]
        said = await self.workers.documents(members, "/ended.json")
        with considerate():
            return document(sums.ended(self.watch.ended(), said))

    async def connections(self, request: Request) -> Response:
        """The machines that are asked for, a row each."""
        wanted, rest = parse(request.query, ("group", "secrets"))
        group = rest.get("group", "")
        cut, members = await self.workers.look()
        limit = str(min(MOST, wanted.limit + wanted.offset))
        said = await self.workers.documents(members, f"/connections.json?{_query(request, limit=limit, offset='')}")
        with considerate():
            found = wanted.select(cut)
            own, _ = self.watch.rows(cut, wanted, group=group)
            own["rows"] = [row_json(row(cut.seen[position], cut.now)) for position in found]
            members_found, rows = sums.listed(own, said, wanted.sort, wanted.limit, wanted.offset)
            return document(members_found, [encode(one) for one in rows])

    async def connection(self, request: Request, id: str) -> Response:  # noqa: A002
        """One machine, open or ended; or an export of it."""
        cut, members = await self.workers.look()
        if named(cut, id) is not None:
            return await super().connection(request, id)
        parse(request.query, ("format", "secrets"))
        return await self._forwarded(members, id, "/connections/{}", request)

    async def _forwarded(
        self, members: list[Member], identity: str, path: str, request: Request, parameter: str = ""
    ) -> Response:
        """What the worker answers that knows the machine, or the request, of that name."""
        members, local = _meant(members, identity)
        if parameter:
            target = f"/waits.json?{_query(request, **{parameter: local})}"
        else:
            target = path.format(quote(local, safe=":"))
            target += f"?{request.query}" if request.query else ""
        answers = await self.workers.ask(members, target, request.method)
        known = [
            (member, answer) for member in members if (answer := answers.get(member.number)) and answer.status != 404
        ]
        if len(known) > 1:
            which = " or ".join(f"{member.number}:{local}" for member, _ in known)
            raise HTTPError(404, f"Several workers have a {local}: write {which}.")
        if not known:
            raise _unknown(members, answers, identity)
        member, answer = known[0]
        if answer.status != 200:
            raise HTTPError(answer.status, detail_of(answer))
        return _relabelled(member, answer)

    # --- changing

    async def close(self, request: Request, id: str) -> Response:  # noqa: A002
        """Close one."""
        _, members = await self.workers.look()
        if ":" not in id:  # it must not be closed in two workers
            id = await self._owner(members, id)  # noqa: A001
        return await self._forwarded(members, id, "/connections/{}/close", request)

    async def _owner(self, members: list[Member], identity: str) -> str:
        """The whole name of the one connection of that number."""
        answers = await self.workers.ask(members, f"/connections/{quote(identity, safe='')}")
        open_ones = [member.number for member, one in documents_of_known(members, answers) if one.get("ended") is None]
        if len(open_ones) > 1:
            which = " or ".join(f"{number}:{identity}" for number in open_ones)
            raise HTTPError(404, f"Several workers have a {identity}: write {which}.")
        if not open_ones:
            raise HTTPError(404, f"{identity} is not an open connection: /connections.json lists them.")
        return f"{open_ones[0]}:{identity}"

    async def close_many(self, request: Request) -> Response:
        """Close those that are asked for, in all workers; without confirm=1 say which they are."""
        wanted, _ = parse(request.query, ("confirm",))
        if not wanted.narrow:
            raise HTTPError(400, "Say which to close, by at least one of state=, older=, peer= and path=.")
        _, members = await self.workers.look()
        said = await self.workers.documents(members, f"/close?{request.query}", "POST")
        return document(sums.closed(said))


def _query(request: Request, **changed: str) -> str:
    """The request's query with some parameters changed, or left out where they are empty."""
    kept = [(name, value) for name, value in parse_qsl(request.query, max_num_fields=32) if name not in changed]
    return urlencode([*kept, *((name, value) for name, value in changed.items() if value)])


def _meant(members: list[Member], identity: str) -> tuple[list[Member], str]:
    """Whom to ask for what is called that, and what they call it. Raises HTTPError where there is no such worker, or it
    cannot be asked."""
    number, colon, local = identity.partition(":")
    if not colon or not number.isdecimal():
        return members, identity
    found = [member for member in members if str(member.number) == number]
    if not found:
        raise HTTPError(404, f"There is no worker {number} (any more).")
    if not found[0].may_answer:
        raise HTTPError(503, f"Worker {number} is {found[0].state}, and cannot be asked.")
    return found, local


def _unknown(members: list[Member], answers: Answers, identity: str) -> HTTPError:
    silent = [member for member in members if member.number in answers and answers[member.number] is None]
    if silent:
        names = ", ".join(f"worker {member.number} (last heard {span(member.heard)} ago)" for member in silent)
        return HTTPError(503, f"{identity} is not known to those that answer; {names} does not.")
    return HTTPError(404, f"{identity} is not there: /connections.json lists the open ones, /ended.json the others.")


def documents_of_known(members: list[Member], answers: Answers) -> list[tuple[Member, JSON]]:
    """The documents of those that know what they were asked for."""
    return documents_of(members, {number: one for number, one in answers.items() if one and one.status == 200})


def _relabelled(member: Member, answer: Answer) -> Response:
    """A worker's answer, with names as they are among all workers. Exports stay as they are."""
    if answer.media_type != b"application/json":
        return Response(answer.body, 200, ((b"content-type", answer.media_type),))
    ((_, found),) = documents_of([member], {member.number: answer})
    if "id" in found and "now" in found:
        return document(sums.mark(member, found))
    for name in ("closed", "failed"):
        if name in found:
            found[name] = [sums.whole_id(member, one) for one in found[name]]
    return document(found)


def _apart(members: list[Member], answers: Answers) -> Families:
    """What tells workers apart: a few samples of each."""
    figures: tuple[tuple[str, str, str, Callable[[Member], Any]], ...] = (
        (
            "up",
            "gauge",
            "1 where the worker answers for this page.",
            lambda one: int(answers.get(one.number) is not None),
        ),
        ("heard_seconds", "gauge", "Since the worker was last heard.", lambda one: round(one.heard, 3)),
        ("connections", "gauge", "Open client connections.", lambda one: one.figures.get("connections", 0)),
        ("requests_total", "counter", "Answers begun.", lambda one: one.figures.get("requests", 0)),
        ("resident_memory_bytes", "gauge", "Resident memory.", lambda one: one.figures.get("memory", 0)),
    )
    found: Families = {}
    for name, kind, text, value in figures:
        samples = {
            f'clerestory_worker_{name}{{worker="{one.number}",generation="{one.generation}"}}': value(one)
            for one in members
            if one.worker.pid
        }
        found[f"clerestory_worker_{name}"] = Family(kind, text, samples)
    return found
