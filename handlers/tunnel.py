"""A tunnel: after an upgrade bytes pass both ways between two connections, and nobody here reads them.

Each of the two is a machine of its own, TUNNELLING, with its own descriptor. What they have in common is here: two
ways, one in each direction. Laws:

- *One read is all that a way holds.* While its sink has not taken that, its source is not read: a slow reader is felt
  by whoever sends, through the kernel's own buffers, and a tunnel costs at most two reads of memory.
- *Interest follows the ways.* TUNNELLING is the one state that waits for two things at once, readable and writable. A
  socket is writable nearly always, so which of the two are asked of the poller depends on the ways: readable while
  there is room, writable while something waits (`Loop.attend`).
- *A half-close goes through*, behind all that was sent before it. When both have ended, both machines do.
- *What breaks on one side is broken on the other*: a reset here is a reset there, never a clean end.
- A hang-up that can not be acted upon is not waited for: the kernel reports it at every wait, whatever the interest,
  and the loop would spin. That is a connection closed both ways, while what it sent last still waits for its sink.
"""

from collections.abc import Callable
from typing import Any, Protocol

from handlers.operations import Executor, Operation
from statemachines.contract import HUNG_UP, Interest, Loop, Name
from statemachines.engine import Machine

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

    __slots__ = ("attended", "end", "machine")

    def __init__(self, end: Any) -> None:
        self.end: End = end
        self.machine: Machine = end
        self.attended: int | None = -1

    def describe(self) -> str:
        """For an operator: `upstream#3 127.0.0.1:9000 TUNNELLING <- fd 19 readable`."""
        machine, attended = self.machine, self.attended or 0
        waits = Interest(max(attended, 0)).phrase() if attended else Interest.HANG_UP.phrase()
        return f"{self.end.title()} {machine.state} <- fd {machine.descriptor} {waits}"


class Way:
    """One direction. `waiting` was read from its source and not yet taken by its sink; `ended` says that the source has
    sent its last, `finished` that the sink has been told."""

    __slots__ = ("ended", "finished", "sink", "source", "waiting")

    def __init__(self, source: Side, sink: Side) -> None:
        self.source = source
        self.sink = sink
        self.waiting: bytes | memoryview = b""
        self.ended = self.finished = False

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

    def finish(self) -> bool:
        """Hand the end on, once all is; whether that is done."""
        if self.ended and not self.finished and not self.waiting:
            self.finished = True
            self.sink.end.finish()
        return self.finished


class Tunnel(Operation):
    """The tunnel of one connection to an upstream, `far`; the client's, `near`, joins it when it has said 101.

    `protocol` is what was agreed upon, `late` what came behind the upstream's 101. It is what the client's exchange
    waits for: cancelled, it lets the upstream go, by `leave`.
    """

    __slots__ = ("_late", "_leave", "_loop", "_ways", "far", "first", "is_over", "near", "protocol")

    def __init__(self, far: Any, loop: Loop, protocol: bytes, late: bytes, leave: Callable[[], None]) -> None:
        self.far = Side(far)
        self.near: Side | None = None
        self.protocol = protocol
        self.is_over = False
        self.first: Side | None = None
        """Who has ended first."""
        self._loop = loop
        self._late = late
        self._leave = leave
        self._ways: dict[object, tuple[Way, Way]] = {}
        """For each end: the way from it, and the way to it."""
        self._attend(self.far, 0)

    # --- as an operation

    def start(self, executor: Executor) -> None:  # noqa: ARG002
        """A tunnel is handed on in a response, and not awaited."""
        raise TypeError("a tunnel is not awaited: it is the body of a response")

    def cancel(self) -> None:
        """The client's connection has ended, in whatever way: the upstream's is let go."""
        if not self.is_over:
            self.is_over = True
            self._leave()

    def close(self) -> None:
        """The response that it was the body of is given up."""
        self.cancel()

    def describe(self) -> str:
        """The far end."""
        return self.far.describe()

    # --- from the machines

    def join(self, near: Any, early: bytes) -> Name | None:
        """Begin to pass bytes: `early` is what the client has sent already. The trigger for the near end, if it is over
        at once."""
        if self.is_over:
            return near.broken  # type: ignore[no-any-return]
        self.near = Side(near)
        out, back = Way(self.near, self.far), Way(self.far, self.near)
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
            return self._settle(out, back, ready)
        except GoneError as gone:
            return self._gone(gone.end, end)

    def broke(self) -> None:
        """The far end has gone: so is the near one, and not in order."""
        if not self.is_over:
            self.is_over = True
            if self.near is not None:
                self._loop.fire(self.near.machine, self.near.end.broken)

    # --- between them

    def _gone(self, gone: Any, end: Any) -> Name | None:
        """The connection of `gone` is no more, as was seen by `end`: the trigger for that."""
        if gone is end:
            return end.gone  # type: ignore[no-any-return]
        self._loop.fire(gone, gone.gone)
        return None

    def _settle(self, out: Way, back: Way, ready: int) -> Name | None:
        """After bytes have passed: ends are handed on, and what is waited for is asked of the poller."""
        if self.first is None and (out.ended or back.ended):
            self.first = (out if out.ended else back).source
        here, there = out.source, out.sink
        if all([out.finish(), back.finish()]):
            self.is_over = True
            self._loop.fire(there.machine, there.end.over)
            return here.end.over
        self._attend(there, _wanted(back, out), quiet=there.attended is None)
        self._attend(here, _wanted(out, back), quiet=here.attended is None or bool(ready & HUNG_UP))
        return None

    def _attend(self, side: Side, wanted: int, *, quiet: bool = False) -> None:
        """Ask the poller for what is wanted, if that is news. `quiet`: it is known to report a hang-up by itself."""
        asked = None if quiet and not wanted else wanted
        if asked != side.attended:
            side.attended = asked
            self._loop.attend(side.machine, asked)


def _wanted(out: Way, back: Way) -> int:
    """What an end waits for, `out` being the way from it and `back` the way to it."""
    room = not out.waiting and not out.ended
    return (READABLE if room else 0) | (WRITABLE if back.waiting else 0)
