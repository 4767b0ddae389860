"""Ten thousand connections in one thread.

Ten thousand clients connect, each asks once, and stays. Then fifty of them ask without a pause, while the others are
silent, as most clients of most servers are most of the time. Five servers do the same echo:

- *a thread each*: as in lab 2; a stack for each client, and the scheduler goes from one to the other;
- *callbacks on epoll*: the event loop of lab 6; one thread, and nothing remembered;
- *asyncio*: coroutines on its streams; one thread, two or three objects and a suspended frame for each client;
- *machines*: the engine and the loop of our server, with the smallest table that echoes;
- *our server*: the shipped one, with HTTP, its gate, a history and a time for each state of each connection.

The last one does more for its money than the others. What the kernel holds for a connection is the same for all, and is
not counted.
"""

import asyncio
import socket
from collections.abc import Mapping, Sequence

from benchmarks.plot import Kind, Row, bars
from benchmarks.summary import spread
from clerestory.handlers.api.messages import Request, Response
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.statemachines.engine import Engine, Machine
from labs import costs, event_loop, thread_pool
from labs.costs import Cost, cost
from labs.findings import Claim, Findings, Stage, verdict
from labs.hosting import crashed, host
from labs.measuring import amount
from labs.models.machines import CLIENT, ENTRANCE, Client
from labs.serving import BACKLOG, raise_descriptor_limit

ECHO, HTTP = b"echo hello\n", b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n"
GOAL = 10_000


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A client of asyncio."""
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()


async def serve_forever(listener: socket.socket) -> None:
    """Every client of asyncio."""
    server = await asyncio.start_server(echo, sock=listener, backlog=BACKLOG)
    await server.serve_forever()


def serve_coroutines(listener: socket.socket) -> None:
    """asyncio, with its streams."""
    asyncio.run(serve_forever(listener))


class NoStore:
    """What the clients of `labs.models.machines` ask for e-mails, where nobody does."""

    def leave(self) -> None:
        """There is nothing to be left."""


class Door(Machine):
    """Makes a machine for each client that comes."""

    __slots__ = ("clients", "listener", "loop")

    def __init__(self, loop: Loop, listener: socket.socket) -> None:
        super().__init__(Engine(ENTRANCE, Door, loop.clock), listener.fileno())
        self.clients = Engine(CLIENT, Client, loop.clock)
        self.loop = loop
        self.listener = listener

    def accept(self, _: int) -> None:
        """Take one."""
        client = Client(self.clients, self.listener.accept()[0])
        client.store = NoStore()  # type: ignore[assignment]
        self.loop.add(client)


def serve_machines(listener: socket.socket) -> None:
    """A machine each, on the loop of our server."""
    loop = Loop(open_poller(), crashed)
    loop.add(Door(loop, listener))
    loop.run()


def hello(request: Request) -> Response:  # noqa: ARG001 - the same for everybody
    """The application of our server."""
    return Response(b"hello\n")


def serve_http(listener: socket.socket) -> None:
    """Our server."""
    host(listener, hello).loop.run()


THREADS, MACHINES, OURS = "a thread each", "machines", "our server, HTTP"
SERVERS = {
    THREADS: (thread_pool.serve_each, ECHO),
    "epoll, callbacks": (event_loop.serve, ECHO),
    "asyncio, coroutines": (serve_coroutines, ECHO),
    MACHINES: (serve_machines, ECHO),
    OURS: (serve_http, HTTP),
}


def run(stage: Stage) -> Findings:
    """Let as many clients come to each of the servers."""
    clients = stage.pick(GOAL, 300)
    raise_descriptor_limit()
    found: dict[str, Cost] = {}
    for name, (serve, line) in SERVERS.items():
        found[name] = cost(
            serve, clients=clients, lines=(line,), seconds=stage.pick(2.0, 0.3), silence=stage.pick(1.0, 0.1)
        )
        stage.say(f"{name}: {found[name].phrase()}")
    alone = [one for one in found.values() if one.threads == 1]
    memory = {name: one.memory / 1024 for name, one in found.items()}
    cpu = {name: one.cpu * 1e6 for name, one in found.items()}
    told = ("held", "memory", "threads", "switches", "cpu", "idle", "p99")
    return Findings(
        shows=f"{len(alone)} servers held {min(one.held for one in alone):,} clients in one thread each: "
        f"{amount(found[MACHINES].memory)} for a machine, {amount(found[OURS].memory)} for a connection of our server, "
        f"{amount(found[THREADS].memory)} for a thread.",
        tables=(costs.table(f"{clients:,} clients", found.items()),),
        plots={
            "ten-thousand-memory": draw(f"Memory for each of {clients:,} clients", "KiB", memory),
            "ten-thousand-cpu": draw("CPU for a request, while the others are silent", "µs", cpu),
        },
        claims=(judge(clients, alone, found[THREADS]),),
        figures={f"{name} {what}": getattr(one, what) for name, one in found.items() for what in told},
    )


def judge(clients: int, alone: Sequence[Cost], threads: Cost) -> Claim:
    """In one thread, ten thousand?"""
    fewest, memories = min(one.held for one in alone), [one.memory for one in alone]
    return Claim(
        "ten-thousand",
        f"{fewest:,} of {clients:,} clients were held and answered by each of {len(alone)} servers with one thread, at "
        f"{amount(min(memories))} to {amount(max(memories))} a client",
        verdict(fewest >= GOAL, partly=fewest == clients),
        f"a client that waits costs an object and a descriptor; {threads.held:,} threads did it, too, for "
        f"{amount(threads.memory)} of memory and {amount(threads.reserved)} of address space a client",
    )


def draw(title: str, unit: str, values: Mapping[str, float]) -> str:
    """One bar for each server."""
    kinds = {MACHINES: Kind.OURS, OURS: Kind.OURS}
    rows = [Row(name, [spread([value])], kinds.get(name, Kind.PEER)) for name, value in values.items()]
    return bars(title, "the same echo; our server with HTTP, histories and deadlines", rows, [""], unit)
