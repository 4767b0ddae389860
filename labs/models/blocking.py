"""Blocking: one connection at a time, a pool of threads, a thread each. The connection's code is the same in all."""

import socket
import threading
from typing import Final

from labs.stack_state import requests

POOL: Final = 64
"""Threads of the pool."""
Address = tuple[str, int]


def attend(client: socket.socket, store_address: Address) -> None:
    """The whole life of a connection."""
    with client, socket.create_connection(store_address) as store:
        emails = requests(store)
        for line in requests(client):
            verb, _, rest = line.partition(b" ")
            if verb == b"email":
                store.sendall(rest + b"\n")
                rest = next(emails)
            client.sendall(rest + b"\n")


def serve_one(listener: socket.socket, host: str, port: str) -> None:
    """Accept, serve, accept."""
    while True:
        client, _ = listener.accept()
        attend(client, (host, int(port)))


def serve_pool(listener: socket.socket, host: str, port: str) -> None:
    """The same, in so many threads."""
    for _ in range(POOL - 1):
        threading.Thread(target=serve_one, args=(listener, host, port), daemon=True).start()
    serve_one(listener, host, port)


def serve_each(listener: socket.socket, host: str, port: str) -> None:
    """A thread for each connection."""
    while True:
        client, _ = listener.accept()
        threading.Thread(target=attend, args=(client, (host, int(port))), daemon=True).start()
