"""The mail store that the e-mail servers ask: a number comes as a line, and after a while its e-mail goes as a line.

It stands for whatever a server waits for: a database, another service, a disk. It answers `DELAY` seconds after it was
asked, whoever asks, and any number at the same time, so that whoever waits, it is not for the store. It is an epoll
loop with a heap of what is due.
"""

import contextlib
import heapq
import itertools
import select
import socket
import time
from typing import Final

DELAY: Final = 0.002
"""Seconds: what a query to a database near by takes."""


def email(number: int) -> bytes:
    """The e-mail of that number, as the line that the store answers."""
    return b"Hello! You have found message %d. The others are good, too.\n" % number


def serve(listener: socket.socket, delay: str = str(DELAY)) -> None:
    """Answer until the process is ended."""
    wait = float(delay)
    asked = itertools.count()
    due: list[tuple[float, int, socket.socket, bytes]] = []
    clients: dict[int, socket.socket] = {}
    poller = select.epoll()
    poller.register(listener, select.EPOLLIN)
    while True:
        patience = max(0.0, due[0][0] - time.monotonic()) if due else -1
        for descriptor, _ in poller.poll(patience):
            if descriptor == listener.fileno():
                client, _ = listener.accept()
                clients[client.fileno()] = client
                poller.register(client, select.EPOLLIN)
            elif lines := heard(clients[descriptor]).splitlines():
                for line in lines:
                    question = (time.monotonic() + wait, next(asked), clients[descriptor], email(int(line)))
                    heapq.heappush(due, question)
            else:
                clients.pop(descriptor).close()
        while due and due[0][0] <= time.monotonic():
            *_, client, answer = heapq.heappop(due)
            with contextlib.suppress(OSError):  # whoever has asked has gone, or been ended
                client.send(answer)


def heard(client: socket.socket) -> bytes:
    """What the client has asked; nothing when it has gone."""
    with contextlib.suppress(OSError):
        return client.recv(1024)
    return b""
