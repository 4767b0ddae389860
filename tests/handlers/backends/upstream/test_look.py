"""The look: what has come before a request, what came before the upstream had it, and what may still come."""

import fcntl
import socket
import struct
import sys
import termios
from collections.abc import Iterator

import pytest

from clerestory.handlers.backends.upstream.gate import CHUNKED, UNTIL_CLOSE, Head
from clerestory.handlers.backends.upstream.look import (
    first_bytes,
    has_crossed,
    is_quiet,
    is_unheard,
    may_bring_more,
    refuses,
)
from tests.support.waiting import eventually

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Our end, which does not block, and the upstream's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with socket.create_connection(listener.getsockname()) as ours, listener.accept()[0] as theirs:
            ours.setblocking(False)
            yield ours, theirs


def test_a_connection_is_quiet_when_neither_a_byte_nor_the_end_has_come(pair: Pair) -> None:
    ours, theirs = pair
    assert is_quiet(ours)
    theirs.send(b"x")
    assert not is_quiet(ours)
    assert ours.recv(10) == b"x", "looking takes nothing"
    assert is_quiet(ours)
    theirs.shutdown(socket.SHUT_WR)
    assert not is_quiet(ours)


def test_a_connection_that_was_reset_is_not_quiet(pair: Pair) -> None:
    ours, theirs = pair
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    assert not is_quiet(ours)
    assert first_bytes(ours) == b""


def test_the_first_bytes_are_seen_and_stay(pair: Pair) -> None:
    ours, theirs = pair
    assert first_bytes(ours) == b""
    theirs.send(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
    assert first_bytes(ours) == b"HTTP/1.1 503 Ser"
    assert first_bytes(ours) == b"HTTP/1.1 503 Ser"


@pytest.mark.parametrize(
    ("data", "is_one"),
    [
        (b"HTTP/1.1 503 Full\r\n", True),
        (b"HTTP/1.0 408 Late\r\n", True),
        (b"HTTP/1.1 200 OK\r\n", False),
        (b"HTTP/1.1 302 Found\r\n", False),
        (b"HTTP/1.1 ", False),
        (b"SSH-2.0-x 503", False),
        (b"", False),
    ],
)
def test_only_an_error_is_a_refusal(data: bytes, is_one: bool) -> None:
    assert refuses(data) is is_one


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_what_the_upstream_has_not_acknowledged_it_has_not_heard(pair: Pair) -> None:
    """As long as nothing of a request is acknowledged, nothing that comes can be its answer; a byte of it is enough."""
    ours, theirs = pair
    assert not is_unheard(ours.fileno(), 0)
    sent = 0
    while True:
        try:
            sent += ours.send(b"x" * 65536)  # until the upstream, which does not read, takes no more
        except BlockingIOError:
            break

    def outstanding() -> int:
        (found,) = struct.unpack("i", fcntl.ioctl(ours, termios.TIOCOUTQ, b"\0\0\0\0"))
        return int(found)

    last = eventually(lambda: outstanding() if outstanding() < sent else 0)
    assert last > 0
    assert is_unheard(ours.fileno(), last)
    assert not has_crossed(ours.fileno(), last), "nothing is there"
    theirs.send(b"x")
    eventually(lambda: first_bytes(ours))
    last = outstanding()  # what came has acknowledged what had come
    assert has_crossed(ours.fileno(), last)
    assert not has_crossed(ours.fileno(), last + 1)
    assert not is_unheard(ours.fileno(), last + 1)
    theirs.settimeout(20)
    while sent:
        sent -= len(theirs.recv(65536))
    eventually(lambda: not is_unheard(ours.fileno(), 1))


def test_a_socket_that_is_closed_has_nothing_to_tell(pair: Pair) -> None:
    ours, _ = pair
    number = ours.fileno()
    with socket.socket() as other:
        assert not is_unheard(other.fileno(), 1)
    ours.close()
    assert not is_unheard(number, 1)
    assert not has_crossed(number, 1)


@pytest.mark.parametrize(
    ("method", "status", "length", "may"),
    [
        ("HEAD", 200, 5, True),
        ("HEAD", 200, CHUNKED, True),
        ("HEAD", 200, 0, False),
        ("HEAD", 200, UNTIL_CLOSE, False),
        ("GET", 304, 5, True),
        ("GET", 204, UNTIL_CLOSE, False),
        ("GET", 200, 5, False),
        ("GET", 200, CHUNKED, False),
    ],
)
def test_content_that_is_announced_and_not_awaited_may_come_all_the_same(
    method: str, status: int, length: int, may: bool
) -> None:
    assert may_bring_more(Head(status, "", (), 1, length, True), method) is may
