"""Callbacks on epoll: the event loop of the lab, and a connection that remembers by hand what it has begun."""

import contextlib
import socket

from labs.event_loop import EventLoop
from labs.mail_store import heard


class Connection:
    """A client and its connection to the store: whoever is readable, its method is called."""

    def __init__(self, loop: EventLoop, client: socket.socket, store: socket.socket) -> None:
        self.loop = loop
        self.client = client
        self.store = store
        self.unread = b""
        client.setblocking(False)
        store.setblocking(False)
        loop.watch(client.fileno(), self.hear_client)
        loop.watch(store.fileno(), self.hear_store)

    def hear_client(self, _descriptor: int) -> None:
        """A request, a piece of one, or the end."""
        piece = heard(self.client)
        if not piece:
            self.close()
            return
        *lines, self.unread = (self.unread + piece).split(b"\n")
        for line in lines:
            verb, _, rest = line.partition(b" ")
            self.send(self.store if verb == b"email" else self.client, rest + b"\n")

    def hear_store(self, _: int) -> None:
        """The e-mail, for whom it may concern."""
        email = heard(self.store)
        if email:
            self.send(self.client, email)
        else:
            self.close()

    def send(self, end: socket.socket, line: bytes) -> None:
        """Say it, to whom is there: that one has left is heard next."""
        with contextlib.suppress(OSError):
            end.send(line)

    def close(self) -> None:
        """One of the two has left."""
        for end in (self.client, self.store):
            self.loop.forget(end.fileno())
            end.close()


def serve(listener: socket.socket, host: str, port: str) -> None:
    """Everybody on one loop."""
    loop = EventLoop()

    def accept(_: int) -> None:
        client, _address = listener.accept()
        Connection(loop, client, socket.create_connection((host, int(port))))

    loop.watch(listener.fileno(), accept)
    loop.run()
