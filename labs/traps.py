"""The dark side: epoll's traps.

Three of them, each shown going wrong and then right. They come from what epoll is, and no call fails where the mistake
is made.

1. *The duplicate.* epoll watches what a number stood for (the open file description), not the number. Close a
   descriptor while a duplicate of it lives on, in a child process say, and it goes on being reported, under a number
   that is closed: the loop can neither read it nor take it out of the set. Right: take it out before it is closed.
2. *The edge.* Edge-triggered epoll reports a change, not a state. Read a part of what has come, wait for the rest, and
   nothing is reported until the peer sends more, which it will not do before it has our answer: both wait for ever.
   Right: read until EAGAIN, or be level-triggered, where what is left is reported again.
3. *The reused number.* One wait reports several descriptors. While the first is handled, another of them is closed, and
   a connection that is accepted now gets its number: the report that is still to be handled now means somebody else.
   Right: close only when the whole batch has been handled, which is what `server.loop.loop` does.
"""

import contextlib
import fcntl
import select
import socket
import struct
import termios
from collections.abc import Callable
from typing import Final, NamedTuple

from benchmarks.report import Table
from labs.findings import Findings, Stage

PATIENCE: Final = 0.05
"""Seconds until a wait that ought to report something is called a hang. What is ready is reported at once."""
WAITS: Final = 1000


class Outcome(NamedTuple):
    """What happened, in words, and whether it is what one wants."""

    told: str
    right: bool


def pair(stack: contextlib.ExitStack) -> tuple[socket.socket, socket.socket]:
    """Our end and the peer's, non-blocking; closed at the end."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
        stack.enter_context(end)
    return ours, theirs


def duplicate(unregister: bool) -> Outcome:
    """Close a registered descriptor that has a duplicate, and wait."""
    with contextlib.ExitStack() as stack, select.epoll() as poller:
        ours, theirs = pair(stack)
        poller.register(ours, select.EPOLLIN)
        number = ours.fileno()
        stack.enter_context(ours.dup())  # a child that was forked has one without asking
        if unregister:
            poller.unregister(ours)
        ours.close()
        theirs.send(b"hello")
        reports = sum(len(poller.poll(0)) for _ in range(WAITS))
        told = f"{reports:,} reports in {WAITS:,} waits, of a descriptor that is closed"
        if reports:
            try:
                poller.unregister(number)
            except OSError as error:
                told += f"; to take it out of the set fails: {error.strerror}"
        return Outcome(told, not reports)


def edge(events: int, drain: bool) -> Outcome:
    """Read four bytes at each report, or all there is, of a request of twelve."""
    with contextlib.ExitStack() as stack, select.epoll() as poller:
        ours, theirs = pair(stack)
        poller.register(ours, events)
        theirs.send(b"get email 7\n")
        request, reports = b"", 0
        while not request.endswith(b"\n") and poller.poll(PATIENCE):
            reports += 1
            with contextlib.suppress(BlockingIOError):
                request += ours.recv(4)
                while drain:
                    request += ours.recv(4)
        answered = request.endswith(b"\n")
        left = struct.unpack("i", fcntl.ioctl(ours, termios.FIONREAD, b"\0" * 4))[0]
        end = "the request is whole" if answered else f"then silence, with {left} bytes left in the socket"
        return Outcome(f"{reports} report{'s' * (reports != 1)}, {len(request)} bytes read; {end}", answered)


def reused_number(deferred: bool) -> Outcome:
    """A batch of two: the first one's message ends the second, and a third connects before the batch is over."""
    with contextlib.ExitStack() as stack, select.epoll() as poller:
        (first, admin), (second, leaving), (third, newcomer) = pair(stack), pair(stack), pair(stack)
        names = {first.fileno(): "admin", second.fileno(): "leaving"}
        for ours in (first, second):
            poller.register(ours, select.EPOLLIN)
        admin.send(b"end the other")
        leaving.send(b"my last words")
        to_close: list[socket.socket] = []
        misled = []
        for number, _ in poller.poll(PATIENCE):
            if number == first.fileno():
                first.recv(64)
                poller.unregister(second)
                (to_close.append if deferred else socket.socket.close)(second)
                arrived = stack.enter_context(third.dup())  # as accept(2) does: it gets the lowest number that is free
                names[arrived.fileno()] = "newcomer"
            elif number not in {closing.fileno() for closing in to_close}:
                misled.append(names[number])  # reported are the last words of a connection that is closed
        for closing in to_close:
            closing.close()
        newcomer.close()
        told = f"the report for the one that was closed went to: {', '.join(misled) or 'nobody'}"
        return Outcome(told, not misled)


class Trap(NamedTuple):
    """A trap, and the ways to go: how each is called, and what does it."""

    name: str
    ways: tuple[tuple[str, Callable[[], Outcome]], ...]


TRAPS: Final = (
    Trap(
        "duplicate",
        (
            ("close it", lambda: duplicate(unregister=False)),
            ("take it out of the set, then close it", lambda: duplicate(unregister=True)),
        ),
    ),
    Trap(
        "edge",
        (
            ("edge-triggered, one read a report", lambda: edge(select.EPOLLIN | select.EPOLLET, drain=False)),
            ("edge-triggered, read until EAGAIN", lambda: edge(select.EPOLLIN | select.EPOLLET, drain=True)),
            ("level-triggered, one read a report", lambda: edge(select.EPOLLIN, drain=False)),
        ),
    ),
    Trap(
        "reused number",
        (
            ("close within the batch", lambda: reused_number(deferred=False)),
            ("close after the batch", lambda: reused_number(deferred=True)),
        ),
    ),
)


def run(stage: Stage) -> Findings:
    """Walk into each trap, and around it."""
    table = Table(
        "", ("trap", "what is done", "right", "what happens"), left=frozenset({"what is done", "what happens"})
    )
    figures: dict[str, float] = {}
    for trap in TRAPS:
        stage.say(trap.name)
        for way, go in trap.ways:
            outcome = go()
            table.rows.append((trap.name, way, "yes" if outcome.right else "no", outcome.told))
            figures[f"{trap.name}: {way}"] = outcome.right
    wrong = sum(not right for right in figures.values())
    return Findings(
        shows=f"{wrong} of {len(figures)} ways to use epoll went wrong, without a call that failed; around each of the "
        f"{len(TRAPS)} traps there is a way.",
        tables=(table,),
        figures=figures,
    )
