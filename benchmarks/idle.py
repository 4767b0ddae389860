"""Holds idle keep-alive connections open: `python -m benchmarks.idle PORT COUNT`.

A process of its own, because descriptors are limited for each process and the server needs its own half of every
connection. It opens them one after the other, asks for `/constant` on each, reads the whole answer, and writes `ready`.
When its input ends it writes how many of them the server has kept open, and ends.
"""

import contextlib
import resource
import select
import socket
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.machine import LOAD_CPU, pinned
from benchmarks.processes import ROOT, ServerFailed

REQUEST = b"GET /constant?n=%d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
EACH = 5000
"""Connections that one holder holds at most; well below the descriptor limits that are usual."""
OPENING = 60.0
"""Seconds to open them all."""


def open_one(port: int, number: int) -> socket.socket:
    """A connection on which one request has been answered. Raises OSError when the server does not."""
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(REQUEST % number)
    answer = b""
    while not is_whole(answer):
        piece = client.recv(65536)
        if not piece:
            client.close()
            raise ConnectionError(f"closed after {len(answer)} bytes of the answer")
        answer += piece
    return client


def is_whole(answer: bytes) -> bool:
    """Whether all of the answer to `/constant` is there, by its Content-Length or its last chunk."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) >= int(value)
    return body.endswith(b"0\r\n\r\n")


def still_open(clients: list[socket.socket]) -> int:
    """How many the server has not closed: an idle connection is readable only when it was."""
    poller = select.poll()
    for client in clients:
        poller.register(client, select.POLLIN)
    return len(clients) - len(poller.poll(0))


def main(port: int, count: int) -> None:
    """Open, say so, wait for the end of the input, count."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    clients = [open_one(port, number) for number in range(count)]
    print("ready", flush=True)
    sys.stdin.read()
    print(still_open(clients), flush=True)
    for client in clients:
        client.close()


class Crowd:
    """Idle connections to one server, held by as many processes as they need; grows, and is closed at the end."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.size = 0
        self._holders: list[subprocess.Popen[str]] = []

    def grow_to(self, size: int) -> None:
        """Hold `size` connections. Raises ServerFailed when the server does not take or answer them."""
        while self.size < size:
            count = min(EACH, size - self.size)
            self._hold(count)
            self.size += count

    def _hold(self, count: int) -> None:
        command = [sys.executable, "-m", "benchmarks.idle", str(self.port), str(count)]
        with pinned(LOAD_CPU):
            holder = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        self._holders.append(holder)
        assert holder.stdout is not None
        assert holder.stderr is not None
        ready, _, _ = select.select([holder.stdout], [], [], OPENING)
        if not ready or holder.stdout.readline() != "ready\n":
            holder.kill()
            last = holder.stderr.read().strip().splitlines()
            raise ServerFailed(f"{self.size} + {count} idle connections: {last[-1] if last else 'no answer in time'}")

    def lost(self) -> int:
        """How many of them the server has closed meanwhile. Lets all of them go."""
        kept = 0
        for holder in self._holders:
            with contextlib.suppress(ValueError, subprocess.TimeoutExpired):
                kept += int(holder.communicate(timeout=20)[0].split()[-1])
        return self.size - kept

    def close(self) -> None:
        """End all holders."""
        for holder in self._holders:
            holder.kill()
            holder.communicate()


@contextlib.contextmanager
def crowd(port: int) -> Iterator[Crowd]:
    """A crowd that is closed at the end."""
    made = Crowd(port)
    try:
        yield made
    finally:
        made.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
