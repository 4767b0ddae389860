"""Coroutines: the state machine that Python compiles.

`add_to_inbox` is the e-mail server's program once more. It reads like the one for threads: take `async` and `await`
out, and it *is* the one for threads (`labs.inbox_in_a_thread`; the lab compares their syntax trees). But nothing
blocks. An `await` of something that is not there yet suspends the coroutine and hands a wish, "this descriptor,
readable", all the way up to whoever runs it; that is `Task`, an executor of a few lines on the event loop of lab 6,
which waits until the wish has come true and resumes the coroutine where it was.

Where it was: that is a machine. The compiler has given each `await` a number (the offset of the instruction at which
the frame is left), and resuming is a jump to it. The states are the suspension points; the fields are the local
variables; `cr_await` leads to the coroutine that is awaited, so a chain of them is a stack, kept on the heap. So three
clients are made to stop, one at each `await`, and both are asked where they are: the coroutines, and the connections of
our server for three clients that do the same. They are the same states. What the compiler's lack is a name, a deadline,
a history, and a picture.
"""

import contextlib
import linecache
import socket
import types
from collections.abc import Coroutine, Generator

from benchmarks.report import Table
from clerestory.statemachines.contract import Interest
from labs.event_loop import EventLoop
from labs.findings import Claim, Findings, Stage, verdict
from labs.held_up import NUMBERS, REPEAT, Address, Clients, Held, Store, machines_held_up
from labs.inbox_in_a_thread import add_to_inbox_in_a_thread
from labs.suspension import place, statements, suspension_points

Wish = tuple[socket.socket, Interest]


class Task:
    """The executor: runs one coroutine on an event loop."""

    def __init__(self, loop: EventLoop, coroutine: Coroutine[Wish, None, None]) -> None:
        self.loop = loop
        self.coroutine = coroutine
        self.wish: Wish | None = None
        self.step()

    def step(self, descriptor: int | None = None) -> None:
        """Resume the coroutine, now that its wish has come true, until it has the next one, or ends."""
        if descriptor is not None:
            self.loop.forget(descriptor)
        try:
            self.wish = self.coroutine.send(None)
        except StopIteration:
            self.wish = None
            return
        awaited, interest = self.wish
        self.loop.callbacks[awaited.fileno()] = self.step
        self.loop.poller.register(awaited, interest)


@types.coroutine
def ready(awaited: socket.socket, interest: Interest) -> Generator[Wish, None, None]:
    """Suspend until the socket is ready: the one place where a coroutine is left."""
    yield awaited, interest


class Wire:
    """A client's socket, and the way to the store, for coroutines."""

    def __init__(self, client: socket.socket, store: Address) -> None:
        self.client = client
        self.store = store

    async def read_request(self) -> bytes:
        """One line: the number of an e-mail."""
        request = b""
        while not request.endswith(b"\n"):
            await ready(self.client, Interest.READABLE)
            request += self.client.recv(1024)
        return request

    async def get_email(self, number: bytes) -> bytes:
        """Ask the store."""
        with socket.create_connection(self.store) as store:
            store.send(number)
            await ready(store, Interest.READABLE)
            return store.recv(1024)

    async def send_response(self, email: bytes) -> None:
        """As much as the socket takes, again and again."""
        unsent = memoryview(email * REPEAT)
        while unsent:
            await ready(self.client, Interest.WRITABLE)
            unsent = unsent[self.client.send(unsent) :]


async def add_to_inbox(wire: Wire, inbox: list[bytes]) -> None:
    """Read the request, get the e-mail, send the response."""
    number = await wire.read_request()
    email = await wire.get_email(number)
    inbox.append(email)
    await wire.send_response(email)


# --- three clients are held up, and both servers are asked where


def coroutines_held_up() -> Held:
    """A coroutine for each client, on the event loop of lab 6."""
    with contextlib.ExitStack() as stack:
        store, loop, inbox = Store(stack), EventLoop(), list[bytes]()
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        stack.callback(loop.poller.close)

        def turn() -> None:
            for descriptor, _ in loop.poller.poll(0.001):
                loop.callbacks[descriptor](descriptor)

        clients = Clients(stack, listener.getsockname(), store, [b"%b\n" % one for one in NUMBERS], turn)
        tasks = []
        for _ in NUMBERS:
            accepted = stack.enter_context(listener.accept()[0])
            accepted.setblocking(False)
            tasks.append(Task(loop, add_to_inbox(Wire(accepted, store.address), inbox)))
        clients.hold_up(lambda: len({place(task.coroutine).line for task in tasks}) == len(tasks))
        places = [place(task.coroutine) for task in tasks]
        waits = [task.wish[1].phrase() for task in tasks if task.wish is not None]
        return Held(places, waits, clients.let_go())


def run(stage: Stage) -> Findings:
    """Read the bytecode; hold three clients up; ask the coroutines and the machines."""
    points = suspension_points(add_to_inbox)
    stage.say(f"the compiler has made {len(points)} suspension points")
    alike = statements(add_to_inbox) == statements(add_to_inbox_in_a_thread)
    suspended, ours = coroutines_held_up(), machines_held_up()
    stage.say("three clients were held up, by coroutines and by our machines, and let go")
    lines = {one.line for one in suspended.places}
    same = suspended.waits == ours.waits and lines == set(points.values())
    table = Table(
        "Three clients, held up at the same places",
        ("coroutine", "offset", "what it awaits", "it remembers", "waits for", "our machine", "waits for"),
        [
            (one.text, f"{one.offset}", one.chain, one.remembers, wait, state, our_wait)
            for one, wait, state, our_wait in zip(
                suspended.places, suspended.waits, ours.places, ours.waits, strict=True
            )
        ],
        left=frozenset({"what it awaits", "it remembers", "waits for", "our machine"}),
        note="In QUERYING_BACKEND the query's own machine waits; the connection notices nothing but a disconnect.",
    )
    compiled = Table(
        "The machine that Python has compiled: the instructions at which add_to_inbox can be left",
        ("offset", "line"),
        [(f"{offset}", linecache.getline(__file__, line).strip()) for offset, line in points.items()],
        left=frozenset({"line"}),
    )
    return Findings(
        shows=f"add_to_inbox has {len(points)} suspension points. Held up in each, it waits for what our machine waits "
        f"for in {', '.join(ours.places)}.",
        tables=(compiled, table),
        claims=(
            Claim(
                "coroutines",
                f"without async and await the program {'is' if alike else 'is not'} the threaded one; three clients "
                f"were held up at {len(lines)} of its {len(points)} suspension points, where our connections were in "
                f"{len(set(ours.places))} states",
                verdict(alike and same, partly=same),
                "each await is a numbered place to which the frame is resumed, and its variables are kept in the frame;"
                " unlike a state's, the number has no name, no deadline and no history",
            ),
        ),
        figures={
            "suspension points": len(points),
            "alike": alike,
            "same": same,
            "coroutines served": suspended.served,
            "machines served": ours.served,
        },
    )
