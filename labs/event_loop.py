"""The event loop: any number of clients in one thread, and whatever else has a descriptor.

Nothing in the last lab's program is about the number two. Make it a dictionary from descriptors to what is to be done
when they are ready, and it serves as many as come: `EventLoop`, fifteen lines. The listening socket is a descriptor
like any other: it is readable when somebody has come, and several may have come, so `accept` until EAGAIN. So is
standard input. A signal becomes one by a wake-up descriptor, to which its number is written; a timer is one that is
readable when its time has come. The same call waits for all of them, and the same thread serves them one after the
other, so that no lock is needed anywhere.

What does not fit is a regular file. It is always "ready", also when the disk is not, so epoll refuses it (EPERM).

Then the price of a client: the same echo for the same clients, with a thread for each of them and in one thread.
"""

import contextlib
import select
import socket
from collections.abc import Callable, Sequence

from benchmarks.summary import duration
from labs import descriptors
from labs.costs import Cost, cost, table
from labs.findings import Claim, Findings, Stage, verdict
from labs.measuring import amount
from labs.one_loop import everything_at_once
from labs.plotting import Axis, Line, Tone, lines
from labs.serving import Serve
from labs.thread_pool import serve_each


class EventLoop:
    """Descriptors, and what to call when each of them is readable."""

    def __init__(self) -> None:
        self.poller = select.epoll()
        self.callbacks: dict[int, Callable[[int], None]] = {}

    def watch(self, descriptor: int, callback: Callable[[int], None]) -> None:
        """Call `callback` with the descriptor whenever it is readable."""
        self.callbacks[descriptor] = callback
        self.poller.register(descriptor, select.EPOLLIN)

    def forget(self, descriptor: int) -> None:
        """Call nobody for it any more."""
        self.poller.unregister(descriptor)
        del self.callbacks[descriptor]

    def run(self) -> None:
        """Until there is nothing to be waited for."""
        while self.callbacks:
            for descriptor, _ in self.poller.poll():
                if descriptor in self.callbacks:
                    self.callbacks[descriptor](descriptor)


class Echo:
    """An echo server on an event loop."""

    def __init__(self, loop: EventLoop, listener: socket.socket) -> None:
        self.loop = loop
        self.listener = listener
        self.clients: dict[int, socket.socket] = {}
        listener.setblocking(False)
        loop.watch(listener.fileno(), self.accept)

    def accept(self, _: int) -> None:
        """Take all who have come."""
        while True:
            try:
                client, _ = self.listener.accept()
            except BlockingIOError:
                return
            client.setblocking(False)
            self.clients[client.fileno()] = client
            self.loop.watch(client.fileno(), self.answer)

    def answer(self, descriptor: int) -> None:
        """One bounded read, one answer; or the end of the client."""
        asked = b""
        with contextlib.suppress(OSError):  # a reset is an end, too
            asked = self.clients[descriptor].recv(65536)
            self.clients[descriptor].send(asked)
        if not asked:
            self.loop.forget(descriptor)
            self.clients.pop(descriptor).close()


def serve(listener: socket.socket) -> None:
    """The server, until it is ended."""
    loop = EventLoop()
    Echo(loop, listener)
    loop.run()


# --- what is measured


def run(stage: Stage) -> Findings:
    """A bit of everything on one loop; which kinds of descriptor it takes; what a client costs."""
    seen = everything_at_once(stage, EventLoop(), Echo)
    tried = descriptors.kinds()
    refused = [kind for kind in tried if not kind.fits]
    stage.say(f"{len(tried) - len(refused)} kinds of descriptor fit, {len(refused)} do not")
    numbers = stage.pick([1, 10, 100, 1000, 5000], [1, 300])
    threads, loops = [[_cost(stage, serve, count) for count in numbers] for serve in (serve_each, serve)]
    most, beside = loops[-1], threads[-1]
    names = [("a thread each", found) for found in threads] + [("event loop", found) for found in loops]
    return Findings(
        f"One thread held {most.held:,} clients, each for {amount(most.memory)}, with {duration(most.cpu)} of CPU and "
        f"{most.switches:.2f} context switches a request; as many threads took {amount(beside.memory)}, "
        f"{duration(beside.cpu)} and {beside.switches:.2f}.",
        [descriptors.table(tried), table("The same echo: 50 clients ask, the others are silent", names)],
        {"event-loop": _plot(threads, loops)},
        [descriptors.claim(tried), _claim(loops[0], most, beside)],
        {
            "sources": len(set(seen)),
            "fit": len(tried) - len(refused),
            "refused": len(refused),
            "held": most.held,
            "threads": most.threads,
            "switches": most.switches,
            "switches, threads": beside.switches,
            "memory": most.memory,
            "memory, threads": beside.memory,
            "idle": most.idle,
        },
    )


def _cost(stage: Stage, server: Serve, clients: int) -> Cost:
    found = cost(server, clients=clients, seconds=stage.pick(3.0, 0.3), patience=10.0)
    stage.say(found.phrase())
    return found


def _claim(alone: Cost, most: Cost, beside: Cost) -> Claim:
    return Claim(
        "no-switches",
        f"with {most.held:,} clients {most.switches:.2f} context switches a request where threads made "
        f"{beside.switches:.2f}; {amount(most.memory)} a connection where a thread took {amount(beside.memory)}; "
        f"{most.idle:.2%} of a CPU while all are silent",
        verdict(most.switches < 0.5 and most.memory < 4096, partly=most.switches < beside.switches),
        "The thread goes from client to client without the kernel's help, and a connection is a small object, not a "
        f"stack. It sleeps only when none of them has anything: with a single client {alone.switches:.2f} switches a "
        "request were left.",
    )


def _plot(threads: Sequence[Cost], loops: Sequence[Cost]) -> str:
    return lines(
        "What clients cost in memory",
        "By how much the server's process grew with its clients: the same echo, the same clients.",
        [
            Line("a thread each", [(found.held, found.memory * found.held / 1024) for found in threads], Tone.WARM),
            Line("event loop", [(found.held, found.memory * found.held / 1024) for found in loops], Tone.OURS),
        ],
        Axis("clients", log=True),
        Axis("KiB", log=True),
    )
