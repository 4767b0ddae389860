"""Clients in numbers: those that wait, each in its own way, and those that ask again and again."""

import selectors
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Self

from tests.support.client import request

Address = tuple[str, int]

RESET_ON_CLOSE = struct.pack("ii", 1, 0)

IDLE = b""
HEAD = b"GET /half HTTP/1.1\r\nHost: a.example\r\nUser-Agent: slow"
BODY = b"POST /read HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100000\r\n\r\n" + b"x" * 1000


class Crowd:
    """Connections to one server that say something once, and then wait. At the end all are reset: a server that
    answers goes on when its client has only closed."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for one in self.sockets:
            if one.fileno() >= 0:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                one.close()

    def add(self, count: int, data: bytes = IDLE, source: str = "127.0.0.1", window: int = 0) -> None:
        """`count` more, from the loopback address `source`, with a receive buffer of `window` bytes if it is given."""
        for _ in range(count):
            one = socket.socket()
            if window:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
            one.bind((source, 0))
            one.connect(self.address)
            if data:
                one.sendall(data)
            self.sockets.append(one)


class Asking:
    """`count` clients that ask for `target` on kept connections, `rate` times a second together, while entered."""

    def __init__(self, address: Address, target: str = "/hello", count: int = 20, rate: float = 200.0) -> None:
        self._address = address
        self._data = request(target)
        self._count = count
        self._period = 1 / rate
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.answers = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        selector = selectors.DefaultSelector()
        clients = [socket.create_connection(self._address) for _ in range(self._count)]
        free = list(clients)
        for one in clients:
            selector.register(one, selectors.EVENT_READ)
        due = time.monotonic()
        while not self._ending.is_set():
            for key, _ in selector.select(max(0.0, min(due - time.monotonic(), 0.05))):
                one = key.fileobj  # type: ignore[assignment]
                if one.recv(1 << 16):
                    self.answers += 1
                    free.append(one)
                else:  # its time was over; another goes on
                    selector.unregister(one)
                    clients.remove(one)
                    one.close()
                    if one in free:
                        free.remove(one)
                    clients.append(socket.create_connection(self._address))
                    selector.register(clients[-1], selectors.EVENT_READ)
                    free.append(clients[-1])
            while due <= time.monotonic() and free:
                due += self._period
                free.pop(0).sendall(self._data)
            due = max(due, time.monotonic() - 0.5)
        selector.close()
        for one in clients:
            one.close()
