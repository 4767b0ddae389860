"""Names to addresses: getaddrinfo(3) in a thread, kept for a while.

An address needs no looking up, and costs no thread. The system's resolver tells no TTL, so ours is short: an upstream
that moves is found again within it, and at once when nothing accepts at the old addresses any more (`doubt`). When a
look-up fails, addresses that were good before are used on: the resolver's trouble is not the upstream's.

A look-up is a machine (statemachines.resolution) with a deadline. It has threads of its own: a resolver that hangs
must not take away those in which an application's functions run.
"""

import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from clerestory.handlers.api.operations import Operation, pseudo_descriptor, span
from clerestory.handlers.backends.threads.threads import ThreadPool
from clerestory.handlers.backends.threads.work import ThreadCall
from clerestory.statemachines import resolution
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.loop import Loop
from clerestory.statemachines.resolution import Trigger as T

TTL = 30.0
"""Seconds that addresses are taken for good."""

FRESH = 1.0
"""Seconds in which addresses are not doubted: an upstream that is down is not looked up anew for each request."""

MOST = 4
"""Addresses of a name that are tried: each may take a whole connect deadline."""

THREADS, BACKLOG = 4, 64
"""Threads that ask the system, for all upstreams, and look-ups that wait for one: there is one for each name."""

Address = tuple[socket.AddressFamily, Any]
"""A family, and what connect(2) takes."""

LookUp = Callable[[str, int], list[Address]]
Done = Callable[[str], None]
"""Told why there are no addresses; "" where there are."""

_threads = ThreadPool(THREADS, BACKLOG, "resolver thread")


def literal(host: str, port: int) -> list[Address]:
    """The one address that `host` is when it is not a name, else none."""
    try:
        family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    except ValueError:
        return []
    return [(family, (host, port))]


def look_up(host: str, port: int) -> list[Address]:
    """Ask the system; in a thread, for it may take seconds. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    addresses: list[Address] = [(family, address) for family, _, _, _, address in found]
    return list(dict.fromkeys(addresses))[:MOST]


class Resolver:
    """The addresses of one host, for the pools of one loop. At most one look-up is under way."""

    def __init__(self, host: str, port: int, loop: Loop, look_up: LookUp = look_up) -> None:
        self.host = host
        self.port = port
        self.loop = loop
        self.look_up = look_up
        self.resolution: Resolution | None = None
        """The look-up that is under way."""
        self._known = literal(host, port)
        self._is_literal = bool(self._known)
        self._since = float("-inf")
        """When the addresses were found."""

    def known(self) -> list[Address]:
        """The addresses, if they are known and fresh."""
        return self._known if self._is_literal or self._since + TTL > self.loop.clock() else []

    def doubt(self) -> bool:
        """Nothing accepts at these addresses: they are to be looked up again, unless they are fresh. Whether that is
        so."""
        if self._is_literal or self._since + FRESH > self.loop.clock():
            return False
        self._since = float("-inf")
        return True

    def ask(self, done: Done) -> None:
        """Look the name up, unless that is under way. `done` is told on the loop's thread, later."""
        if self.resolution is None:
            self.resolution = Resolution(self, done)
            self.resolution.begin()

    def note(self, found: list[Address], reason: str) -> str:
        """A look-up has ended: keep what it found. Why there are no addresses, not even old ones."""
        self.resolution = None
        if found:
            self._known = found
        if found or self._known:  # old ones are good until the next look-up is due
            self._since = self.loop.clock()
        return "" if self._known else reason

    def describe(self) -> str:
        """What is waited for, "" where nothing is."""
        return self.resolution.describe() if self.resolution is not None else ""


class Resolution(Machine):
    """One look-up. It is the executor of the call in a thread."""

    __slots__ = ("_call", "_done", "born", "resolver")

    def __init__(self, resolver: Resolver, done: Done) -> None:
        super().__init__(_engine_on(resolver.loop), pseudo_descriptor())
        self.born = self.since
        self.resolver = resolver
        self._done = done
        self._call: ThreadCall[list[Address]] = _threads.call(resolver.look_up, resolver.host, resolver.port)

    @property
    def loop(self) -> Loop:
        """As Executor.loop."""
        return self.resolver.loop

    def begin(self) -> None:
        """Ask."""
        self.loop.add(self)
        self._call.start(self)

    def describe(self) -> str:
        """For an operator: `resolution#7 ASKING 0.3 s of 5 s for a.example <- work#8 RUNNING look_up 0.3 s`."""
        stay = f"{span(self.loop.clock() - self.since)} of {self.engine.initial.limit:g} s"
        title = f"resolution#{-self.descriptor} {self.node.state} {stay}"
        return f"{title} for {self.resolver.host} <- {self._call.describe()}"

    def facts(self) -> tuple[Any, ...]:
        """As Machine.facts: contract.Facts. Its peer is the name."""
        return (-self.descriptor, self.resolver.host, self.born)

    def finished(self, operation: Operation, result: Any = None, error: BaseException | None = None) -> None:  # noqa: ARG002
        """As Executor.finished: the thread's answer."""
        reason = getattr(error, "strerror", None) or str(error or "it has no address")
        self.loop.tell(self, T.ADDRESSES_FOUND if result else T.LOOK_UP_FAILED, (result or [], reason))

    def tell(self) -> None:
        """Note the outcome, and tell."""
        found, reason = self.payload
        self._done(self.resolver.note(found, reason))

    def give_up(self) -> None:
        """Let the thread go, and tell."""
        self._call.cancel()
        self._done(self.resolver.note([], "the resolver did not answer in time"))


def _engine_on(loop: Loop) -> Engine:
    engine: Engine | None = loop.registry.get(Resolution)
    if engine is None:
        engine = loop.registry[Resolution] = Engine(
            resolution.TABLE, Resolution, loop.clock, loop.limits, loop.dispatch
        )
    return engine
