"""A tunnel: after an upgrade bytes pass both ways between two connections, and nobody here reads them.

Each of the two is a machine of its own, TUNNELLING, with its own descriptor. What they have in common is here: two
ways, one in each direction, and a machine that says which of them have ended (statemachines.tunnel). Laws:

- *One read is all that a way holds.* While its sink has not taken that, its source is not read: a slow reader is felt
  by the sender, through the kernel's own buffers, and a tunnel costs at most two reads of memory.
- *Interest follows the ways.* TUNNELLING is the one state that waits for two things at once, readable and writable. A
  socket is writable nearly always, so which of the two are asked of the poller depends on the ways: readable while
  there is room, writable while something waits (`Loop.set_interest`).
- *A half-close goes through*, behind all that was sent before it. When both have ended, both machines do.
- *What breaks on one side is broken on the other*: a reset here is a reset there, never a clean end.
- A hang-up that cannot be acted on is not waited for: the kernel reports it at every wait, whatever the interest,
  and the loop would spin. That is a connection closed both ways, while what it sent last still waits for its sink.
"""

from collections.abc import Callable
from typing import Any, Protocol

from clerestory.handlers.api.operations import pseudo_descriptor
from clerestory.handlers.api.upgrade import Upgrade
from clerestory.statemachines import tunnel
from clerestory.statemachines.contract import HUNG_UP, Interest, Name
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.loop import Loop
from clerestory.statemachines.tunnel import State as S
from clerestory.statemachines.tunnel import Trigger as T

READABLE, WRITABLE = int(Interest.READABLE), int(Interest.WRITABLE)
BROKEN = 0x028
"""EPOLLERR and POLLNVAL, of the bits of HUNG_UP: this is no orderly end."""


class GoneError(Exception):
    """An end's connection is no more. `end` says whose."""

    def __init__(self, end: "End") -> None:
        super().__init__()
        self.end = end


class End(Protocol):
    """What a machine offers that is one end of a tunnel. What reads or writes raises GoneError."""

    @property
    def gone(self) -> Name:
        """The trigger that says that its connection is gone."""

    @property
    def over(self) -> Name:
        """The trigger that says that the tunnel has ended in order."""

    @property
    def broken(self) -> Name:
        """The trigger that says that the other end is gone."""

    def take(self) -> bytes | None:
        """Read once: b"" when its peer has ended, None when there is nothing."""

    def put(self, data: bytes | memoryview) -> int:
        """How many bytes the socket took."""

    def finish(self) -> None:
        """Half-close."""

    def title(self) -> str:
        """Who it is, for an operator: `upstream#3 127.0.0.1:9000`."""


class Side:
    """One end, and what is asked of the poller for it; None when it is not even told of hang-ups."""

    __slots__ = ("end", "interest_set", "machine")

    def __init__(self, end: Any) -> None:
        self.end: End = end
        self.machine: Machine = end
        self.interest_set: int | None = -1

    def describe(self) -> str:
        """For an operator: `upstream#3 127.0.0.1:9000 TUNNELLING <- fd 19 readable`."""
        machine, interest_set = self.machine, self.interest_set or 0
        waits = Interest(max(interest_set, 0)).phrase() if interest_set else Interest.HANG_UP.phrase()
        return f"{self.end.title()} {machine.state} <- fd {machine.descriptor} {waits}"

    def keeps_time(self) -> bool:
        """As Operation.keeps_time: a tunnel has no deadline but those of its ends."""
        return False


class Way:
    """One direction. `waiting` was read from its source and not yet taken by its sink; `ended` says that this was its
    last, so that nothing more is read. `last` is the trigger that says so, until the sink has been told."""

    __slots__ = ("ended", "last", "sink", "source", "waiting")

    def __init__(self, source: Side, sink: Side, last: T) -> None:
        self.source = source
        self.sink = sink
        self.last: T | None = last
        self.waiting: bytes | memoryview = b""
        self.ended = False

    def pull(self) -> None:
        """Read once, if there is room, and hand it on."""
        if self.waiting or self.ended:
            return
        data = self.source.end.take()
        if data:
            self.waiting = data
            self.push()
        elif data is not None:
            self.ended = True

    def push(self) -> None:
        """Let the sink take what waits."""
        if self.waiting:
            sent = self.sink.end.put(self.waiting)
            self.waiting = memoryview(self.waiting)[sent:] if sent < len(self.waiting) else b""


class Course(Machine):
    """How far a tunnel has come."""

    __slots__ = ("_tunnel", "born")

    def __init__(self, loop: Loop, tunnel: "Tunnel") -> None:
        super().__init__(_engine_on(loop), pseudo_descriptor())
        self.born = self.since
        self._tunnel = tunnel
        loop.add(self)

    def facts(self) -> tuple[Any, ...]:
        """As Machine.facts: contract.Facts. Its peer is the upstream's end."""
        return (-self.descriptor, self._tunnel.far.end.title(), self.born)

    def end_both(self) -> None:
        """Tell both ends that the tunnel has ended in order."""
        self._tunnel.end_both()

    def leave_upstream(self) -> None:
        """Let the upstream's connection go."""
        self._tunnel.leave()

    def break_client(self) -> None:
        """Break the client's connection off, if it has joined."""
        self._tunnel.break_near()


class Tunnel(Upgrade):
    """The tunnel of one connection to an upstream, `far`; the client's, `near`, joins it when it has said 101.

    `protocol` is what was negotiated, `late` what came behind the upstream's 101. It is what the client's exchange
    waits for: cancelled, it lets the upstream go, by `leave`.
    """

    __slots__ = ("_late", "_loop", "_ways", "course", "far", "leave", "near", "protocol")

    def __init__(self, far: Any, loop: Loop, protocol: bytes, late: bytes, leave: Callable[[], None]) -> None:
        self.far = Side(far)
        self.near: Side | None = None
        self.protocol = protocol
        self.leave = leave
        self._loop = loop
        self._late = late
        self._ways: dict[object, tuple[Way, Way]] = {}
        """For each end: the way from it, and the way to it."""
        self.course = Course(loop, self)
        self._update_interest(self.far, 0)

    # --- as an upgrade

    def protocol_name(self) -> bytes:
        """As Upgrade.protocol_name: what the upstream has agreed to."""
        return self.protocol

    def client_ended_first(self) -> bool:
        """As Upgrade.client_ended_first."""
        return self.course.history[-1][1].source.state is S.CLIENT_ENDED

    def cancel(self) -> None:
        """The client's connection has ended, in whatever way: the upstream's is let go."""
        self._loop.tell(self.course, T.CLIENT_LEFT)

    def subject(self) -> str:
        """As Operation.subject."""
        return "a tunnel"

    def describe(self) -> str:
        """The far end."""
        return self.far.describe()

    # --- from the machines

    def join(self, near: Any, early: bytes) -> Name | None:
        """Begin to pass bytes: `early` is what the client has sent already. The trigger for the near end, if it is over
        at once."""
        if self.course.node.final:
            return near.broken  # type: ignore[no-any-return]
        self.near = Side(near)
        self._loop.tell(self.course, T.CLIENT_JOINED)
        out, back = Way(self.near, self.far, T.CLIENT_SENT_LAST), Way(self.far, self.near, T.UPSTREAM_SENT_LAST)
        out.waiting, back.waiting, self._late = early, self._late, b""
        self._ways = {near: (out, back), self.far.end: (back, out)}
        try:
            out.push()
        except GoneError as gone:
            return self._gone(gone.end, near)
        return self.pass_on(near, READABLE | WRITABLE)

    def pass_on(self, end: Any, ready: int) -> Name | None:
        """Do what an end is ready for: the trigger for that end, when its connection is gone or the tunnel over."""
        if ready & BROKEN:
            return end.gone  # type: ignore[no-any-return]
        if not self._ways:
            return None
        out, back = self._ways[end]
        try:
            if ready & WRITABLE:
                back.push()
            if ready & (READABLE | HUNG_UP):
                out.pull()
            self._settle(out, back, ready)
        except GoneError as gone:
            return self._gone(gone.end, end)
        return None

    def broke(self) -> None:
        """The far end has gone: so is the near one, and not in order."""
        self._loop.tell(self.course, T.UPSTREAM_LOST)

    # --- from its own machine

    def end_both(self) -> None:
        """Tell both ends that it has ended in order."""
        assert self.near is not None
        for side in (self.near, self.far):
            self._loop.tell(side.machine, side.end.over)

    def break_near(self) -> None:
        """Tell the near end, if there is one, that the far one has gone."""
        if self.near is not None:
            self._loop.tell(self.near.machine, self.near.end.broken)

    # --- between them

    def _gone(self, gone: Any, end: Any) -> Name | None:
        """The connection of `gone` is no more, as was seen by `end`: the trigger for that."""
        if gone is end:
            return end.gone  # type: ignore[no-any-return]
        self._loop.tell(gone, gone.gone)
        return None

    def _finish(self, way: Way) -> None:
        """Hand the end of `way` on, once all that came before it is."""
        if way.ended and not way.waiting and way.last is not None:
            last, way.last = way.last, None
            way.sink.end.finish()
            self._loop.tell(self.course, last)

    def _settle(self, out: Way, back: Way, ready: int) -> None:
        """After bytes have passed: ends are handed on, and what is waited for is asked of the poller."""
        for way in (out, back):
            self._finish(way)
        if out.last is None and back.last is None:
            return  # both are told that it is over, when this step has ended
        here, there = out.source, out.sink
        self._update_interest(there, _wanted(back, out), quiet=there.interest_set is None)
        self._update_interest(here, _wanted(out, back), quiet=here.interest_set is None or bool(ready & HUNG_UP))

    def _update_interest(self, side: Side, wanted: int, *, quiet: bool = False) -> None:
        """Ask the poller for what is wanted, if that is news. `quiet`: it is known to report a hang-up by itself."""
        asked = None if quiet and not wanted else wanted
        if asked != side.interest_set:
            side.interest_set = asked
            self._loop.set_interest(side.machine, asked)


def _wanted(out: Way, back: Way) -> int:
    """What an end waits for, `out` being the way from it and `back` the way to it."""
    room = not out.waiting and not out.ended
    return (READABLE if room else 0) | (WRITABLE if back.waiting else 0)


def _engine_on(loop: Loop) -> Engine:
    engine: Engine | None = loop.registry.get(Course)
    if engine is None:
        engine = loop.registry[Course] = Engine(tunnel.TABLE, Course, loop.clock, loop.limits, loop.dispatch)
    return engine
