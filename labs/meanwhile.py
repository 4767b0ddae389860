"""Two clients: one asks for computations, and the other, meanwhile, politely for something small."""

import socket
import threading
import time
from dataclasses import dataclass
from typing import Final

from labs.load import Address, ask, connections

PAUSE: Final = 0.02
"""Seconds between two requests of the polite client."""
REST: Final = 0.1
"""Seconds between two computations, so that what has gathered is answered."""
NOBODY, LOOP, THREAD, PROCESS = WAYS = ("nobody computes", "on the loop", "in a thread", "in a process")
PATHS: Final = {LOOP: "loop", THREAD: "thread", PROCESS: "process"}


def get(client: socket.socket, path: str) -> bytes:
    """The body of an answer, which is a line."""
    answer = ask(client, f"GET {path} HTTP/1.1\r\nHost: lab\r\n\r\n".encode())
    return answer.rpartition(b"\r\n")[2]


@dataclass(slots=True)
class Meanwhile:
    """What the polite client had while computations were asked for: when each request was due and answered, in seconds
    from the beginning; when each computation was asked for and answered; and the seconds that each took."""

    asked: list[tuple[float, float]]
    computed: list[tuple[float, float]]
    took: list[float]

    @property
    def latencies(self) -> list[float]:
        """Seconds from due to answered, of those that were due while somebody computed; of all, when nobody did."""
        return [
            answered - due
            for due, answered in self.asked
            if not self.computed or any(begun <= due <= ended for begun, ended in self.computed)
        ]


def meanwhile(address: Address, way: str, rounds: int, times: int) -> Meanwhile:
    """Let one client compute in a `way` so many times, and another ask politely until that is over."""
    found = Meanwhile([], [], [])
    with connections(address, 2) as (polite, busy):
        get(polite, "/small")
        begun = time.perf_counter()
        over = threading.Event()

        def compute() -> None:
            for _ in range(times):
                time.sleep(REST)
                if way == NOBODY:
                    time.sleep(REST)
                    continue
                asked = time.perf_counter() - begun
                found.took.append(float(get(busy, f"/{PATHS[way]}/{rounds}")))
                found.computed.append((asked, time.perf_counter() - begun))
            over.set()

        other = threading.Thread(target=compute)
        other.start()
        while not over.is_set():
            due = len(found.asked) * PAUSE
            time.sleep(max(0.0, due - (time.perf_counter() - begun)))
            get(polite, "/small")
            found.asked.append((due, time.perf_counter() - begun))
        other.join()
    return found


def together(address: Address, way: str, rounds: int) -> float:
    """Seconds until two computations that were asked for at the same time are both done."""
    with connections(address, 2) as clients:
        begun = time.perf_counter()
        for client in clients:
            client.sendall(f"GET /{PATHS[way]}/{rounds} HTTP/1.1\r\nHost: lab\r\n\r\n".encode())
        for client in clients:
            while not client.recv(4096).endswith(b"\n"):
                pass
        return time.perf_counter() - begun
