"""How machines ended, and by what path: kept for a while after they have gone.

A machine remembers its last transitions anyway (statemachines.engine.HISTORY). When it has ended, its recording goes to
one of two rings: abnormal ends are few, interesting and kept long; normal ones are many and kept for a moment. Streams
of HTTP/2 have two rings of their own, so that one busy connection takes no other's place. All are bounded, and so is
each recording: of a request its line is kept, cut at LONGEST, and of the messages how the last one of each side began
(contract.EXCERPT). At the bounds all of it takes some 12 MiB, with targets of usual length.

What a recording becomes for others to read: server.xray.exports.exports.
"""

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from clerestory.server.observer import Missed
from clerestory.server.xray.observe.missed import MissedRequests
from clerestory.statemachines.contract import Facts, Way
from clerestory.statemachines.engine import HISTORY, Edge, Engine, Machine, unrolled
from clerestory.statemachines.tables import CARRIERS

NORMAL = 256
"""Normal ends kept: the last second or so of a busy server, the last hour of a quiet one."""

ABNORMAL = 1024
"""Abnormal ends kept: a night of them, or the first thousand of an attack's last wave."""

BLAMED = 256
"""Answers kept for which what was asked is to blame: those of one busy second, or of a quiet day."""

LONGEST = 1024
"""Characters kept of a request line."""

Path = tuple[tuple[float, Edge], ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """One machine's path. `edge` is the one that decided its end and `ended_at` when; None while it is open.

    `request` is the line of the request that was being answered, with its query; `path` the last transitions.
    """

    engine: Engine
    number: int | str
    descriptor: int
    peer: str
    born: float
    ended_at: float | None
    edge: Edge | None
    request: str
    requests: int
    status: int | None
    bytes_in: int
    bytes_out: int
    path: Path
    note: str = ""
    """What is to be said of it besides: why its request was refused, or that one came too late."""
    received: bytes = b""
    sent: bytes = b""
    """How the last heads began (contract.EXCERPT): redacted where they are shown (server.xray.serve.redaction)."""
    seen_at: float = 0.0
    """When an open machine was seen to stand where its path ends."""

    @property
    def whole(self) -> bool:
        """Whether the path begins at the machine's beginning."""
        return len(self.path) < HISTORY

    @property
    def id(self) -> str:
        """As in server.xray.observe.snapshot."""
        kind = self.engine.table.name
        return str(self.number) if kind in CARRIERS else f"{kind}:{self.number or self.descriptor}"

    def ending(self) -> str:
        """`deadline in READING_HEAD`; empty while it is open."""
        return f"{self.edge.row.ends} in {self.edge.source.state}" if self.edge is not None else ""


def history_of(machine: Machine) -> list[tuple[float, Edge]]:
    """As Machine.history, from another thread: the machine may be between two halves of a transition. The copy of the
    ring is one C call; the place that is written next, where the oldest is, is left out."""
    end, ring = machine.ring_end, machine.ring[:]
    while end != machine.ring_end:
        end, ring = machine.ring_end, machine.ring[:]
    ring[end + 1] = None
    return unrolled(ring, end)


def excerpts(machine: Machine) -> tuple[bytes, bytes]:
    """How the last head began that came to a machine, and the last that it sent; empty where it has none to show."""
    told: Any = getattr(machine, "excerpts", tuple)()
    received, sent = told or (b"", b"")
    return received, sent


_REQUEST_LINE = re.compile(rb"(?:\r?\n)*([A-Z]+ [!-~]+) HTTP/1\.[0-9]\r?\n")


def unfinished(machine: Machine, received: bytes, edge: Edge | None) -> str:
    """The line of the request that `edge` put an end to, of a machine that has forgotten it: it gives an exchange up
    before it ends itself. Empty where there was none, since it idled: then what came last had been answered."""
    if edge is None or (edge.source is machine.engine.initial and not edge.trigger.endswith("_REFUSED")):
        return ""
    match = _REQUEST_LINE.match(received)
    return match[1].decode("ascii") if match is not None else ""


def recording_of(
    machine: Machine,
    facts: Facts,
    history: Iterable[tuple[float, Edge]],
    edge: Edge | None = None,
    note: str = "",
    now: float = 0.0,
) -> Recording:
    """The recording of a machine: of one that has ended when the `edge` that decided it is given, else as of `now`."""
    path = tuple(history)
    request: Any = facts.request
    received, sent = excerpts(machine)
    line = f"{request.method} {request.target}" if request is not None else unfinished(machine, received, edge)
    return Recording(
        machine.engine,
        facts.number,
        machine.descriptor,
        facts.peer,
        facts.born or (path[0][0] if path else machine.since),
        path[-1][0] if edge is not None and path else None,
        edge,
        line[:LONGEST],
        facts.served,
        facts.status,
        facts.bytes_in,
        facts.bytes_out,
        path,
        note,
        received,
        sent,
        now,
    )


class Recorder:
    """The observer of one service: the rings, and the sums of those that have ended. Written by the loop's thread, read
    by any."""

    __slots__ = (
        "abnormal",
        "blamed",
        "broken_streams",
        "bytes_in",
        "bytes_out",
        "ends",
        "missed",
        "normal",
        "served",
        "streams",
    )

    def __init__(self, normal: int = NORMAL, abnormal: int = ABNORMAL) -> None:
        self.normal: deque[Recording] = deque(maxlen=normal)
        self.abnormal: deque[Recording] = deque(maxlen=abnormal)
        self.streams: deque[Recording] = deque(maxlen=normal)
        self.broken_streams: deque[Recording] = deque(maxlen=abnormal)
        """Normal and abnormal ends of streams."""
        self.ends: dict[Edge, int] = {}
        """How many connections were ended by each edge."""
        self.bytes_in = self.bytes_out = self.served = 0
        self.missed = MissedRequests()
        self.blamed: deque[tuple[int | str, str]] = deque(maxlen=BLAMED)
        """Connections' and streams' numbers, and which of their requests what was asked has failed, and how."""

    def connection_ended(self, machine: Machine, edge: Edge) -> None:
        """As Observer.connection_ended: keep how it ended."""
        facts = Facts(*machine.facts())
        self.ends[edge] = self.ends.get(edge, 0) + 1
        self.bytes_in += facts.bytes_in
        self.bytes_out += facts.bytes_out
        self.served += facts.served
        self._keep(machine, facts, edge, self.normal, self.abnormal)

    def stream_ended(self, machine: Machine, edge: Edge) -> None:
        """As Observer.stream_ended: keep how it ended; its connection counts its bytes."""
        self._keep(machine, Facts(*machine.facts()), edge, self.streams, self.broken_streams)

    def _keep(
        self, machine: Machine, facts: Facts, edge: Edge, normal: deque[Recording], abnormal: deque[Recording]
    ) -> None:
        blame = self.missed.note_of(facts.number) or self.blame(facts.number)
        ring = abnormal if blame or edge.row.way is Way.FAULT else normal
        refusal = getattr(machine, "refusal", None)
        note = blame or (str(refusal.reason).rstrip(".") if refusal is not None else "")
        ring.append(recording_of(machine, facts, machine.history, edge, note))

    def request_missed(self, missed: Missed) -> None:
        """As Observer.request_missed."""
        self.missed.add(missed)

    def request_failed(self, number: int | str, what: str) -> None:
        """As Observer.request_failed."""
        self.blamed.append((number, what))

    def blame(self, number: int | str) -> str:
        """What is to be said of what the connection, or the stream, of that number has asked, the latest; empty for
        nearly all."""
        if not self.blamed:
            return ""
        return next((told for one, told in reversed(list(self.blamed)) if one == number), "")

    def ended_well(self) -> list[Recording]:
        """The normal ends, of connections and of streams, the latest first. For any thread."""
        return _latest(self.normal, self.streams)

    def ended_badly(self) -> list[Recording]:
        """The abnormal ones."""
        return _latest(self.abnormal, self.broken_streams)

    def find(self, id: str) -> Recording | None:  # noqa: A002
        """The recording of that name, the latest if there are several."""
        for ring in (self.abnormal, self.normal, self.broken_streams, self.streams):
            for one in reversed(list(ring)):
                if one.id == id:
                    return one
        return None


def _latest(*rings: deque[Recording]) -> list[Recording]:
    found = [one for ring in rings for one in reversed(list(ring))]
    return sorted(found, key=lambda one: -(one.ended_at or 0.0))
