"""What clients cost a server: the same measurement for every model of serving.

A server is started; so many clients connect and each asks once, so that whoever the server holds has been answered;
then all are silent for a while; then some of them ask without a pause. What the process holds and spends is read from
the outside (`labs.measuring`). Memory is that of the process: the kernel's part of a connection is the same whoever
serves it, and is not in it.
"""

import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.report import Table
from benchmarks.summary import duration
from labs.load import connections, drive
from labs.measuring import amount
from labs.serving import Serve, serving

ARRIVALS = 200
"""Clients that ask for the first time at the same moment."""
OPENING = 60.0
"""Seconds in which all clients must have had their first answers."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one server: `held` of its `clients` had an answer while all of them were connected. Bytes are for a held
    client, `switches` and `cpu` (seconds) for a request; `forced` are those of the switches that were not waits. `idle`
    is the share of a CPU that it wants while nobody asks."""

    clients: int
    held: int
    memory: float
    reserved: float
    threads: int
    idle: float
    requests: int
    switches: float
    forced: float
    cpu: float
    p50: float
    p99: float

    def phrase(self) -> str:
        """For the progress."""
        threads = f"{self.threads:,} thread{'s' if self.threads > 1 else ''}"
        return (
            f"{self.held:,} clients, {threads}: {amount(self.memory)} each, {duration(self.cpu)} of CPU and "
            f"{self.switches:.2f} switches a request"
        )


def cost(
    serve: Serve,
    *words: object,
    clients: int,
    lines: Sequence[bytes] = (b"echo hello\n",),
    active: int = 50,
    seconds: float = 1.0,
    silence: float = 0.5,
    patience: float = 2.0,
) -> Cost:
    """Measure `serve` with so many clients, of which `active` ask for `seconds`. When no further client has had its
    first answer for `patience` seconds, those that still wait for it are not held by the server."""
    with serving(serve, *words) as server:
        bare = server.usage()
        with connections(server.address, clients) as connected:
            served = greet(connected, lines, patience)
            full = server.usage()
            time.sleep(silence)
            silent = server.usage()
            load = drive(served[:active], lines, seconds)
            while not load.requests and load.seconds < OPENING:  # on a busy machine the server may not have run at all
                load = drive(served[:active], lines, 4 * load.seconds)
            end = server.usage()
            server.stop()  # before its clients leave: thousands of threads would all wake up to hear of it
    held, spent, resting, grown = len(served), end - silent, silent - full, full - bare
    return Cost(
        clients,
        held,
        grown.own / held,
        grown.reserved / held,
        full.threads,
        min(resting.wanted, 1.0),
        load.requests,
        spent.switches / load.requests,
        spent.involuntary / load.requests,
        spent.cpu / load.requests,
        load.latency(0.5),
        load.latency(0.99),
    )


def greet(clients: Sequence[socket.socket], lines: Sequence[bytes], patience: float) -> list[socket.socket]:
    """Let each client ask once; those that were answered. The first is waited for, whatever patience there is. The
    others ask a few at a time, as clients come: ten thousand threads that wake up at the same moment would not come to
    an end of fighting for the interpreter."""
    begin, found = 0, drive(clients[:1], lines, OPENING, each=1)
    served = list(clients[:1]) if found.served else []
    for begin in range(1, len(clients), ARRIVALS):
        some = clients[begin : begin + ARRIVALS]
        found = drive(some, lines, OPENING, each=1, patience=patience)
        served += [client for client, answers in zip(some, found.answered, strict=True) if answers]
        if found.served < len(some):
            break
    rest = clients[begin + ARRIVALS :]
    found = drive(rest, lines, OPENING, each=1, patience=patience)
    return served + [client for client, answers in zip(rest, found.answered, strict=True) if answers]


def table(title: str, rows: Iterable[tuple[str, Cost]], note: str = "") -> Table:
    """Costs beside each other, under the name of what served."""
    columns = ("clients", "threads", "reserved", "memory", "memory, a client")
    return Table(
        title,
        ("server", *columns, "switches a request", "CPU a request", "p99", "CPU in silence"),
        [
            (
                name,
                f"{cost.held:,}",
                f"{cost.threads:,}",
                amount(cost.reserved * cost.held),
                amount(cost.memory * cost.held),
                amount(cost.memory),
                f"{cost.switches:.2f}",
                duration(cost.cpu),
                duration(cost.p99),
                f"{cost.idle:.2%}",
            )
            for name, cost in rows
        ],
        note,
    )
