"""The dark side: who reads until EAGAIN reads for ever, if the other end never stops.

One thread serves everybody, so whoever is served holds up all the others. Edge-triggered epoll asks its users to read
until there is nothing more; and level-triggered, too, it looks thrifty to take all that is there while one is at it.
Then comes a client that sends faster than the server can work it off. There is always more. The loop that drains a
descriptor does not come back, and a client who wants one line answered waits until the other is tired.

The cure is one number: how much one readiness event may read. What is left is reported again by the next wait, after
everybody else has had a turn. A server with the bound does the same work for the firehose; it only does it in turns.

Here the firehose sends as fast as it can, the server computes a digest of what comes, and a polite client asks for one
line again and again. The bound is the number of reads of 64 KiB that one event may do.
"""

import hashlib
import select
import socket
import time
from dataclasses import dataclass

from benchmarks.machine import LOAD_CPU
from benchmarks.report import Table
from benchmarks.summary import duration, figure
from labs.findings import Claim, Findings, Stage, verdict
from labs.load import ask, connections
from labs.measuring import percentile
from labs.plotting import Axis, Line, Tone, lines
from labs.serving import counted, serving

PIECE = 65536


def serve(listener: socket.socket, most: str) -> None:
    """Digest what comes, and answer lines. One event may read `most` times; 0: until EAGAIN."""
    clients: dict[int, socket.socket] = {}
    poller = select.epoll()
    poller.register(listener, select.EPOLLIN)
    digest = hashlib.sha3_512()  # a quarter of a millisecond for each piece: work
    while True:
        for descriptor, _ in poller.poll():
            if descriptor == listener.fileno():
                client, _ = listener.accept()
                client.setblocking(False)
                clients[client.fileno()] = client
                poller.register(client, select.EPOLLIN)
                continue
            reads = 0
            while not int(most) or reads < int(most):
                try:
                    heard = clients[descriptor].recv(PIECE)
                except BlockingIOError:
                    break
                reads += 1
                digest.update(heard)
                counted["bytes"] += len(heard)
                if heard.endswith(b"\n"):
                    clients[descriptor].send(b"heard\n")
                if not heard:
                    clients.pop(descriptor).close()
                    break


def firehose(_: socket.socket, host: str, port: str) -> None:
    """A client, as a process of its own: zeros without end."""
    water = bytes(16 * PIECE)
    with socket.create_connection((host, int(port))) as connection:
        while True:
            connection.send(water)


# --- what is measured


@dataclass(frozen=True, slots=True)
class Turn:
    """What the polite client waited for its answers, in seconds, while the firehose was on; and how much that sent."""

    waits: list[float]
    rate: float

    @property
    def median(self) -> float:
        """The usual wait."""
        return percentile(self.waits, 0.5)


def take_turns(most: int, seconds: float, apart: float = 0.005) -> Turn:
    """A polite client beside a firehose, for so long. A question that is open when the firehose is turned off is waited
    for, and counts with all of its wait."""
    waits: list[float] = []
    with serving(serve, most) as server, connections(server.address, 1) as (polite,):
        ask(polite, b"hello\n")
        with serving(firehose, *server.address, cpu=LOAD_CPU):
            time.sleep(0.1)  # it has filled what lies between the two
            begun = asked = time.monotonic()
            polite.settimeout(seconds)
            while asked - begun < seconds:
                try:
                    ask(polite, b"hello\n")
                except TimeoutError:
                    break
                waits.append(time.monotonic() - asked)
                time.sleep(apart)
                asked = time.monotonic()
            else:
                asked = 0.0
            lasted = time.monotonic() - begun
        if asked:
            polite.settimeout(60)
            ask(polite, b"")
            waits.append(time.monotonic() - asked)
    return Turn(waits, server.counted["bytes"] / (lasted + 0.1))


def run(stage: Stage) -> Findings:
    """Smaller and larger bounds; and none."""
    seconds = stage.pick(2.0, 0.5)
    bounds = stage.pick([1, 4, 16, 64, 256, 1024], [1, 64])
    turns = {}
    for bound in (*bounds, 0):
        turn = turns[bound] = take_turns(bound, seconds)
        name = f"at most {bound} reads" if bound else "until EAGAIN"
        stage.say(f"{name}: {len(turn.waits)} answers, {duration(turn.median)} each, {figure(turn.rate / 1e6)} MB/s")
    endless = turns.pop(0)
    kind = turns[1]
    return Findings(
        f"Beside a firehose one line was answered after {duration(kind.median)} with a bound of one read, after "
        f"{duration(endless.median)} without; the firehose had {figure(kind.rate / 1e6)} and "
        f"{figure(endless.rate / 1e6)} MB/s.",
        [_table(turns, endless)],
        {
            "starvation": lines(
                "The polite client beside a firehose",
                "How long it waits for one line, by how often one event may read from the firehose.",
                [
                    Line("read until EAGAIN", [(bound, endless.median * 1e3) for bound in bounds], Tone.WARM),
                    Line("bounded: worst wait", [(b, max(turn.waits) * 1e3) for b, turn in turns.items()], Tone.QUIET),
                    Line("bounded: usual wait", [(b, turn.median * 1e3) for b, turn in turns.items()], Tone.OURS),
                ],
                Axis("reads of 64 KiB that one event may do", log=True),
                Axis("milliseconds", log=True),
            )
        },
        [
            Claim(
                "starvation",
                f"read until EAGAIN, a line was answered after {duration(endless.median)}, {len(endless.waits)} in "
                f"{seconds:g} s; with one read for each event after {duration(kind.median)}, {len(kind.waits)} times",
                verdict(endless.median > 10 * kind.median, partly=endless.median > kind.median),
                "Who sends faster than the server works is never drained. A bound on what one event may read gives "
                f"everybody a turn; the firehose went on with {kind.rate / endless.rate:.0%} of its speed.",
            )
        ],
        {
            "bounded": kind.median,
            "endless": endless.median,
            "bounded answers": len(kind.waits),
            "endless answers": len(endless.waits),
            "bounded rate": kind.rate,
            "endless rate": endless.rate,
        },
    )


def _table(turns: dict[int, Turn], endless: Turn) -> Table:
    return Table(
        "A polite client beside a firehose",
        ("one event may read", "answers", "usual wait", "longest wait", "the firehose has"),
        [
            (
                f"{bound:,} times" if bound else "until EAGAIN",
                f"{len(turn.waits):,}",
                duration(turn.median),
                duration(max(turn.waits)),
                f"{figure(turn.rate / 1e6)} MB/s",
            )
            for bound, turn in [*turns.items(), (0, endless)]
        ],
    )
