"""Clients that do not retry: each kind of loss is counted as such, and what is no loss is not counted."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from benchmarks.careful import Careful, is_open
from tests.support.waiting import eventually

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
RESET = struct.pack("ii", 1, 0)

Behaviour = Callable[[socket.socket], object]


def answers(*pieces: bytes, keeps: bool = False) -> Behaviour:
    def behave(client: socket.socket) -> None:
        while client.recv(65536):
            for piece in pieces:
                client.sendall(piece)
            if not keeps:
                return

    return behave


def resets(client: socket.socket) -> None:
    client.recv(65536)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


@contextmanager
def served(behave: Behaviour) -> Iterator[int]:
    """A server that does that with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve(client: socket.socket) -> None:
            with suppress(OSError), client:
                behave(client)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    threading.Thread(target=serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("behave", [answers(OK, keeps=True), answers(LAST), answers(OK[:30], OK[30:], keeps=True)])
def test_who_is_answered_has_lost_nothing(behave: Behaviour) -> None:
    with served(behave) as port, Careful(port, [("/", 5)], 4) as load:
        eventually(lambda: load.done >= 50)
    assert load.lost == {}


def test_a_kept_connection_is_used_again_and_the_others_are_not() -> None:
    with served(answers(OK, keeps=True)) as port, Careful(port, [("/", 5)], 2) as load:
        eventually(lambda: load.done >= 50)
    assert 1 < load.connections <= load.done
    assert load.lost == {}


@pytest.mark.parametrize(
    ("behave", "how"),
    [
        (answers(), "new connection: closed without an answer"),
        (answers(OK[:-1]), "new connection: closed in the answer"),
        (resets, "new connection: ConnectionResetError"),
        (answers(OK.replace(b"200 OK", b"503 No")), "new connection: HTTP/1.1 503"),
    ],
)
def test_each_kind_of_loss_is_counted(behave: Behaviour, how: str) -> None:
    with served(behave) as port, Careful(port, [("/", 5)], 2) as load:
        eventually(lambda: sum(load.lost.values()) >= 5)
    assert set(load.lost) == {how}
    assert load.done == 0


def test_a_server_that_is_not_there_is_a_loss_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with Careful(port, [("/", 5)], 2) as load:
        eventually(lambda: sum(load.lost.values()) >= 3)
    assert set(load.lost) == {"new connection: ConnectionRefusedError"}


def test_a_connection_that_the_server_has_closed_is_seen() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours:
        assert is_open(ours)
        theirs.close()
        assert not is_open(ours)
