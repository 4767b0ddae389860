"""The program of the lab of the coroutines, for a thread: the same, without `async` and `await`."""

import socket

from labs.held_up import REPEAT, Address


class BlockingWire:
    """A client's socket, and the way to the store, for threads."""

    def __init__(self, client: socket.socket, store: Address) -> None:
        self.client = client
        self.store = store

    def read_request(self) -> bytes:
        """One line: the number of an e-mail."""
        return self.client.makefile("rb").readline()

    def get_email(self, number: bytes) -> bytes:
        """Ask the store."""
        with socket.create_connection(self.store) as store:
            store.send(number)
            return store.recv(1024)

    def send_response(self, email: bytes) -> None:
        """All of it."""
        self.client.sendall(email * REPEAT)


def add_to_inbox_in_a_thread(wire: BlockingWire, inbox: list[bytes]) -> None:
    """Read the request, get the e-mail, send the response."""
    number = wire.read_request()
    email = wire.get_email(number)
    inbox.append(email)
    wire.send_response(email)
