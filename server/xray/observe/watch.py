"""The watch: one loop looked at from another. It takes cuts, and makes documents (server.xray.serve.shape) of them.

It lives on the x-ray's thread; of the loop that is looked at it calls `call_from_thread` and nothing else.
"""

import os
import resource
from dataclasses import asdict
from typing import Any

from clerestory.server.connection.service import Service
from clerestory.server.loop.loop import Loop
from clerestory.server.xray.observe.banners import Bounds, banners
from clerestory.server.xray.observe.cut import Cut, Look, Looks
from clerestory.server.xray.observe.figures import Figures
from clerestory.server.xray.observe.profile import Profile
from clerestory.server.xray.observe.recorder import Recorder, Recording, excerpts, history_of, recording_of
from clerestory.server.xray.observe.snapshot import row, standing
from clerestory.server.xray.observe.upstreams import upstreams
from clerestory.server.xray.serve.filters import USUAL, Filter, named
from clerestory.server.xray.serve.redaction import fields_of, message_lines
from clerestory.server.xray.serve.shape import (
    JSON,
    blocked_json,
    dwell_json,
    ended_json,
    path_json,
    row_json,
    row_text,
    stack_json,
    table_json,
)
from clerestory.statemachines.contract import Facts
from clerestory.statemachines.engine import HISTORY
from clerestory.statemachines.tables import CARRIERS, CLIENTS


class Watch:
    """`service`, whose observer is `recorder`, looked at from `ours`, the x-ray's own loop."""

    def __init__(self, service: Service, recorder: Recorder, ours: Loop, description: str = "") -> None:
        self.service = service
        self.recorder = recorder
        self.ours = ours
        self.description = description
        self.started = ours.clock()
        self._looks = Looks(service.loop, ours)
        self.profile = Profile(service.loop.clock())
        self.profile.prefix = service.names.prefix
        self.figures = Figures()
        self.figures.see(service.engine)

    async def look(self) -> Cut:
        """A cut of now."""
        cut: Cut = await Look(self._looks)
        self.see_engines()
        return cut

    def see_engines(self) -> None:
        """Remember every engine of the loop: some machines are short-lived. The set is copied by one C call."""
        self.figures.see(*tuple(self.service.loop.engines))

    def bounds(self) -> Bounds:
        """How many connections and descriptors the process may have."""
        return bounds_of(self.service)

    def connection_of(self, id: str) -> str:  # noqa: A002
        """The connection, or the stream, that a request's id was made for; else `id` itself."""
        made = id.removeprefix(self.service.names.prefix)
        number, _, ordinal = made.partition("-")
        return number if number.isdecimal() and ordinal.isdecimal() else made

    # --- documents

    def summary(self, cut: Cut, *, rows: bool = True, buckets: bool = False) -> JSON:
        """/snapshot.json."""
        bounds = self.bounds()
        document: JSON = {
            "version": 1,
            "now": cut.now,
            "consistent": cut.consistent,
            "pid": os.getpid(),
            "serving": self.description,
            "uptime": cut.now - self.started,
            "loop": {
                "lag": cut.lag,
                "pause": cut.pause,
                "turns": cut.turns,
                "blocked": blocked_json(cut, cut.blocked),
            },
            "banners": [
                {
                    "kind": one.kind,
                    "level": one.level,
                    "text": one.text,
                    "connections": one.connections,
                    "seconds": one.seconds,
                }
                for one in banners(cut, bounds, self.recorder.missed.recent(cut.now))
            ],
            "bounds": {
                "slots": bounds.slots,
                "descriptors": bounds.descriptors,
                "open_descriptors": bounds.open_descriptors,
            },
            "upstreams": [asdict(one) for one in upstreams(cut, self.profile.upstreams)],
            "totals": self.totals(cut),
            "machines": self._machines(cut),
            "edges": self.figures.edges(),
        }
        if rows:
            document["dwell"] = self.dwell(buckets=buckets)
            others = cut.seen.at(lambda machine, _: machine.engine.table.name not in CARRIERS)
            document["rows"] = [row_json(row(cut.seen[position], cut.now)) for position in others[:USUAL]]
        return document

    def totals(self, cut: Cut) -> JSON:
        """What the whole process has done so far: the sums over those that are open and those that have ended."""
        service, recorder = self.service, self.recorder
        seen = cut.seen
        bytes_in, bytes_out, served = seen.sums(seen.at(lambda machine, _: machine.engine.table.name in CLIENTS))
        return {
            "accepted": service.accepted,
            "requests": recorder.served + served,
            "bytes_in": recorder.bytes_in + bytes_in,
            "bytes_out": recorder.bytes_out + bytes_out,
            "statuses": {str(status): count for status, count in enumerate(service.statuses) if count},
            "ends": self._ends(),
        }

    def _ends(self) -> list[JSON]:
        """By cause and state; several edges may share both."""
        found: dict[tuple[str, str], int] = {}
        for edge, count in dict(self.recorder.ends).items():
            key = str(edge.row.ends), str(edge.source.state)
            found[key] = found.get(key, 0) + count
        return [{"cause": cause, "state": state, "count": count} for (cause, state), count in sorted(found.items())]

    def _machines(self, cut: Cut) -> JSON:
        found: JSON = {
            name: {"total": 0, "states": {spec.state: 0 for spec in table.specs}, "oldest": {}}
            for name, table in self.figures.tables().items()
        }
        for here in standing(cut):
            of_kind = found[here.kind]
            of_kind["total"] += here.count
            of_kind["states"][here.state] += here.count
            of_kind["oldest"][here.state] = max(of_kind["oldest"].get(here.state, 0.0), cut.now - here.since)
        return found

    def dwell(self, *, buckets: bool = False) -> JSON:
        """Stays by table and state; with `buckets` they can be added to another process's."""
        return {
            name: {state: dwell_json(dwell, buckets=buckets) for state, dwell in states.items()}
            for name, states in self.figures.dwell().items()
        }

    def rows(self, cut: Cut, wanted: Filter, *, group: str = "", secrets: bool = False) -> tuple[JSON, list[str]]:
        """/connections.json: the members but `rows`, and the rows, as text."""
        found = wanted.select(cut)
        members = {
            "now": cut.now,
            "consistent": cut.consistent,
            "total": sum(here.count for here in standing(cut) if wanted.kind in ("*", here.kind)),
            "matched": len(found),
            "offset": wanted.offset,
            "groups": groups(cut, found, group) if group else None,
        }
        return members, [row_text(row(cut.seen[position], cut.now, secrets=secrets)) for position in wanted.page(found)]

    def one(self, cut: Cut, seen: Any, *, secrets: bool = False) -> JSON:
        """/connections/{id}, of one that is open."""
        machine, _, _, fields = seen
        facts, history = Facts(*fields), history_of(machine)
        received, sent = excerpts(machine)
        document = row_json(row(seen, cut.now, secrets=secrets, longest=None))
        return document | {
            "now": cut.now,
            "consistent": cut.consistent,
            "ended": None,
            "truncated": len(history) >= HISTORY,
            "spent": {
                node.state: spent for node, spent in zip(machine.engine.nodes, machine.spent, strict=True) if spent
            },
            "tls": getattr(machine, "protection", str)(),
            "stack": stack_json(machine, facts.operation),
            "fields": fields_of(facts.request, secrets=secrets),
            "received": message_lines(received, secrets=secrets),
            "sent": message_lines(sent, secrets=secrets),
            "path": path_json(machine.engine, history, cut.now),
        }

    def gone(self, one: Recording, now: float, *, secrets: bool = False) -> JSON:
        """/connections/{id}, of one that has ended."""
        document = ended_json(one, now, secrets=secrets)
        return document | {
            "now": now,
            "ended": {"cause": document["cause"], "state": document["state"], "ago": document["age"]},
            "received": message_lines(one.received, secrets=secrets),
            "sent": message_lines(one.sent, secrets=secrets),
        }

    def recording(self, cut: Cut, id: str) -> Recording | None:  # noqa: A002
        """The recording of a machine, whether it is open or has ended."""
        seen = named(cut, id)
        if seen is None:
            return self.recorder.find(id)
        machine, _, _, fields = seen
        facts = Facts(*fields)
        note = self.recorder.blame(facts.number) if machine.engine.table.name in CARRIERS else ""
        return recording_of(machine, facts, history_of(machine), note=note, now=cut.now)

    def ended(self) -> JSON:
        """/ended.json."""
        now, recorder = self.ours.clock(), self.recorder
        return {
            "now": now,
            "abnormal": [ended_json(one, now) for one in recorder.ended_badly()],
            "normal": [ended_json(one, now) for one in recorder.ended_well()],
        }

    def tables(self) -> JSON:
        """/machines.json."""
        return {"machines": [table_json(table, self.service.loop.limits) for table in self.figures.tables().values()]}


def bounds_of(service: Service) -> Bounds:
    """How many connections and descriptors the process of `service` may have, and has."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Bounds(service.max_connections, soft, open_descriptors(soft))


def open_descriptors(limit: int) -> int | None:
    """How many descriptors this process has open: listing them takes one, so without one it is all of `limit`."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return len(os.listdir(folder)) - 1
        except FileNotFoundError:
            continue
        except OSError:
            return limit
    return None


def groups(cut: Cut, found: list[int], by: str) -> list[JSON]:
    """Machines by state, or by peer without its port; the largest group first."""
    held: dict[str, list[float]] = {}
    for position in found:
        _, node, since, fields = cut.seen[position]
        peer = fields[1] if len(fields) > 1 else ""
        key = str(node.state) if by == "state" else peer.rpartition(":")[0] or peer
        held.setdefault(key, []).append(cut.now - since)
    sized = sorted(held.items(), key=lambda item: (-len(item[1]), item[0]))
    return [{"key": key, "count": len(ages), "oldest": max(ages)} for key, ages in sized[:USUAL]]
