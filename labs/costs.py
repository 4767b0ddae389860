"""What clients cost a server: the same measurement for every model of serving.

A server is started; so many clients connect and each asks once, so that whoever the server holds has been answered;
then all are silent for a while; then some of them ask without a pause. What the process holds and spends is read from
the outside (`labs.measuring`). Memory is that of the process: the kernel's part of a connection is the same whoever
serves it, and is not in it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from labs.load import connections, drive
from labs.serving import Serve, serving


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one server: `held` of its `clients` had an answer while all of them were connected. Bytes are for a held
    client, `switches` and `cpu` (seconds) for a request, `idle` is the share of a CPU while nobody asks."""

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
    load: float
    p50: float
    p99: float


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
    """Measure `serve` with so many clients, of which `active` ask for `seconds`. After `patience` seconds a client that
    has had no answer counts as one that the server does not hold."""
    with serving(serve, *words) as server:
        bare = server.usage()
        with connections(server.address, clients) as connected:
            first = drive(connected, lines, patience, each=1)
            full = server.usage()
            time.sleep(silence)
            silent = server.usage()
            served = [client for client, answered in zip(connected, first.answered, strict=True) if answered]
            load = drive(served[:active], lines, seconds)
            end = server.usage()
    held, spent, resting, grown = first.served, end - silent, silent - full, full - bare
    return Cost(
        clients,
        held,
        grown.own / held,
        grown.reserved / held,
        full.threads,
        resting.load,
        load.requests,
        spent.switches / load.requests,
        spent.involuntary / load.requests,
        spent.cpu / load.requests,
        spent.load,
        load.latency(0.5),
        load.latency(0.99),
    )
