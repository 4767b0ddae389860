"""The load: clients that ask, wait for the answer, and ask again; held by one thread with epoll, on the load's own CPU.

It runs in the lab's process while the server is a child, and tells the latency of every answer. Requests and answers
are lines (`labs.models`): a client's next request goes out when its last answer has ended with a line feed. A client
that the server does not serve is no error: it waits, and counts as unserved.
"""

import contextlib
import math
import select
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.machine import LOAD_CPU, pinned
from labs.measuring import percentile

Address = tuple[str, int]


@dataclass(slots=True)
class Outcome:
    """What the clients saw in `seconds`. Latencies are seconds, in the order of the answers; `answered` has the number
    of answers of each client."""

    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    answered: list[int] = field(default_factory=list)

    @property
    def served(self) -> int:
        """Clients that had at least one answer."""
        return sum(count > 0 for count in self.answered)

    @property
    def requests(self) -> int:
        """Answers that came."""
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds if self.seconds else 0.0

    def latency(self, part: float) -> float:
        """Seconds that `part` (0.5, 0.99) of the answers did not exceed. Raises ValueError when there was none."""
        return percentile(self.latencies, part)


@contextlib.contextmanager
def connections(address: Address, count: int) -> Iterator[list[socket.socket]]:
    """`count` blocking connections, closed at the end. They are made one after the other: the backlog is bounded."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(address, timeout=60)) for _ in range(count)]


def ask(client: socket.socket, line: bytes) -> bytes:
    """Send one line, wait for the line that answers. Raises ConnectionError when the server closes instead."""
    client.sendall(line)
    answer = b""
    while not answer.endswith(b"\n"):
        piece = client.recv(65536)
        if not piece:
            raise ConnectionError(f"closed after {answer!r}")
        answer += piece
    return answer


def drive(
    clients: Sequence[socket.socket], lines: Sequence[bytes], seconds: float, each: int = 0, patience: float = math.inf
) -> Outcome:
    """Let every client ask `lines` in turn for `seconds`; or until each has had `each` answers, or `patience` seconds
    have gone by without any, if that is sooner.

    The clients stay connected, and each is left without an open question, unless it has never been answered: what is
    still under way when the time is over is waited for, but not counted.
    """
    outcome = Outcome()
    by_descriptor = {client.fileno(): client for client in clients}
    asked = dict.fromkeys(by_descriptor, 0.0)
    turns = dict.fromkeys(by_descriptor, 0)
    open_questions = set(by_descriptor)
    with contextlib.closing(select.epoll()) as poller, pinned(LOAD_CPU):
        for client in clients:
            client.setblocking(False)
            poller.register(client, select.EPOLLIN)
        begun = time.perf_counter()
        until = begun + seconds
        for descriptor, client in by_descriptor.items():
            asked[descriptor] = time.perf_counter()
            client.send(lines[0])
        while open_questions and (left := until - time.perf_counter()) > 0:
            events = poller.poll(min(left, patience))
            if not events:
                break
            for descriptor, _ in events:
                client = by_descriptor[descriptor]
                if not _answered(client):
                    continue
                now = time.perf_counter()
                outcome.latencies.append(now - asked[descriptor])
                turns[descriptor] += 1
                if turns[descriptor] == each:
                    open_questions.discard(descriptor)
                    continue
                asked[descriptor] = now
                client.send(lines[turns[descriptor] % len(lines)])
        outcome.seconds = time.perf_counter() - begun
        outcome.answered = list(turns.values())
        _settle(poller, by_descriptor, {descriptor for descriptor in open_questions if turns[descriptor]})
    return outcome


def _answered(client: socket.socket) -> bool:
    """Whether the bytes that have come end an answer. Raises ConnectionError when the server has closed."""
    piece = client.recv(65536)
    if not piece:
        raise ConnectionError("the server has closed a connection under load")
    return piece.endswith(b"\n")


def _settle(poller: select.epoll, clients: dict[int, socket.socket], under_way: set[int]) -> None:
    """Wait for the answers that are still under way; two seconds without one are enough."""
    while under_way:
        events = poller.poll(2.0)
        if not events:
            return
        for descriptor, _ in events:
            if _answered(clients[descriptor]):
                under_way.discard(descriptor)
