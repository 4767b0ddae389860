"""HTTP/2 as the load speaks it, without TLS: h2load on its own CPU, and a client that only looks at frames' headers.

A client that decoded what it gets would be slower than the servers: here it is read, and thrown away.
"""

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.machine import LOAD_CPU, pinned, tool
from benchmarks.processes import Server, ServerFailed

INSTALL = "install h2load (Debian: apt-get install nghttp2-client)"
WHOLE_WINDOW = 2**31 - 1
REFILL = 1 << 24
"""Bytes after which the connection's window is opened again."""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1

_DONE = re.compile(r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored")


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a load: requests answered, and the server's CPU seconds meanwhile."""

    requests: int
    seconds: float
    cpu: float

    @property
    def cost(self) -> float:
        """Microseconds of CPU a request."""
        return self.cpu / self.requests * 1e6


def load(
    server: Server, target: str, seconds: float, clients: int = 8, streams: int = 32, *, http1: bool = False
) -> Load:
    """Ask for `target` on `clients` connections, `streams` at a time on each; over HTTP/1.1 if it is asked for, where
    several at a time are pipelined. Raises ServerFailed."""
    url = f"http://127.0.0.1:{server.port}{target}"
    command = [
        tool("h2load") or "h2load",
        "-D",
        f"{round(seconds * 1000)}ms",
        "-c",
        str(clients),
        "-m",
        str(streams),
        *(("--h1",) if http1 else ()),
        url,
    ]
    before, begun = server.cpu_seconds(), time.monotonic()
    with pinned(LOAD_CPU):
        answer = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    took, cpu = time.monotonic() - begun, server.cpu_seconds() - before
    server.check_alive()
    return Load(done(answer.stdout), took, cpu)


def done(text: str) -> int:
    """How many requests h2load says that were answered. Raises ServerFailed where none was, or one was not well."""
    found = _DONE.search(text)
    if found is None or int(found[3]) == 0 or int(found[4]):
        raise ServerFailed(f"h2load: {found[0] if found else text.strip()[-200:] or 'it said nothing'}")
    return int(found[3])


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """RFC 9113 section 4.1."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def head(path: str) -> bytes:
    """The field block of a GET, which needs no state of the connection: literals without indexing (RFC 7541)."""
    value = path.encode()
    assert len(value) < 127
    return b"\x82\x86\x04" + bytes((len(value),)) + value + b"\x01\x04site"


def beginning() -> bytes:
    """What a client begins with: all windows are as wide as they may be."""
    settings = (4).to_bytes(2, "big") + WHOLE_WINDOW.to_bytes(4, "big")
    opened = (1 << 30).to_bytes(4, "big")  # with room for what is given back, which counts the frames' headers, too
    return PREFACE + frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, opened) + frame(SETTINGS, ACK, 0)


def asking(streams: int, path: str) -> bytes:
    """A connection's beginning, and so many requests on it."""
    block = head(path)
    asked = [frame(HEADERS, END_STREAM | END_HEADERS, 2 * number + 1, block) for number in range(streams)]
    return beginning() + b"".join(asked)


class Wire:
    """One connection of a client."""

    def __init__(self, port: int, first: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(first)
        self._buffer = bytearray()
        self._taken = self._pongs = 0
        self.next = 1

    def close(self) -> None:
        """End it."""
        self.socket.close()

    def ask(self, path: str) -> int:
        """Send a request: its stream's number."""
        number, self.next = self.next, self.next + 2
        self.socket.sendall(frame(HEADERS, END_STREAM | END_HEADERS, number, head(path)))
        return number

    def settle(self) -> None:
        """Return when the server has read all that was sent: it has answered a PING."""
        self.socket.sendall(frame(PING, 0, 0, bytes(8)))
        self._pongs = 0
        while not self._pongs:
            for _ in self.ended():
                pass

    def ended(self) -> Iterator[int]:
        """Read once: the streams that have ended. Raises ServerFailed where one was reset, or all are."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise ServerFailed("the connection has ended")
        self._taken += len(data)
        if self._taken >= REFILL:
            self.socket.sendall(frame(WINDOW_UPDATE, 0, 0, self._taken.to_bytes(4, "big")))
            self._taken = 0
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= 9:
            end = at + 9 + int.from_bytes(buffer[at : at + 3], "big")
            if end > len(buffer):
                break
            kind, flags, stream = buffer[at + 3], buffer[at + 4], int.from_bytes(buffer[at + 5 : at + 9], "big")
            if kind in (RST_STREAM, GOAWAY):
                raise ServerFailed(f"the server has sent a frame of kind {kind}")
            self._pongs += kind == PING
            if kind in (DATA, HEADERS) and flags & END_STREAM:
                yield stream
            at = end
        del buffer[:at]


def latencies(wire: Wire, count: int, small: str, large: str = "", downloads: int = 0) -> list[float]:
    """Seconds that each of `count` requests for `small` took, one after the other, beside so many for `large`."""
    running = {wire.ask(large) for _ in range(downloads)}
    found: list[float] = []
    for _ in range(count):
        begun = time.perf_counter()
        number, is_there = wire.ask(small), False
        while not is_there:
            for stream in wire.ended():
                is_there = is_there or stream == number
                if stream in running:
                    running.remove(stream)
                    running.add(wire.ask(large))
        found.append(time.perf_counter() - begun)
    return found
