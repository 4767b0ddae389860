"""Portable: the same server on epoll, poll and select.

Every system has a call that waits for many descriptors at once, and hardly two have the same. The server's loop is
written against one small face (`server.loop.poller`: register, modify, unregister, wait), and each call stands behind
it:

- *select(2)*, 1983: everywhere. Three bitmaps of a fixed size go to the kernel at each wait and come back; a descriptor
  of FD_SETSIZE (1,024) or above has no bit in them.
- *poll(2)*, 1986: a list instead of the bitmaps, so there is no bound; but the whole list still goes to the kernel at
  each wait, and the kernel looks at every descriptor in it.
- *epoll(7)*, Linux 2002: the list stays in the kernel, which notes what becomes ready when it becomes ready. A wait
  costs what is ready, however many are waited for. *kqueue(2)* is the same idea on the BSDs and on macOS.

So one client asks, while ever more others are connected and silent: what does its request cost? And what do the calls
tell of the same event, a peer that has gone, to someone who waits for nothing else?
"""

import contextlib
import select
import socket
from collections.abc import Mapping
from typing import Final

from benchmarks.report import Table
from benchmarks.summary import duration
from clerestory.handlers.api.messages import Request, Response
from clerestory.server.connection.service import RESERVE
from clerestory.server.loop.poller import POLLERS
from labs.findings import Claim, Findings, Stage, verdict
from labs.hosting import host
from labs.load import connections, drive
from labs.measuring import cpu_seconds
from labs.platforms import bound_of_select, details
from labs.plotting import Axis, Line, Tone, lines
from labs.serving import Server, raise_descriptor_limit, serving

REQUEST: Final = b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n"
TONES: Final = {"epoll": Tone.OURS, "poll": Tone.WARM, "select": Tone.THIRD}


def hello(request: Request) -> Response:  # noqa: ARG001 - the same for everybody
    """The application."""
    return Response(b"hello\n")


def serve(listener: socket.socket, poller: str) -> None:
    """Our server, on `poller`."""
    host(listener, hello, poller).loop.run()


def room(poller: str) -> float:
    """How many clients a poller lets the server have."""
    capacity = POLLERS[poller]().capacity
    return capacity - RESERVE if capacity else float("inf")


def cost(server: Server, requests: int) -> tuple[float, float]:
    """CPU seconds of the server a request, and the median latency, for one client that asks again and again."""
    with connections(server.address, 1) as asking:
        drive(asking, [REQUEST], 1.0, 10)
        before = cpu_seconds(server.pid)
        outcome = drive(asking, [REQUEST], 20.0, requests)
        return (cpu_seconds(server.pid) - before) / outcome.requests, outcome.latency(0.5)


def climb(poller: str, sizes: tuple[int, ...], requests: int) -> dict[int, tuple[float, float]]:
    """The cost of a request at each number of idle connections that `poller` can hold."""
    found: dict[int, tuple[float, float]] = {}
    with serving(serve, poller) as server, contextlib.ExitStack() as idle:
        held = 0
        for size in sizes:
            if size < room(poller):
                idle.enter_context(connections(server.address, size - held))
                held = size
                found[size] = cost(server, requests)
    return found


def run(stage: Stage) -> Findings:
    """Measure every poller that this system has."""
    sizes, requests = stage.pick(((10, 100, 900, 1000, 10_000), 1000), ((10, 900), 150))
    raise_descriptor_limit()
    costs = {}
    for poller in POLLERS:
        stage.say(f"{poller}: up to {max(size for size in sizes if size < room(poller)):,} idle connections")
        costs[poller] = climb(poller, sizes, requests)
    cpu = Table("CPU of the server for one request, while others are connected and idle", ("idle", *POLLERS))
    latency = Table("Median latency of that request", ("idle", *POLLERS))
    for size in sizes:
        cells = [costs[poller].get(size) for poller in POLLERS]
        cpu.rows.append((f"{size:,}", *(duration(cell[0]) if cell else "-" for cell in cells)))
        latency.rows.append((f"{size:,}", *(duration(cell[1]) if cell else "-" for cell in cells)))
    bound = bound_of_select()
    cpu.note = f"-: not to be had: {bound}; the server keeps {RESERVE} of them for itself" if bound else ""
    figures = {f"{poller} {size}": cell[0] for poller in POLLERS for size, cell in costs[poller].items()}
    first, last = sizes[0], sizes[-1]
    grown = {name: figures[f"{name} {last}"] / figures[f"{name} {first}"] for name in POLLERS if last in costs[name]}
    told = ", ".join(f"{factor:.{factor < 10:d}f} times as much with {name}" for name, factor in grown.items())
    return Findings(
        shows=f"Beside {last:,} idle connections instead of {first} a request costs {told}.",
        tables=(cpu, latency, details()),
        plots={"portable": draw(costs)},
        claims=(judge(costs, bound),),
        figures=figures,
        notes=[f"This system has {', '.join(POLLERS)}; and {'' if hasattr(select, 'kqueue') else 'no '}kqueue."],
    )


def draw(costs: Mapping[str, Mapping[int, tuple[float, float]]]) -> str:
    """What a request costs, by how many others are idle."""
    plotted = [
        Line(name, [(size, cpu * 1e6) for size, (cpu, _) in found.items()], TONES.get(name, Tone.QUIET))
        for name, found in costs.items()
    ]
    return lines(
        "What one request costs while others are idle",
        "the same server on each poller; select ends where its bitmaps do",
        plotted,
        Axis("idle connections", log=True),
        Axis("CPU µs a request", log=True),
    )


def judge(costs: Mapping[str, Mapping[int, tuple[float, float]]], bound: str) -> Claim:
    """Do they differ?"""
    last = max(size for size in costs["epoll"] if size in costs["poll"])
    epoll, poll = costs["epoll"][last][0], costs["poll"][last][0]
    return Claim(
        "platforms",
        f"beside {last:,} idle connections a request costs {duration(epoll)} with epoll and {duration(poll)} with poll;"
        f" {bound}",
        verdict(poll > 2 * epoll and bool(bound), partly=poll > epoll or bool(bound)),
        "poll and select hand the whole set to the kernel at each wait, epoll and kqueue leave it there; and bounds, "
        "timeouts and the report of a hang-up differ as well, which the poller's face hides",
    )
