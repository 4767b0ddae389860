"""What one that waits costs in memory: idle WebSockets, event streams that are silent, and tasks that wait.

The first are not counted: by them what is made once is made, and the room that the start left in the heap is used.
"""

import http.client
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks import ws
from benchmarks.processes import Server, ServerFailed

BEFORE = 200
PATIENCE = 30.0
TARGETS = {"stream": "/events", "task": "/wait"}


def held(server: Server, kind: str, count: int) -> float:
    """Bytes that the server's own memory grows by for each of `count`: of the kind websocket, stream or task."""
    with waiting(server, kind, BEFORE):
        before = server.memory().own
        with waiting(server, kind, count, BEFORE):
            return (server.memory().own - before) / count


@contextmanager
def waiting(server: Server, kind: str, count: int, before: int = 0) -> Iterator[None]:
    """So many of a kind, beside those of `before`, all of which wait. Raises ServerFailed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(opened(server, kind))
        _settle(server, kind, before + count)
        yield


def opened(server: Server, kind: str) -> socket.socket:
    """One of them; of a stream the first event has come. Raises ServerFailed."""
    if kind == "websocket":
        return ws.opened(server.port)
    client = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    client.sendall(f"GET {TARGETS[kind]} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    got = b""
    while kind == "stream" and b"data: 1\n\n" not in got:
        piece = client.recv(65536)
        if not piece:
            client.close()
            raise ServerFailed(f"the stream was answered with {got[:40]!r}")
        got += piece
    return client


def _settle(server: Server, kind: str, count: int) -> None:
    """Return when the application says that so many wait. Raises ServerFailed."""
    until = time.monotonic() + PATIENCE
    while kind in TARGETS and _waiting(server) < count:
        if time.monotonic() > until:
            raise ServerFailed(f"after {PATIENCE:.0f} s fewer than {count} wait in the application")
        time.sleep(0.02)


def _waiting(server: Server) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    try:
        connection.request("GET", "/waiting")
        return int(connection.getresponse().read())
    finally:
        connection.close()
