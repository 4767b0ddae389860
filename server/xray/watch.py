"""The watch: one loop looked at from another. It takes cuts, and makes documents (server.xray.shape) of them.

It lives on the x-ray's thread; of the loop that is looked at it calls `call_from_thread` and nothing else.
"""

import os
import resource
from typing import Any

from server.loop import Loop
from server.service import Service
from server.xray.banners import Bounds, banners
from server.xray.cut import Cut, Look, Looks
from server.xray.figures import Figures, quantile
from server.xray.filters import USUAL, Filter, named
from server.xray.recorder import Recording, excerpts, passages, recording_of
from server.xray.redaction import fields_of, message_lines
from server.xray.shape import JSON, blocked_json, ended_json, path_json, row_json, row_text, table_json
from server.xray.snapshot import row, standing
from statemachines.contract import Facts
from statemachines.engine import HISTORY
from statemachines.tables import TABLES


class Watch:
    """`service` looked at from `ours`, the x-ray's own loop."""

    def __init__(self, service: Service, ours: Loop, description: str = "") -> None:
        self.service = service
        self.ours = ours
        self.description = description
        self.started = ours.clock()
        self._looks = Looks(service.loop, ours)
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

    # --- documents

    def summary(self, cut: Cut, *, rows: bool = True) -> JSON:
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
                for one in banners(cut, bounds, self.service.recorder.missed.recent(cut.now))
            ],
            "bounds": {
                "slots": bounds.slots,
                "descriptors": bounds.descriptors,
                "open_descriptors": bounds.open_descriptors,
            },
            "totals": self.totals(cut),
            "machines": self._machines(cut),
            "edges": self.figures.edges(),
        }
        if rows:
            document["dwell"] = self._dwell()
            engine = self.service.engine
            others = cut.seen.at(lambda machine, _: machine.engine is not engine)
            document["rows"] = [row_json(row(cut.seen[position], cut.now)) for position in others[:USUAL]]
        return document

    def totals(self, cut: Cut) -> JSON:
        """What the whole process has done so far: the sums over those that are open and those that have ended."""
        service, recorder = self.service, self.service.recorder
        seen = cut.seen
        bytes_in, bytes_out, served = seen.sums(seen.at(lambda machine, _: machine.engine is service.engine))
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
        for edge, count in dict(self.service.recorder.ends).items():
            key = str(edge.row.ends), str(edge.source.state)
            found[key] = found.get(key, 0) + count
        return [{"cause": cause, "state": state, "count": count} for (cause, state), count in sorted(found.items())]

    def _machines(self, cut: Cut) -> JSON:
        found: JSON = {
            name: {"total": 0, "states": {spec.state: 0 for spec in table.specs}, "oldest": {}}
            for name, table in TABLES.items()
        }
        for here in standing(cut):
            of_kind = found[here.kind]
            of_kind["total"] += here.count
            of_kind["states"][here.state] += here.count
            of_kind["oldest"][here.state] = max(of_kind["oldest"].get(here.state, 0.0), cut.now - here.since)
        return found

    def _dwell(self) -> JSON:
        return {
            name: {
                state: {"count": sum(dwell), "p50": quantile(dwell, 0.5), "p99": quantile(dwell, 0.99)}
                for state, dwell in states.items()
            }
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
        machine, _, _, glance = seen
        facts, history = Facts(*glance), passages(machine)
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
            return self.service.recorder.find(id)
        machine, _, _, glance = seen
        facts = Facts(*glance)
        note = self.service.recorder.blame(facts.number) if machine.engine is self.service.engine else ""
        return recording_of(machine, facts, passages(machine), note=note, now=cut.now)

    def ended(self) -> JSON:
        """/ended.json."""
        now, recorder = self.ours.clock(), self.service.recorder
        return {
            "now": now,
            "abnormal": [ended_json(one, now) for one in reversed(list(recorder.abnormal))],
            "normal": [ended_json(one, now) for one in reversed(list(recorder.normal))],
        }

    def tables(self) -> JSON:
        """/machines.json."""
        return {"machines": [table_json(table, self.service.loop.limits) for table in TABLES.values()]}


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
        _, node, since, glance = cut.seen[position]
        peer = glance[1] if len(glance) > 1 else ""
        key = str(node.state) if by == "state" else peer.rpartition(":")[0] or peer
        held.setdefault(key, []).append(cut.now - since)
    sized = sorted(held.items(), key=lambda item: (-len(item[1]), item[0]))
    return [{"key": key, "count": len(ages), "oldest": max(ages)} for key, ages in sized[:USUAL]]
