"""The sampler: a few times a second, the lines of the application in which requests wait.

It runs on the x-ray's thread. It looks at connections, and at streams of HTTP/2, that wait for an operation, at most
LONGEST seconds a time; where there are more of them than that allows, it goes on with the others the next time. A
request is seen the more often the longer it waits, so the lines that are seen of a route's requests are told in the
shares of the time that they take.

A line is the innermost one outside of the libraries and of ours: in the application's task, in the thread that runs the
application or its function, or else in the handler that awaits.
"""

from typing import Any

from clerestory.handlers.asgi.stack import frames_of, is_library, short
from clerestory.handlers.wsgi.place import is_ours, place_of
from clerestory.server.connection.service import Service
from clerestory.server.connection.waiting import PLACES, SLOW
from clerestory.server.loop.loop import Loop
from clerestory.server.xray.observe.profile import Profile
from clerestory.server.xray.observe.shares import Line
from clerestory.statemachines.engine import Machine

INTERVAL = 0.2
"""Seconds between two looks: a request of a second is seen five times."""

LONGEST = 0.002
"""Seconds of one look: a hundredth of the interval."""

RATES = ((1000.0, 0), (4000.0, 15))
MOST_SKIPS = 31
"""Requests a second below which so many quick ones are left out for one that is added; a power of two less one. To add
one takes a fifth of a quick request's time: with these it is two to three hundredths of it, and below a thousand a
second, where all are added, half a hundredth of a processor."""

SLOWEST = (1 / 64, 1 / 16)
"""The share of requests that are too slow to be left out. Where more of them take that long, as all do on a busy
machine, it takes twice as long to be slow; half as long where fewer do."""

BATCH = 32
"""Machines looked at between two looks at the clock."""

KEPT = 4096
"""Requests of which lines are kept at a time."""

LINES = 32
"""Lines kept of one request."""


class Sampler:
    """Samples `service` for `profile`, on `ours`, the x-ray's loop."""

    def __init__(self, service: Service, profile: Profile, ours: Loop) -> None:
        self._service = service
        self._profile = profile
        self._ours = ours
        self._next = self._count = self._alone = 0
        self._counted_at = ours.clock()
        http2 = service.http2
        streams = http2.streams.nodes if http2 is not None else ()
        places = {service.engine.nodes[place].state.name: place for place in PLACES}
        self._waiting = {
            node: places[node.state.name] for node in (*service.engine.nodes, *streams) if node.state.name in places
        }
        """The states in which an operation is waited for, and their places in a connection's table."""

    def begin(self) -> None:
        """Begin to sample. Before the x-ray's thread runs, or on it."""
        self._ours.call_at(self._ours.clock() + INTERVAL, self._look)

    def _look(self) -> None:
        now = self._ours.clock()
        self._ours.call_at(now + INTERVAL, self._look)
        self.sample()
        self.adapt(now)

    def adapt(self, now: float) -> None:
        """By the rate of requests since the last look: how many quick ones are left out for one that is added, and
        which ones are quick."""
        service, profile = self._service, self._profile
        count, alone = sum(service.statuses), profile.alone
        requests, slow = count - self._count, alone - self._alone
        rate = requests / max(now - self._counted_at, INTERVAL)
        self._count, self._alone, self._counted_at = count, alone, now
        few, many = SLOWEST
        if not service.skips:  # all of them were added
            service.slow = min(SLOW, profile.slow)
        elif slow > many * requests:
            service.slow = min(service.slow * 2, profile.slow)
        elif slow < few * requests:
            service.slow = max(service.slow / 2, min(SLOW, profile.slow))
        service.skips = next((skips for most, skips in RATES if rate < most), MOST_SKIPS)

    def sample(self) -> None:
        """Look once."""
        clock, waiting = self._ours.clock, self._waiting
        until = clock() + LONGEST
        machines = [one for one in list(self._service.loop.machines.values()) if one.node in waiting]
        begin = self._next % len(machines) if machines else 0
        seen = 0
        for machine in machines[begin:] + machines[:begin]:
            if seen % BATCH == BATCH - 1 and clock() > until:
                break
            seen += 1
            self._note(machine)
        self._next = begin + seen
        self._forget({(one.number, one.requests) for one in machines})  # type: ignore[attr-defined]

    def _note(self, machine: Machine) -> None:
        connection: Any = machine
        exchange, node = connection.exchange, machine.node
        operation = exchange.operation if exchange is not None else None
        if operation is None or node not in self._waiting:
            return
        try:
            if getattr(operation, "thread", 1) == 0:
                return  # it waits for a thread: no line does
            line = line_of(operation) or line_of_steps(exchange._steps)  # noqa: SLF001 - the place of the program
            subject = operation.subject() if line else ""
        except Exception:  # noqa: BLE001 - it goes on while it is looked at
            return
        if line:
            self._put((connection.number, connection.requests), (self._waiting[node], subject, line))

    def _put(self, request: tuple[int, int], line: Line) -> None:
        samples = self._profile.samples
        lines = samples.get(request)
        if lines is None:
            if len(samples) >= KEPT:
                return
            lines = samples[request] = {}
        if line in lines or len(lines) < LINES:
            lines[line] = lines.get(line, 0) + 1

    def _forget(self, waiting: set[tuple[int, int]]) -> None:
        """Forget what was seen of requests that have ended untold; the others' is taken at their exchange's end."""
        samples = self._profile.samples
        if len(samples) > KEPT // 2:
            for request in list(samples):
                if request not in waiting:
                    samples.pop(request, None)


def line_of(operation: Any) -> str:
    """The line of the application in which an operation's own program waits: `shop/db.py:41 fetch_order`."""
    thread = getattr(operation, "thread", 0)
    if thread:
        return place_of(thread)
    for file, line, function in reversed(operation.stack()):
        if not is_library(file):
            return f"{short(file)}:{line} {function}"
    return ""


def line_of_steps(steps: Any) -> str:
    """The innermost line of the application in a handler's coroutine."""
    found = ""
    for frame, _ in frames_of(steps):
        if frame is not None and not is_library(frame.f_code.co_filename) and not is_ours(frame):
            found = f"{short(frame.f_code.co_filename)}:{frame.f_lineno} {frame.f_code.co_name}"
    return found
