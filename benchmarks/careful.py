"""Clients that do not retry: what a server loses while it is reloaded is counted, by its kind.

Each does what a careful client does, and no more: before it sends on a connection that it has used before, it looks
whether the server has closed it; an answer that says `Connection: close` is the last one. Then it sends its request
once. A refused connection, a reset, an end before the answer or in it, and any answer but the expected one are a
request that is lost. Half of the clients keep their connection, the others make a new one for each request.
"""

import contextlib
import selectors
import socket
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Self

PATIENCE = 30.0
"""Seconds without an answer until a request is lost, too."""

READ = 256 * 1024


class Client:
    """One client: its connection, and the request that is under way."""

    __slots__ = ("answer", "kept", "number", "sent_at", "socket", "used")

    def __init__(self, number: int, *, kept: bool) -> None:
        self.number = number
        self.kept = kept
        self.socket: socket.socket | None = None
        self.used = False
        """Whether an answer has come on this connection."""
        self.answer = b""
        self.sent_at = 0.0

    def drop(self) -> None:
        """Close the connection, if there is one."""
        if self.socket is not None:
            self.socket.close()
        self.socket, self.used = None, False


class Careful:
    """So many `clients` on a thread of their own, which ask the server on `port` for `targets` in turn until they are
    told to stop. `done` counts the answers, `lost` the requests without one, by what happened."""

    def __init__(self, port: int, targets: Sequence[tuple[str, int]], clients: int = 16) -> None:
        """`targets` are paths, each with the length of its body."""
        self.address = ("127.0.0.1", port)
        self.requests = [
            (f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode(), size) for path, size in targets
        ]
        self.done = 0
        self.connections = 0
        self.lost: Counter[str] = Counter()
        self._clients = [Client(number, kept=not number % 2) for number in range(clients)]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clients", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let each request be answered, and end."""
        self._over.set()
        self._thread.join(2 * PATIENCE)

    @property
    def runs(self) -> bool:
        """Whether they are still at it."""
        return self._thread.is_alive()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for client in self._clients:
                self._ask(client, selector)
            while not self._over.is_set():
                self._turn(selector, 0.2)
            while selector.get_map():
                self._turn(selector, PATIENCE)
            for client in self._clients:
                client.drop()

    def _turn(self, selector: selectors.BaseSelector, seconds: float) -> None:
        ready = selector.select(seconds)
        for key, _ in ready:
            self._read(key.data, selector)
        if not ready and seconds == PATIENCE:
            for key in list(selector.get_map().values()):
                self._lose(key.data, selector, "no answer in time")

    def _ask(self, client: Client, selector: selectors.BaseSelector) -> None:
        """Send the next request, on the kept connection if that is still open."""
        client.number += 1
        request, _ = self.requests[client.number % len(self.requests)]
        client.answer = b""
        if client.socket is not None and not is_open(client.socket):
            client.drop()
        try:
            if client.socket is None:
                client.socket = socket.create_connection(self.address, PATIENCE)
                client.socket.setblocking(False)
                self.connections += 1
            client.socket.send(request)
        except OSError as error:
            self.lost[f"{self._where(client)}: {type(error).__name__}"] += 1
            client.drop()
            if not self._over.is_set():
                self._over.wait(0.01)  # a server that refuses is not asked ten thousand times a second
            return self._again(client, selector)
        selector.register(client.socket, selectors.EVENT_READ, client)
        return None

    def _again(self, client: Client, selector: selectors.BaseSelector) -> None:
        if not self._over.is_set() and sum(self.lost.values()) < 100_000:
            self._ask(client, selector)

    def _read(self, client: Client, selector: selectors.BaseSelector) -> None:
        assert client.socket is not None
        try:
            piece = client.socket.recv(READ)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(client, selector, type(error).__name__)
            return
        if not piece:
            self._lose(client, selector, "closed in the answer" if client.answer else "closed without an answer")
            return
        client.answer += piece
        head, end, body = client.answer.partition(b"\r\n\r\n")
        _, size = self.requests[client.number % len(self.requests)]
        if not end or len(body) < size:
            return
        selector.unregister(client.socket)
        if not head.startswith(b"HTTP/1.1 200 ") or len(body) != size:
            self.lost[f"{self._where(client)}: {head[:12].decode('latin-1')}"] += 1
            client.drop()
        else:
            self.done += 1
            client.used = True
        if not client.kept or b"\r\nconnection: close" in head.lower():
            client.drop()
        self._again(client, selector)

    def _lose(self, client: Client, selector: selectors.BaseSelector, how: str) -> None:
        assert client.socket is not None
        selector.unregister(client.socket)
        self.lost[f"{self._where(client)}: {how}"] += 1
        client.drop()
        self._again(client, selector)

    def _where(self, client: Client) -> str:
        return "kept connection" if client.used else "new connection"


def is_open(connection: socket.socket) -> bool:
    """Whether the server has neither closed nor reset it, as far as this side has heard."""
    with contextlib.suppress(BlockingIOError):
        try:
            connection.recv(1, socket.MSG_PEEK)  # nothing was asked: whatever comes is an end
        except OSError as error:
            if isinstance(error, BlockingIOError):
                raise
        return False
    return True
