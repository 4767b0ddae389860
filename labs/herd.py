"""The dark side: the thundering herd.

To use several CPUs, several processes wait for connections at one port, each with an epoll of its own. When one
connection comes, whom does the kernel wake? That depends on how they share the port:

- *plain*: one listening socket, handed down to all. Everyone is woken; one gets the connection. The others either find
  nothing (EAGAIN), or epoll itself looks again before it returns, finds nothing and puts them back to sleep, and the
  program never knows: that shows only as a context switch. So both are counted.
- *exclusive*: the same with EPOLLEXCLUSIVE: one is woken. But it is the first in the kernel's list, again and again,
  as long as it is asleep when the next connection comes: one process has most of the work.
- *reuse port*: a listening socket each, with SO_REUSEPORT; the kernel deals connections out by a hash of their
  addresses. Nobody is woken in vain, and everyone gets a like share. But a connection that has been dealt to a process
  that is busy waits for it, though all the others may be idle.

Two loads show it. In the *calm* one the next connection comes when everyone sleeps again: whom does each wake? In the
*uneven* one they come at a fixed rate, whether or not the last has been answered, and one in twenty takes twenty times
as long as the pause between two: how many of the quick ones have to wait behind a slow one?
"""

import contextlib
import select
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks.report import Table
from benchmarks.summary import duration
from labs.findings import Claim, Findings, Stage, verdict
from labs.measuring import percentile
from labs.plotting import Axis, Line, Tone, lines
from labs.serving import BACKLOG, Server, counted

PLAIN, EXCLUSIVE, REUSE = WAYS = ("plain", "exclusive", "reuse port")
PAUSE: Final = 0.002
"""Seconds between two connections: enough for eight processes to fall asleep again."""
SLOW: Final = 20
"""One in so many connections is slow: it takes as long as so many pauses."""


def serve(listener: socket.socket, way: str, name: str) -> None:
    """Accept, answer with our name, close; count how often there was nothing to accept."""
    listener.setblocking(False)
    # A connection is reported when its first byte has come: reading that byte is no wait of its own then.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
    with select.epoll() as poller:
        poller.register(listener, select.EPOLLIN | (select.EPOLLEXCLUSIVE if way == EXCLUSIVE else 0))
        while True:
            poller.poll()
            try:
                client, _ = listener.accept()
            except BlockingIOError:
                counted["wasted"] += 1
                continue
            with client:
                asked = client.recv(1)
                if asked == b"s":
                    time.sleep(SLOW * PAUSE)
                client.send(b"%s %s" % (asked, name.encode()))


class Herd:
    """Processes that share a port in a `way`; `stack` ends them."""

    def __init__(self, stack: contextlib.ExitStack, way: str, size: int) -> None:
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

    def wasted(self) -> int:
        """How often the members found nothing to accept. Ends them, for only then do they tell."""
        for member in self.members:
            member.stop()
        return sum(member.counted["wasted"] for member in self.members)


@dataclass(slots=True)
class Arrivals:
    """What came of the connections: the seconds until each quick one was answered, and how many each member took."""

    seconds: list[float] = field(default_factory=list)
    taken: Counter[bytes] = field(default_factory=Counter)

    def busiest(self) -> float:
        """The share of the member that took most."""
        return max(self.taken.values()) / self.taken.total()

    def late(self) -> float:
        """The share of the quick ones that have waited as only a slow one can make them wait."""
        return sum(second > SLOW * PAUSE / 4 for second in self.seconds) / len(self.seconds)


def arrive(address: tuple[str, int], count: int, slow: int = 0) -> Arrivals:
    """Let `count` connections come, one in `slow` of them a slow one, whether or not those before are answered."""
    arrivals = Arrivals()
    waiting: dict[int, tuple[socket.socket, float]] = {}
    begun, sent = time.perf_counter(), 0
    with select.epoll() as poller:
        while sent < count or waiting:
            patience = begun + sent * PAUSE - time.perf_counter()
            if sent < count and patience <= 0:
                since = time.perf_counter()
                client = socket.create_connection(address)  # the kernel connects; nobody has to accept for that
                client.send(b"s" if slow and sent % slow == 0 else b"q")
                waiting[client.fileno()] = client, since
                poller.register(client, select.EPOLLIN)
                sent += 1
                continue
            for descriptor, _ in poller.poll(patience if sent < count else -1):
                client, since = waiting.pop(descriptor)
                with client:
                    speed, _, member = client.recv(16).partition(b" ")
                arrivals.taken[member] += 1
                if speed == b"q":
                    arrivals.seconds.append(time.perf_counter() - since)
    return arrivals


def run(stage: Stage) -> Findings:
    """Measure the three ways: the calm load on herds that grow, the uneven one on the largest."""
    sizes, count = stage.pick(((2, 4, 8), 1000), ((3,), 150))
    size = sizes[-1]
    table = Table(
        f"{size} processes at one port",
        ("shared", "woken", "in vain", "busiest", "p50", "p99", "behind a slow one"),
        note="One connection at a time: how many processes it has woken, with those that epoll put to sleep again by "
        "itself; how often a process found nothing to accept; the share of the busiest. Then, with one slow one in "
        f"{SLOW} ({duration(SLOW * PAUSE)}): latencies of the quick ones, and how many of them had to wait.",
    )
    figures: dict[str, float] = {"processes": size}
    woken: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for way in WAYS:
        for herd in sizes:
            stage.say(f"{herd} processes, {way}")
            with contextlib.ExitStack() as stack:
                members = Herd(stack, way, herd)
                before = members.sleeps()
                calm = arrive(members.address, count)
                woken[way].append((herd, (members.sleeps() - before) / count))
                uneven = arrive(members.address, count, SLOW) if herd == size else Arrivals()
                wasted = members.wasted() / (2 * count)
        half, most = percentile(uneven.seconds, 0.5), percentile(uneven.seconds, 0.99)
        _, last = woken[way][-1]
        cells = (f"{last:.2f}", f"{wasted:.2f}", f"{calm.busiest():.0%}", duration(half), duration(most))
        table.rows.append((way, *cells, f"{uneven.late():.1%}"))
        figures |= {f"{way} woken": last, f"{way} wasted": wasted, f"{way} busiest": calm.busiest()}
        figures |= {f"{way} p99": most, f"{way} late": uneven.late()}
    shared = max(figures["plain late"], figures["exclusive late"])
    return Findings(
        shows=f"Of {size} processes at one port, a connection wakes {figures['plain woken']:.1f}; with EPOLLEXCLUSIVE "
        f"{figures['exclusive woken']:.1f}, and the busiest takes {figures['exclusive busiest']:.0%} of all; with "
        f"SO_REUSEPORT {figures['reuse port woken']:.1f} and {figures['reuse port busiest']:.0%}, but then "
        f"{figures['reuse port late']:.0%} of the quick ones wait behind a slow one ({shared:.1%} on a shared socket).",
        tables=(table,),
        plots={"herd": draw(woken)},
        claims=(judge(figures),),
        figures=figures,
    )


def draw(woken: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Who is woken, by how many there are."""
    tones = {PLAIN: Tone.WARM, EXCLUSIVE: Tone.OURS, REUSE: Tone.FOURTH}
    return lines(
        "Whom a single connection wakes",
        "processes that were put to sleep again, for each connection; only one of them can have it",
        [Line(way, woken[way], tones[way]) for way in WAYS],
        Axis("processes that wait at the port"),
        Axis("woken for a connection"),
    )


def judge(figures: dict[str, float]) -> Claim:
    """Everyone, for one connection?"""
    woken, size, one = figures["plain woken"], figures["processes"], figures["exclusive woken"]
    return Claim(
        "herd",
        f"{woken:.1f} of {size:.0f} processes were woken for a connection; {one:.1f} with EPOLLEXCLUSIVE",
        verdict(woken >= 0.75 * size, partly=woken > 1.5 * one),
        f"each epoll stands in the socket's list of those to be woken; {figures['plain wasted']:.2f} times a connection"
        " the program noticed (EAGAIN), else epoll_wait itself looked again and slept on, for a context switch each",
    )
