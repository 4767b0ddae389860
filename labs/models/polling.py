"""Busy polling: every descriptor is asked again and again whether it has something, and nobody ever waits."""

import contextlib
import socket


class Connection:
    """A client and its connection to the store, neither of which waits."""

    def __init__(self, client: socket.socket, store: socket.socket) -> None:
        self.client = client
        self.store = store
        self.unread = b""
        self.is_querying = False
        client.setblocking(False)
        store.setblocking(False)

    def look(self) -> bool:
        """See whether there is something to do; False when it is over."""
        try:
            heard = (self.store if self.is_querying else self.client).recv(4096)
        except BlockingIOError:
            return True
        except OSError:  # who has left before the answer resets the connection
            heard = b""
        if not heard:
            self.client.close()
            self.store.close()
            return False
        if self.is_querying:
            self.send(self.client, heard)
            self.is_querying = not heard.endswith(b"\n")
            return True
        *lines, self.unread = (self.unread + heard).split(b"\n")
        for line in lines:
            verb, _, rest = line.partition(b" ")
            self.is_querying = verb == b"email"
            self.send(self.store if self.is_querying else self.client, rest + b"\n")
        return True

    def send(self, end: socket.socket, line: bytes) -> None:
        """Say it, to whom is there: that one has left is seen next."""
        with contextlib.suppress(OSError):
            end.send(line)


def serve(listener: socket.socket, host: str, port: str) -> None:
    """Go round and round."""
    listener.setblocking(False)
    connections: list[Connection] = []
    while True:
        try:
            client, _ = listener.accept()
        except BlockingIOError:
            pass
        else:
            connections.append(Connection(client, socket.create_connection((host, int(port)))))
        connections = [connection for connection in connections if connection.look()]
