"""Names to addresses: getaddrinfo(3) in a thread, kept for a while.

An address needs no looking up, and costs no thread. The system's resolver tells no TTL, so ours is short: an upstream
that moves is found again within it. When a look-up fails, addresses that were good before are used on: the resolver's
trouble is not the upstream's.
"""

import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from handlers.backends.threads import ThreadCall, in_thread
from handlers.operations import Operation
from statemachines.contract import Loop

TTL = 30.0
"""Seconds that addresses are taken for good."""

MOST = 4
"""Addresses of a name that are tried: each may take a whole connect deadline."""

Address = tuple[socket.AddressFamily, Any]
"""A family, and what connect(2) takes."""

LookUp = Callable[[str, int], list[Address]]
Done = Callable[[list[Address], str], None]
"""Told the addresses, or none and why."""


def literal(host: str, port: int) -> list[Address]:
    """The one address that `host` is when it is no name, else none."""
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
        self._look_up = look_up
        self._known = literal(host, port)
        self._until = float("inf") if self._known else float("-inf")
        self._waiting: list[Done] = []
        self._asking: ThreadCall[list[Address]] | None = None

    def known(self) -> list[Address]:
        """The addresses, if they are known and fresh."""
        return self._known if self._until > self.loop.clock() else []

    def ask(self, done: Done) -> None:
        """Look the name up, or wait for the look-up that is under way; `done` is told on the loop's thread, later."""
        self._waiting.append(done)
        if self._asking is None:
            self._asking = in_thread(self._look_up, self.host, self.port)
            self._asking.start(self)

    def describe(self) -> str:
        """What is waited for."""
        return f"looking up {self.host} <- {self._asking.describe() if self._asking is not None else 'done'}"

    def finished(self, operation: Operation, result: Any = None, error: BaseException | None = None) -> None:  # noqa: ARG002
        """As Executor.finished: the thread's answer."""
        self._asking = None
        if result:
            self._known = result
            self._until = self.loop.clock() + TTL
        reason = "" if self._known else getattr(error, "strerror", None) or str(error or "it has no address")
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done(self._known, reason)
