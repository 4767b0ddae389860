"""The size of a result, in bytes as PostgreSQL sends it."""

import socket

import pytest

from clerestory.handlers.backends.postgres.size import FIELD, LEAST, ROW, Arrivals, size_of, waiting_bytes
from tests.support.postgres import Cluster


def test_what_lies_in_a_socket_is_counted_and_not_taken() -> None:
    """The count is that of the bytes a read would find."""
    near, far = socket.socketpair()
    with near, far:
        assert waiting_bytes(near.fileno()) == 0
        far.sendall(b"x" * 1234)
        assert (waiting_bytes(near.fileno()), len(near.recv(4096)), waiting_bytes(near.fileno())) == (1234, 1234, 0)


def read(arrivals: Arrivals, near: socket.socket, far: socket.socket, size: int, refill: int) -> None:
    """Read `size` bytes, while `refill` bytes arrive."""
    arrivals.before_read()
    near.recv(size)
    far.sendall(b"x" * refill)
    arrivals.after_read()


def test_what_a_read_takes_is_counted_and_what_it_leaves_is_not() -> None:
    """What lies in the socket for long is counted when it is taken, once."""
    near, far = socket.socketpair()
    with near, far:
        arrivals = Arrivals(near.fileno())
        far.sendall(b"x" * 50_000)
        for taken in (16_000, 32_000, 48_000):
            read(arrivals, near, far, 16_000, 0)
            assert arrivals.total == taken


def test_a_socket_that_is_filled_again_within_the_read_does_not_hide_what_was_taken() -> None:
    """At least what libpq has asked for was taken, where it was there; never more is counted than was."""
    near, far = socket.socketpair()
    with near, far:
        arrivals, secure = Arrivals(near.fileno()), Arrivals(near.fileno(), is_secure=True)
        far.sendall(b"x" * 50_000)
        for count in range(1, 4):
            read(arrivals, near, far, 16_000, 16_000)
            read(secure, near, far, 16_000, 16_000)
            assert (arrivals.total, secure.total) == (count * LEAST, 0)


@pytest.mark.parametrize(
    ("statement", "size"),
    [
        (b"SELECT 'abc', NULL", ROW + 2 * FIELD + 3),
        (b"SELECT repeat('x', 1000) FROM generate_series(1, 5)", 5 * (ROW + FIELD + 1000)),
        (b"SELECT 1 WHERE false", 0),
        (b"SELECT FROM generate_series(1, 2)", 2 * ROW),
    ],
)
def test_a_row_is_its_frame_and_its_fields_each_with_its_length(postgres: Cluster, statement: bytes, size: int) -> None:
    """PostgreSQL's manual, "Message Formats", DataRow. NULL has a length and no bytes."""
    with postgres.connect() as connection:
        assert size_of(connection.pgconn.exec_(statement)) == size
