"""State in the stack: the e-mail server with a thread for each connection.

A client asks for an e-mail by its number; the server gets it from the mail store, and sends it. With a thread for each
connection the program is three lines that read like the sentence (`set_interest`), and each of them may wait: for the
client that has not finished its request, for the store, for the client that does not take its answer. Where in the
program a connection is, nobody writes down. It is in the thread's stack: the instruction pointer says what is being
waited for, the frames above it with what.

So ask the stacks. Three clients stop at three different places, and we print where each thread stands and what it has
in its variables. It is all there, and it is for free, as long as there is a thread. On an event loop there is none, and
whatever stands in this table has to be kept by hand: that is the next lab.
"""

import linecache
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

from benchmarks.report import Table
from labs.findings import Findings, Stage
from labs.load import ask, connections

GetEmail = Callable[[bytes], bytes]


def attend(client: socket.socket, get_email: GetEmail) -> None:
    """The whole life of a connection."""
    with client:
        for request in requests(client):
            email = get_email(request)
            client.sendall(email)


def requests(client: socket.socket) -> Iterator[bytes]:
    """Read lines, until the client leaves."""
    unread = b""
    while heard := client.recv(4096):
        *whole, unread = (unread + heard).split(b"\n")
        yield from whole


def serve(listener: socket.socket, get_email: GetEmail) -> None:
    """A thread for each connection, until the listener is shut down."""
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        name = f"port {client.getpeername()[1]}"
        threading.Thread(target=attend, args=(client, get_email), name=name, daemon=True).start()


# --- what is shown

LARGE = 16 * 1024 * 1024
"""Bytes of an e-mail that no pair of sockets takes in one piece."""
PATIENCE = 20.0
"""Seconds in which a thread must have come to where it waits."""


class Store:
    """A mail store in memory. It has every e-mail at once, but number 42 only when it is allowed to; 7 is large."""

    def __init__(self) -> None:
        self.allowed = threading.Event()

    def get(self, request: bytes) -> bytes:
        """Wait for the e-mail, as one waits for a database."""
        if request == b"42":
            self.allowed.wait()
        return b"e-mail " + request + b" " * (LARGE if request == b"7" else 0) + b"\n"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a thread stands: the line of `set_interest`, the line that waits, and what its variables hold."""

    line: str
    waits: str
    remembers: dict[str, bytes]


def place(client: socket.socket) -> Place | None:
    """Where the thread of this client's connection stands; None when it has not begun."""
    name = f"port {client.getsockname()[1]}"
    numbers = [thread.ident for thread in threading.enumerate() if thread.name == name]
    frame = sys._current_frames().get(numbers[0] or 0) if numbers else None  # noqa: SLF001 - documented
    frames: list[FrameType] = []
    while frame is not None:
        frames += [frame] if frame.f_code.co_filename == __file__ else []
        frame = frame.f_back
    if not frames or frames[-1].f_code is not attend.__code__:
        return None
    lines = [linecache.getline(__file__, frame.f_lineno).strip() for frame in frames]
    kept = {name: value for frame in frames for name, value in frame.f_locals.items() if isinstance(value, bytes)}
    return Place(lines[-1], lines[0], kept)


def resting_place(client: socket.socket, call: str, *remembers: str) -> Place:
    """Where the thread stands once it is in `call` and its variables have what it is to remember."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = place(client)
        if found is not None and call in found.waits and all(found.remembers.get(name) for name in remembers):
            return found
        time.sleep(0.001)
    raise TimeoutError(f"no thread has come to {call}")


def run(stage: Stage) -> Findings:
    """Three clients stop in three places; the stacks are asked; then all three are served."""
    store = Store()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = threading.Thread(target=serve, args=(listener, store.get))
        host.start()
        with connections(listener.getsockname(), 3) as (reading, querying, sending):
            reading.sendall(b"1")  # the rest of its number does not come
            querying.sendall(b"42\n")  # the store takes its time
            sending.sendall(b"7\n")  # the client does not take its answer
            places = {
                "reading request": resting_place(reading, ".recv(", "unread"),
                "querying backend": resting_place(querying, ".wait(", "request"),
                "sending response": resting_place(sending, ".sendall(", "email"),
            }
            for state, found in places.items():
                stage.say(f"{state}: a thread stands at `{found.line}`")
            store.allowed.set()
            answers = [
                ask(client, rest).split()[1] for client, rest in ((reading, b"3\n"), (querying, b""), (sending, b""))
            ]
        listener.shutdown(socket.SHUT_RDWR)
        host.join()
    stage.say("all three were served, each from where it had stopped")
    return Findings(
        f"{len(places)} threads of one program stood in {len({found.line for found in places.values()})} places of it, "
        "and nothing but their stacks knew in which.",
        [
            Table(
                "Where three threads of `set_interest` stand, read from their stacks",
                ("the connection is", "line of attend", "line that waits", "what the stack remembers"),
                [(state, found.line, found.waits, remembered(found)) for state, found in places.items()],
                left=frozenset({"line of attend", "line that waits", "what the stack remembers"}),
            )
        ],
        figures={
            "places": len({found.line for found in places.values()}),
            "served in order": answers == [b"13", b"42", b"7"],
        },
    )


def remembered(found: Place) -> str:
    """The variables, for people: long ones by their length."""
    return ", ".join(
        f"{name} = {value!r}" if len(value) < 40 else f"{name} = {len(value):,} bytes"
        for name, value in found.remembers.items()
    )
