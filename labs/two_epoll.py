"""Asleep until something is ready: the same two clients, at once and at 0 % of a CPU.

epoll waits for many descriptors with one call, and says which of them are ready. The thread sleeps in `epoll_wait` as
soundly as in a blocking read, but whoever speaks wakes it.

There are two ways to be told. *Level-triggered*, as Clerestory does it: a descriptor is reported as long as
it has data, so one read for each report will do, and what was left is reported again. *Edge-triggered*, as in the
lecture: it is reported when something comes, once, so whoever is told must read until EAGAIN, or never hear of the rest
again. What that costs is counted: for a short message the edge needs a read more, the one that finds nothing; of a long
one, the level is told again for every piece.
"""

import select
import socket
import time
from collections.abc import Sequence

from benchmarks.report import Table
from benchmarks.summary import duration, figure
from labs.findings import Claim, Findings, Stage, verdict
from labs.load import ask, connections
from labs.plotting import Axis, Line, Tone, lines
from labs.serving import counted, serving
from labs.two_clients import listen_to_two, picture, table

PIECE = 4096
"""Bytes of a read: small, so that a long message takes several."""


def serve_level(listener: socket.socket) -> None:
    """Two clients; one read for each report."""
    clients, poller = take_two(listener, select.EPOLLIN)
    while clients:
        counted["waits"] += 1
        for descriptor, _ in poller.poll():
            counted["reads"] += 1
            answer(clients, descriptor, clients[descriptor].recv(PIECE))


def serve_edge(listener: socket.socket) -> None:
    """Two clients; each report is read until there is nothing more."""
    clients, poller = take_two(listener, select.EPOLLIN | select.EPOLLET)
    while clients:
        counted["waits"] += 1
        for descriptor, _ in poller.poll():
            while descriptor in clients:
                counted["reads"] += 1
                try:
                    heard = clients[descriptor].recv(PIECE)
                except BlockingIOError:
                    counted["EAGAIN"] += 1
                    break
                answer(clients, descriptor, heard)


def take_two(listener: socket.socket, interest: int) -> tuple[dict[int, socket.socket], select.epoll]:
    """The clients by their descriptors, and the epoll that waits for both."""
    poller = select.epoll()
    clients = {}
    for client in (listener.accept()[0], listener.accept()[0]):
        client.setblocking(False)
        clients[client.fileno()] = client
        poller.register(client, interest)
    return clients, poller


def answer(clients: dict[int, socket.socket], descriptor: int, heard: bytes) -> None:
    """A message ends with a line feed, and is answered with one; a client that has gone is forgotten."""
    if not heard:
        clients.pop(descriptor).close()
    elif heard.endswith(b"\n"):
        clients[descriptor].send(b"heard\n")


# --- what is measured


def run(stage: Stage) -> Findings:
    """Both kinds of trigger with the two clients, then with messages of all lengths."""
    silence = stage.pick(1.0, 0.2)
    level = listen_to_two(serve_level, silence=silence, patience=20)
    edge = listen_to_two(serve_edge, silence=silence, patience=20)
    idle = max(level.silent.load, edge.silent.load)
    stage.say(f"the second waited {duration(level.longest)} at most; in silence {idle:.2%} of a CPU")
    sizes = stage.pick([16, 4096, 16384, 65536, 262144], [16, 65536])
    calls = {
        name: [_calls(stage, serve, name, size) for size in sizes]
        for name, serve in (("level", serve_level), ("edge", serve_edge))
    }
    figures = {
        "idle": idle,
        "at once": level.at_once and edge.at_once,
        "level, reads": calls["level"][0][1],
        "edge, reads": calls["edge"][0][1],
        "level, waits for a long one": calls["level"][-1][0],
        "edge, waits for a long one": calls["edge"][-1][0],
    }
    return Findings(
        f"Both were heard within {duration(max(level.longest, edge.longest))}, for {idle:.1%} of a CPU while nobody "
        f"said anything. A short message costs {figure(sum(calls['level'][0]))} calls level-triggered and "
        f"{figure(sum(calls['edge'][0]))} edge-triggered.",
        [
            table("Two clients, one thread, epoll", {"level-triggered": level, "edge-triggered": edge}),
            _costs(sizes, calls),
        ],
        {
            "two-epoll": picture(
                "One thread that sleeps until somebody speaks",
                f"Everything is heard at once, as by the one that never waits, for {idle:.1%} of a CPU in silence.",
                level,
            ),
            "two-epoll-calls": lines(
                "What a message costs in system calls",
                f"epoll_wait and recv for one message, read in pieces of {PIECE:,} bytes.",
                [
                    Line(
                        f"{name}-triggered",
                        [(size, sum(found)) for size, found in zip(sizes, calls[name], strict=True)],
                        tone,
                    )
                    for name, tone in (("level", Tone.OURS), ("edge", Tone.WARM))
                ],
                Axis("bytes of the message", log=True),
                Axis("system calls", log=True),
            ),
        },
        [
            Claim(
                "epoll-sleeps",
                f"{idle:.2%} of a CPU and {level.silent.switches} switches in {silence:g} s of silence; the second was "
                f"answered within {duration(level.longest)}",
                verdict(idle < 0.02 and level.at_once, partly=level.at_once),
                "The thread sleeps in epoll_wait, on all descriptors at the same time; whichever is ready wakes it.",
            )
        ],
        figures,
    )


def _calls(stage: Stage, serve: object, name: str, size: int) -> tuple[float, float]:
    """Waits and reads for a message of `size` bytes, when the next one comes some time after it."""
    messages = stage.pick(200, 20)
    with serving(serve, cpu=None) as server, connections(server.address, 2) as (talker, _):  # type: ignore[arg-type]
        for _ in range(messages):
            ask(talker, b"x" * (size - 1) + b"\n")
            time.sleep(0.002)
    found = server.counted["waits"] / messages, server.counted["reads"] / messages
    stage.say(f"{name}-triggered, {size:,} bytes: {found[0]:.1f} waits and {found[1]:.1f} reads a message")
    return found


def _costs(sizes: list[int], calls: dict[str, list[tuple[float, float]]]) -> Table:
    columns = ("bytes", "level: waits", "level: reads", "edge: waits", "edge: reads")
    rows: list[Sequence[str]] = [
        (f"{size:,}", *(figure(value) for found in (level, edge) for value in found))
        for size, level, edge in zip(sizes, calls["level"], calls["edge"], strict=True)
    ]
    return Table(f"System calls for one message, read {PIECE:,} bytes at a time", columns, rows)
