"""A herd of processes at one port, and how connections come to it: calmly, or unevenly."""

import contextlib
import select
import socket
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from labs.serving import BACKLOG, Serve, Server

PLAIN, EXCLUSIVE, REUSE = WAYS = ("plain", "exclusive", "reuse port")
PAUSE: Final = 0.002
"""Seconds between two connections of the uneven load."""
SLOW: Final = 40
"""One in so many connections is slow: it takes as long as so many pauses."""


class Herd:
    """Processes that run `serve(listener, way, name)` and share a port in that way; `stack` ends them."""

    def __init__(self, stack: contextlib.ExitStack, serve: Serve, way: str, size: int) -> None:
        first = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=BACKLOG, reuse_port=way == REUSE))
        self.address: tuple[str, int] = first.getsockname()
        self.members: list[Server] = []
        for number in range(size):
            listener = first
            if way == REUSE and number:
                listener = stack.enter_context(socket.create_server(self.address, backlog=BACKLOG, reuse_port=True))
            self.members.append(Server(serve, (way, number), None, listener))
            stack.callback(self.members[-1].stop)

    def sleeps(self) -> int:
        """How often the members have gone to sleep so far: each wake-up, in vain or not, ends in that."""
        return sum(member.usage().voluntary for member in self.members)

    def rest(self) -> None:
        """Return when all of them sleep: one that has been woken is runnable until it sleeps again."""
        while not all(_sleeps(member.pid) for member in self.members):
            time.sleep(0.0001)

    def wasted(self) -> int:
        """How often the members found nothing to accept. Ends them, for only then do they tell."""
        for member in self.members:
            member.stop()
        return sum(member.counted["wasted"] for member in self.members)


def _sleeps(pid: int) -> bool:
    """Whether a process waits for something."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("S")


def come_calmly(members: Herd, count: int) -> Counter[bytes]:
    """Let `count` connections come, each when everyone sleeps again; how many each member took."""
    taken: Counter[bytes] = Counter()
    for _ in range(count):
        members.rest()
        with socket.create_connection(members.address) as client:
            client.send(b"q")
            taken[client.recv(16)] += 1
    members.rest()
    return taken


class Arrival(NamedTuple):
    """One connection: what it asked for, who answered, and when it came and was answered."""

    slow: bool
    member: bytes
    came: float
    answered: float

    def is_behind(self, other: "Arrival") -> bool:
        """Whether it came to a member that was at the `other` one, and had to wait for that."""
        return self.member == other.member and other.came < self.came < other.answered < self.answered


def come_unevenly(address: tuple[str, int], count: int) -> list[Arrival]:
    """Let `count` connections come, some of them slow, whether or not those before are answered."""
    arrivals: list[Arrival] = []
    waiting: dict[int, tuple[socket.socket, float]] = {}
    begun, sent = time.perf_counter(), 0
    with select.epoll() as poller:
        while sent < count or waiting:
            patience = begun + sent * PAUSE - time.perf_counter()
            if sent < count and patience <= 0:
                came = time.perf_counter()
                client = socket.create_connection(address)  # the kernel connects; nobody has to accept for that
                client.send(b"q" if sent % SLOW else b"s")
                waiting[client.fileno()] = client, came
                poller.register(client, select.EPOLLIN)
                sent += 1
                continue
            for descriptor, _ in poller.poll(patience if sent < count else -1):
                client, came = waiting.pop(descriptor)
                with client:
                    asked, _, member = client.recv(16).partition(b" ")
                arrivals.append(Arrival(asked == b"s", member, came, time.perf_counter()))
    return arrivals


def behind(arrivals: Sequence[Arrival]) -> float:
    """The share of the quick ones that have waited behind a slow one."""
    quick, slow = [one for one in arrivals if not one.slow], [one for one in arrivals if one.slow]
    return sum(any(one.is_behind(other) for other in slow) for one in quick) / len(quick)
