"""The second client waits for the first to leave.

This is the server that everybody writes first: accept a client, answer whatever it says, accept the next one. It is as
short as it is clear, and it is right; but `recv` waits for this client alone. Whoever comes meanwhile is taken in by
the kernel, which has a queue for that: the client's `connect` succeeds at once, and so does its first `send`. From
where it sits the server has taken it. It has not: nobody reads what it has sent until the client before it is gone.

Three clients come shortly after one another. Each asks one thing, thinks about the answer for a while, and leaves.
"""

import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.report import Table
from benchmarks.summary import duration
from labs.findings import Claim, Findings, Stage, verdict
from labs.load import Address, ask
from labs.plotting import Lane, Span, Tone, timeline
from labs.serving import serving


def serve(listener: socket.socket) -> None:
    """The whole server."""
    while True:
        client, _ = listener.accept()
        with client:
            while asked := client.recv(65536):
                client.sendall(asked)


# --- what is measured


@dataclass(slots=True)
class Visit:
    """A client's visit: when it came, was taken by the kernel, answered, and left; seconds from the first's coming."""

    came: float = 0.0
    taken: float = 0.0
    answered: float = 0.0
    left: float = 0.0

    @property
    def wait(self) -> float:
        """Seconds from coming to the first answer."""
        return self.answered - self.came


def visits(address: Address, count: int, stay: float) -> list[Visit]:
    """`count` clients that come one after the other. When all are there, each that has been answered stays for `stay`
    seconds more."""
    made, all_here, begun = [Visit() for _ in range(count)], threading.Event(), time.monotonic()

    def pay(visit: Visit, client: socket.socket) -> None:
        with client:
            ask(client, b"hello\n")
            visit.answered = time.monotonic() - begun
            all_here.wait()
            time.sleep(stay)
            visit.left = time.monotonic() - begun

    threads = []
    for visit in made:
        visit.came = time.monotonic() - begun
        client = socket.create_connection(address, timeout=60)
        visit.taken = time.monotonic() - begun
        threads.append(threading.Thread(target=pay, args=(visit, client)))
        threads[-1].start()
        time.sleep(0.01)
    all_here.set()
    for thread in threads:
        thread.join()
    return made


def lanes(made: Sequence[Visit]) -> list[Lane]:
    """The visits as lanes of a timeline."""
    return [
        Lane(
            f"client {number}",
            [
                Span(visit.came, visit.answered, Tone.QUIET, "has asked, waits"),
                Span(visit.answered, visit.left, Tone.OURS, "served"),
            ],
        )
        for number, visit in enumerate(made, 1)
    ]


KEY = ((Tone.QUIET, "connected and has asked: not answered"), (Tone.OURS, "answered, and still here"))


def run(stage: Stage) -> Findings:
    """Three clients, one after the other."""
    with serving(serve) as server:
        made = visits(server.address, 3, stage.pick(0.5, 0.1))
    for number, visit in enumerate(made, 1):
        stage.say(
            f"client {number}: came at {visit.came:.3f}, the kernel took it at {visit.taken:.3f}, "
            f"answered at {visit.answered:.3f}, left at {visit.left:.3f}"
        )
    serial = all(later.answered >= earlier.left for earlier, later in pairwise(made))
    second, last = made[1], made[-1]
    table = Table(
        "Three clients of a server that serves one at a time: seconds",
        ("client", "came", "taken by the kernel", "answered", "left", "waited"),
        [
            (str(number), *(f"{at:.3f}" for at in (visit.came, visit.taken, visit.answered, visit.left, visit.wait)))
            for number, visit in enumerate(made, 1)
        ],
    )
    return Findings(
        f"The second client was connected after {duration(second.taken - second.came)} and answered after "
        f"{duration(second.wait)}: when the first had left.",
        [table],
        {
            "one-at-a-time": timeline(
                "One at a time",
                "Each client asks once, stays a while, leaves. The next is answered when the one before it has left.",
                lanes(made),
                key=KEY,
            )
        },
        [
            Claim(
                "one-client",
                f"with one client there, the second waited {duration(second.wait)}, the third {duration(last.wait)}",
                verdict(serial),
                "recv waits for one descriptor; the kernel's queue takes the others in, and nobody reads them.",
            )
        ],
        {"first": made[0].wait, "second": second.wait, "third": last.wait, "serial": float(serial)},
    )
