"""TLS between a connection and its socket: the handshake in steps, reads and writes that never wait, and ends."""

import os
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from clerestory.handlers.wire.tls import (
    READABLE,
    RECORD,
    TLS,
    HandshakeError,
    PlainTextError,
    TruncatedError,
    name_of,
    prepare,
    sends_in_kernel,
)
from clerestory.handlers.wire.transport import RESET_ON_CLOSE, FileUnreadableError, PeerGoneError
from tests.support.applications import pattern
from tests.support.certificates import HOST, Authority
from tests.support.client import say_goodbye

pytestmark = pytest.mark.usefixtures("every_descriptor_back")

Context = ssl.SSLContext


@pytest.fixture(scope="module")
def context(authority: Authority) -> Context:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(*authority.issue())
    prepare(made, "the certificate")
    return made


class Pair:
    """A TLS transport, and a client that is driven beside it: `far` is the client's socket, behind TLS where it is."""

    def __init__(self, context: Context) -> None:
        near, self.far = socket.socketpair()
        near.setblocking(False)
        self.far.setblocking(False)
        self.near = TLS(near, context)

    def agree(self, trusting: Context) -> ssl.SSLSocket:
        """Take turns until both have agreed."""
        secret = trusting.wrap_socket(self.far, server_hostname=HOST, do_handshake_on_connect=False)
        self.far = secret
        agreed = [False, False]
        while not all(agreed):
            try:
                secret.do_handshake()
                agreed[0] = True
            except ssl.SSLWantReadError:
                pass
            agreed[1] = agreed[1] or not self.near.shake_hands()
        return secret

    def close(self) -> None:
        self.near.close()
        self.far.close()


@pytest.fixture
def pair(context: Context) -> Iterator[Pair]:
    made = Pair(context)
    yield made
    made.close()


@pytest.fixture
def talking(pair: Pair, authority: Authority) -> tuple[TLS, ssl.SSLSocket]:
    return pair.near, pair.agree(authority.client())


def read_all(far: ssl.SSLSocket) -> bytes:
    found = b""
    try:
        while piece := far.recv(65536):
            found += piece
    except ssl.SSLWantReadError:
        pass
    return found


# --- the handshake


def test_before_the_client_has_spoken_it_waits_to_read_and_has_taken_nothing(pair: Pair) -> None:
    assert pair.near.shake_hands() == READABLE
    assert not pair.near.has_begun
    assert pair.near.security is None


def test_what_was_agreed_upon_is_told(talking: tuple[TLS, ssl.SSLSocket]) -> None:
    near, far = talking
    assert near.security is not None
    assert (near.security.version, near.security.cipher) == (far.version(), far.cipher()[0])  # type: ignore[index]
    assert near.security.own == "the certificate"


def test_a_first_message_cut_anywhere_is_waited_for(pair: Pair, authority: Authority) -> None:
    """A handshake that comes byte by byte is the same handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = authority.client().wrap_bio(incoming, outgoing, server_hostname=HOST)
    agreed, near = False, READABLE
    while not (agreed and near == 0):
        try:
            client.do_handshake()
            agreed = True
        except ssl.SSLWantReadError:
            pass
        for byte in outgoing.read():
            pair.far.send(bytes([byte]))
            near = pair.near.shake_hands()
        with suppress(BlockingIOError):
            incoming.write(pair.far.recv(65536))
    assert pair.near.security is not None


def test_plain_http_is_told_apart_and_is_still_there_to_be_read(pair: Pair) -> None:
    pair.far.send(b"GET / HTTP/1.1\r\n")
    with pytest.raises(PlainTextError):
        pair.near.shake_hands()
    assert pair.near.plain().recv(100) == b"GET / HTTP/1.1\r\n"


@pytest.mark.parametrize("data", [b"\x00\x01\x02", b"\x16\x02\x00\x00\x05hello", b"\x80\x2e\x01\x00\x02", b"\xff" * 64])
def test_rubbish_is_a_failed_handshake(pair: Pair, data: bytes) -> None:
    pair.far.send(data.ljust(64, b"\0"))
    with pytest.raises((HandshakeError, EOFError)):
        pair.near.shake_hands()


def test_a_client_that_leaves_before_it_has_spoken_is_an_end(pair: Pair) -> None:
    pair.far.close()
    with pytest.raises(EOFError):
        pair.near.shake_hands()


def test_a_client_that_leaves_within_is_an_end_too(pair: Pair) -> None:
    pair.far.send(b"\x16\x03\x01")
    assert pair.near.shake_hands() == READABLE
    pair.far.close()
    with pytest.raises((EOFError, PeerGoneError)):
        pair.near.shake_hands()


# --- reading


def test_nothing_to_read_is_none_and_the_session_tickets_are_no_news(talking: tuple[TLS, ssl.SSLSocket]) -> None:
    near, far = talking
    assert near.read() is None
    far.send(b"hello")
    assert near.read() == b"hello"
    assert near.read() is None


def test_one_read_takes_a_whole_record_so_that_nothing_lies_hidden(talking: tuple[TLS, ssl.SSLSocket]) -> None:
    """What the poller does not see would never be read."""
    near, far = talking
    far.send(b"x" * RECORD)
    far.send(b"y")
    assert near.read() == b"x" * RECORD
    assert near._secret is not None
    assert near._secret.pending() == 0
    assert near.has_unread()
    assert near.read() == b"y"
    assert not near.has_unread()


def test_an_end_with_close_notify_is_an_end(talking: tuple[TLS, ssl.SSLSocket]) -> None:
    near, far = talking
    say_goodbye(far)
    assert near.read() == b""
    assert near.read() == b""


def test_an_end_without_it_is_a_truncation(talking: tuple[TLS, ssl.SSLSocket]) -> None:
    near, far = talking
    far.close()
    with pytest.raises(TruncatedError):
        near.read()


def test_a_record_that_was_tampered_with_ends_the_connection(talking: tuple[TLS, ssl.SSLSocket]) -> None:
    near, far = talking
    socket.socket.send(far, b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(PeerGoneError):
        near.read()
    with pytest.raises(PeerGoneError):
        near.write(b"more")


# --- writing


def test_writes_of_any_size_come_whole_to_a_slow_reader(talking: tuple[TLS, ssl.SSLSocket]) -> None:
    near, far = talking
    data = pattern(3_000_000)
    sent, refused, received = 0, 0, bytearray()
    while sent < len(data):
        taken = near.write(memoryview(data)[sent:])
        sent += taken
        if not taken:
            refused += 1
            received += far.recv(1000)
    assert refused, "the socket took everything at once"
    received += read_all(far)
    assert bytes(received) == data


def test_a_write_to_a_client_that_has_reset_is_told(talking: tuple[TLS, ssl.SSLSocket]) -> None:
    near, far = talking
    far.close()
    with pytest.raises(PeerGoneError):
        near.write(b"x" * RECORD)


@pytest.fixture
def file() -> Iterator[tuple[int, bytes]]:
    data = pattern(2_000_000)
    with tempfile.TemporaryFile() as opened:
        opened.write(data)
        opened.flush()
        yield opened.fileno(), data


def test_a_file_is_sent_whole(talking: tuple[TLS, ssl.SSLSocket], file: tuple[int, bytes]) -> None:
    near, far = talking
    descriptor, data = file
    offset, received = 0, b""
    while offset < len(data):
        offset += near.send_file(descriptor, offset, len(data) - offset)
        received += read_all(far)
    assert received == data


def test_a_file_that_becomes_shorter_cannot_be_sent(
    talking: tuple[TLS, ssl.SSLSocket], file: tuple[int, bytes]
) -> None:
    """OpenSSL holds a record of what is not there any more, and wants it again."""
    near, _ = talking
    descriptor, data = file
    offset = 0
    while taken := near.send_file(descriptor, offset, len(data) - offset):
        offset += taken
    os.ftruncate(descriptor, offset + 1)
    with pytest.raises(FileUnreadableError):
        near.send_file(descriptor, offset, len(data) - offset)


# --- the end


def test_a_half_close_says_so_in_tls_before_it_does_in_tcp(talking: tuple[TLS, ssl.SSLSocket]) -> None:
    near, far = talking
    near.shut_down()
    assert far.recv(10) == b"", "an end without close_notify raises"
    far.send(b"late")
    assert near.read() == b"late"
    say_goodbye(far)
    assert near.read() == b""


def test_what_comes_after_a_half_close_into_which_it_crossed_is_read_raw(talking: tuple[TLS, ssl.SSLSocket]) -> None:
    near, far = talking
    far.send(b"crossed")
    near.shut_down()
    assert read_all(far) == b""  # so that the close is no reset
    far.close()
    while near.read():
        pass
    assert near.read() == b""


def test_a_close_says_goodbye(talking: tuple[TLS, ssl.SSLSocket]) -> None:
    near, far = talking
    near.close()
    assert far.recv(10) == b""


def test_a_cut_is_a_reset_and_says_nothing(context: Context, authority: Authority) -> None:
    listener = socket.create_server((HOST, 0))
    far = socket.create_connection(listener.getsockname())
    connected, _ = listener.accept()
    connected.setblocking(False)
    near = TLS(connected, context)
    near.reset_on_close()
    assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == RESET_ON_CLOSE
    near.close()
    with pytest.raises(ConnectionResetError):
        far.recv(1)
    far.close()
    listener.close()


@pytest.mark.parametrize("step", [TLS.close, TLS.shut_down, TLS.reset_on_close])
def test_a_handshake_may_be_given_up_before_it_began(context: Context, step: Callable[[TLS], None]) -> None:
    pair = Pair(context)
    step(pair.near)
    pair.close()


def test_a_client_that_was_reset_in_the_backlog_is_found_out_without_closing_its_descriptor(context: Context) -> None:
    """Only the loop closes descriptors; ssl would close one that it finds not connected."""
    listener = socket.create_server((HOST, 0))
    far = socket.create_connection(listener.getsockname())
    far.send(b"\x16\x03\x01\x02\x00")
    connected, _ = listener.accept()
    connected.setblocking(False)
    near = TLS(connected, context)
    assert near.shake_hands() == READABLE
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    far.close()
    with pytest.raises((PeerGoneError, EOFError)):
        near.shake_hands()
    assert near._socket.fileno() >= 0
    near.close()
    listener.close()


# --- small things


def test_a_name_is_written_as_rfc_4514_does() -> None:
    subject = ((("countryName", "DE"),), (("organizationName", "Example, Inc."),), (("commonName", "alice"),))
    assert name_of(subject) == r"CN=alice,O=Example\, Inc.,C=DE"


def test_without_kernel_tls_nothing_is_sent_by_it(talking: tuple[TLS, ssl.SSLSocket]) -> None:
    near, _ = talking
    assert near._secret is not None
    assert sends_in_kernel(near._secret) is False or hasattr(ssl, "OP_ENABLE_KTLS")
