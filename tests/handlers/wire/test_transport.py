"""The face between a connection and its socket: one call each, never waiting, and one word for a peer that is gone."""

import errno
import os
import socket
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from clerestory.handlers.wire.transport import READ_SIZE, TCP, FileUnreadableError, PeerGoneError
from tests.server.support import PATIENCE, tcp_pair

pytestmark = pytest.mark.usefixtures("every_descriptor_back")

Pair = tuple[TCP, socket.socket]


@pytest.fixture(params=["unix", "tcp"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    near, far = tcp_pair() if request.param == "tcp" else socket.socketpair()
    near.setblocking(False)
    far.settimeout(PATIENCE)
    transport = TCP(near)
    yield transport, far
    transport.close()
    far.close()


@pytest.fixture
def data() -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.flush()
        yield file.fileno()


def full(transport: TCP) -> int:
    """Fill the socket; how many bytes it took."""
    sent = 0
    while taken := transport.write(b"x" * READ_SIZE):
        sent += taken
    return sent


def broken(transport: TCP, number: int) -> None:
    """Let everything fail with this errno."""

    class Broken:
        def __getattr__(self, name: str) -> Any:
            if name == "fileno":
                return lambda: -1
            raise OSError(number, os.strerror(number))

    transport._socket.close()
    transport._socket = Broken()  # type: ignore[assignment]


# --- reading


def test_nothing_to_read_is_none(pair: Pair) -> None:
    assert pair[0].read() is None


def test_what_has_come_is_read_up_to_a_bound() -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    far.sendall(b"x" * (READ_SIZE + 1))
    transport = TCP(near)
    assert transport.read() == b"x" * READ_SIZE
    assert transport.read() == b"x"
    assert transport.read() is None
    transport.close()
    far.close()


def test_the_end_is_empty(pair: Pair) -> None:
    transport, far = pair
    far.sendall(b"x")
    far.shutdown(socket.SHUT_WR)
    transport._socket.settimeout(PATIENCE)
    assert (transport.read(), transport.read(), transport.read()) == (b"x", b"", b"")


def test_what_waits_to_be_read_is_noticed_and_left_there(pair: Pair) -> None:
    transport, far = pair
    assert not transport.has_unread()
    far.sendall(b"x")
    assert transport.has_unread()
    assert transport.has_unread()
    assert transport.read() == b"x"
    assert not transport.has_unread()
    far.shutdown(socket.SHUT_WR)
    assert not transport.has_unread()


GONE = [
    errno.ECONNRESET,
    errno.EPIPE,
    errno.ETIMEDOUT,
    errno.ECONNABORTED,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.EHOSTDOWN,
    errno.ENOTCONN,
    errno.EPERM,
    errno.ENOBUFS,
]


@pytest.mark.parametrize("number", GONE, ids=errno.errorcode.get)
def test_a_peer_that_is_gone_has_one_name_whatever_the_kernel_calls_it(number: int) -> None:
    near, far = socket.socketpair()
    transport = TCP(near)
    broken(transport, number)
    with pytest.raises(PeerGoneError):
        transport.read()
    for more in (False, True):
        with pytest.raises(PeerGoneError):
            transport.write(b"x", more=more)
    with pytest.raises(PeerGoneError):
        transport.shut_down()
    assert not transport.has_unread()
    transport.reset_on_close()
    far.close()


# --- writing


@pytest.mark.parametrize("more", [False, True])
def test_a_write_tells_how_much_was_taken(pair: Pair, more: bool) -> None:
    transport, far = pair
    assert transport.write(b"hello", more=more) == 5
    assert transport.write(memoryview(b"!"), more=False) == 1
    assert far.recv(6, socket.MSG_WAITALL) == b"hello!"


def test_a_socket_that_is_full_takes_nothing(pair: Pair) -> None:
    transport, far = pair
    far.settimeout(0)
    sent = full(transport)
    assert sent > 0
    assert transport.write(b"x", more=True) == 0


def test_a_write_to_a_peer_that_has_closed_finds_it_gone() -> None:
    near, far = socket.socketpair()
    transport = TCP(near)
    far.close()
    with pytest.raises(PeerGoneError):
        transport.write(b"x")
    transport.close()


# --- files


@pytest.mark.parametrize("copied", [False, True])
def test_a_stretch_of_a_file_is_sent(pair: Pair, data: int, copied: bool) -> None:
    transport, far = pair
    transport._without_sendfile = copied
    assert transport.send_file(data, 3, 4) == 4
    assert transport.send_file(data, 8, 100) == 2
    assert far.recv(6, socket.MSG_WAITALL) == b"345689"


@pytest.mark.parametrize("copied", [False, True])
def test_a_file_is_not_taken_by_a_socket_that_is_full(pair: Pair, data: int, copied: bool) -> None:
    transport, _ = pair
    transport._without_sendfile = copied
    full(transport)
    assert transport.send_file(data, 0, 10) == 0


@pytest.mark.parametrize("copied", [False, True])
def test_a_file_that_has_become_shorter_is_unreadable(pair: Pair, data: int, copied: bool) -> None:
    transport, _ = pair
    transport._without_sendfile = copied
    with pytest.raises(FileUnreadableError, match="shorter than it was"):
        transport.send_file(data, 10, 1)


@pytest.mark.parametrize("copied", [False, True])
def test_a_descriptor_that_is_none_is_unreadable(pair: Pair, copied: bool) -> None:
    transport, _ = pair
    transport._without_sendfile = copied
    with pytest.raises(FileUnreadableError, match="cannot be read: Bad file descriptor"):
        transport.send_file(-1, 0, 1)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOMEM])
def test_where_there_is_no_sendfile_the_bytes_are_copied_and_it_is_not_tried_again(
    pair: Pair, data: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport, far = pair
    tried = []

    def sendfile(*_: int) -> int:
        tried.append(1)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "sendfile", sendfile)
    assert transport.send_file(data, 0, 5) == 5
    assert transport.send_file(data, 5, 5) == 5
    assert far.recv(10, socket.MSG_WAITALL) == b"0123456789"
    assert tried == [1]


def test_a_file_that_can_not_be_read_is_named_unreadable(
    pair: Pair, data: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: int) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "sendfile", fails)
    monkeypatch.setattr(os, "pread", fails)
    with pytest.raises(FileUnreadableError, match="cannot be read: Input/output error"):
        pair[0].send_file(data, 0, 1)


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH])
@pytest.mark.parametrize("copied", [False, True])
def test_a_file_for_a_peer_that_is_gone_finds_it_gone(
    data: int, number: int, copied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = socket.socketpair()
    transport = TCP(near)
    transport._without_sendfile = copied
    broken(transport, number)

    def sendfile(*_: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "sendfile", sendfile)
    with pytest.raises(PeerGoneError):
        transport.send_file(data, 0, 1)
    far.close()


def test_a_system_without_sendfile_copies(monkeypatch: pytest.MonkeyPatch, data: int) -> None:
    monkeypatch.delattr(os, "sendfile")
    near, far = socket.socketpair()
    transport = TCP(near)
    assert transport.send_file(data, 0, 10) == 10
    assert far.recv(10) == b"0123456789"
    transport.close()
    far.close()


def test_what_is_copied_is_bounded(data: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def pread(descriptor: int, count: int, offset: int) -> bytes:
        asked.append(count)
        return b"x"

    near, far = socket.socketpair()
    transport = TCP(near)
    transport._without_sendfile = True
    monkeypatch.setattr(os, "pread", pread)
    transport.send_file(data, 0, 10 * READ_SIZE)
    assert asked == [READ_SIZE]
    transport.close()
    far.close()


# --- the end


def test_a_half_close_lets_the_peer_read_the_end_and_send_on(pair: Pair) -> None:
    transport, far = pair
    transport.write(b"x")
    transport.shut_down()
    assert (far.recv(9), far.recv(9)) == (b"x", b"")
    far.sendall(b"y")
    transport._socket.settimeout(PATIENCE)
    assert transport.read() == b"y"


def test_a_close_that_is_to_be_a_reset_is_one() -> None:
    near, far = tcp_pair()
    transport = TCP(near)
    transport.reset_on_close()
    transport.close()
    far.settimeout(PATIENCE)
    with pytest.raises(ConnectionResetError):
        far.recv(1)
    far.close()


def test_a_close_is_a_clean_end_otherwise() -> None:
    near, far = tcp_pair()
    transport = TCP(near)
    transport.close()
    far.settimeout(PATIENCE)
    assert far.recv(1) == b""
    far.close()


def test_our_own_end_is_named_until_it_is_closed(pair: Pair) -> None:
    transport, far = pair
    assert transport.own_address() == far.getpeername()
    transport.close()
    assert transport.own_address() is None
