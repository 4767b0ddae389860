"""A connection that begins with a handshake: what is told of one that fails, and what the poller is asked for."""

import socket
import ssl
from collections.abc import Iterator

import pytest

from clerestory.handlers.wire.tls import TLS, HandshakeError, prepare
from clerestory.server.connection.connection import Connection
from clerestory.server.connection.handshake import reason_of
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.connection import Trigger as T
from tests.server.support import Bench, hello
from tests.support.certificates import HOST, Authority
from tests.support.client import request

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


@pytest.fixture(scope="module")
def context(authority: Authority) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(*authority.issue())
    prepare(made, "")
    return made


class Secure:
    """A connection behind TLS on a bench, and its client's end of the socket."""

    def __init__(self, bench: Bench, context: ssl.SSLContext) -> None:
        self.bench = bench
        near, self.far = socket.socketpair()
        near.setblocking(False)
        self.far.setblocking(False)
        self.connection = Connection(bench.service, TLS(near, context), near.fileno(), "client")
        bench.loop.add(self.connection)
        bench.loop.fire(self.connection, T.TLS_EXPECTED)

    def agree(self, trusting: ssl.SSLContext) -> ssl.SSLSocket:
        self.far = secret = trusting.wrap_socket(self.far, server_hostname=HOST, do_handshake_on_connect=False)
        agreed = False
        while not agreed or self.connection.state is S.HANDSHAKING:
            try:
                secret.do_handshake()
                agreed = True
            except ssl.SSLWantReadError:
                pass
            self.bench.settle()
        return secret


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench(hello)
    yield made
    made.loop.close()
    assert made.crashes == []


@pytest.fixture
def secure(bench: Bench, context: ssl.SSLContext) -> Iterator[Secure]:
    made = Secure(bench, context)
    yield made
    made.far.close()


def test_a_handshake_ends_in_the_wait_for_the_first_request(secure: Secure, authority: Authority) -> None:
    assert secure.connection.node.state == "HANDSHAKING"
    far = secure.agree(authority.client())
    assert secure.connection.state is S.AWAITING_REQUEST
    assert secure.connection.protection().startswith("TLSv1.3, TLS_")
    far.send(request("/"))
    secure.bench.settle()
    assert far.recv(1000).startswith(b"HTTP/1.1 200 OK")


def test_it_waits_without_spinning_while_the_client_says_nothing(secure: Secure) -> None:
    """The state waits for both, and a socket is writable nearly always."""
    secure.bench.settle()
    assert secure.connection.state is S.HANDSHAKING


def test_the_deadline_is_for_the_whole_handshake_and_not_reset_by_each_byte(secure: Secure) -> None:
    hello = b"\x16\x03\x01\x02\x00"
    for byte in hello:
        secure.far.send(bytes([byte]))
        secure.bench.after(2.0)
    secure.bench.after(0.5)
    assert secure.connection.state is S.CLOSED
    (event,) = [event for event in secure.bench.logs.events if event["event"] == "connection_ended"]
    assert (event["cause"], event["state"]) == ("deadline", "HANDSHAKING")


def test_plain_http_is_answered_in_plain_http(secure: Secure) -> None:
    secure.far.send(request("/"))
    secure.bench.settle()
    answer = secure.far.recv(1000)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"This port speaks HTTPS" in answer
    assert secure.connection.state is S.LINGERING


def test_what_was_sent_after_the_interest_was_narrowed_is_still_sent(secure: Secure, authority: Authority) -> None:
    """What the poller knows and what the machine says that it knows are the same after a handshake: else an answer
    that the socket does not take at once would wait for ever."""
    secure.agree(authority.client())
    assert secure.connection.registered == secure.bench.poller.interests[secure.connection.descriptor]


@pytest.mark.parametrize("leaves", ["silent", "within"])
def test_who_only_looks_whether_the_port_is_open_is_not_told_of(secure: Secure, leaves: str) -> None:
    if leaves == "within":
        secure.far.send(b"\x16\x03\x01")
        secure.bench.settle()
    secure.far.close()
    secure.bench.settle()
    assert secure.connection.state is S.CLOSED
    told = [event for event in secure.bench.logs.events if event["event"] == "connection_ended"]
    assert len(told) == (leaves == "within")


def test_in_a_drain_the_first_request_is_waited_for_as_a_last_one(secure: Secure, authority: Authority) -> None:
    secure.bench.service.draining = True
    secure.agree(authority.client())
    secure.bench.after(secure.bench.limits.last_request_timeout + 0.5)
    assert secure.connection.state in (S.LINGERING, S.CLOSED)


def error(name: str) -> HandshakeError:
    made = ssl.SSLError(1, name)
    made.reason = name
    return HandshakeError(made)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("TLSV1_ALERT_UNKNOWN_CA", "The client does not trust the certificate."),
        ("SSLV3_ALERT_CERTIFICATE_UNKNOWN", "The client does not trust the certificate."),
        ("UNSUPPORTED_PROTOCOL", "The client and the server have no version of TLS in common."),
        ("NO_SHARED_CIPHER", "The client and the server have no cipher suite in common."),
        ("WRONG_VERSION_NUMBER", "What the client sent is not TLS."),
        ("SOMETHING_ELSE", "The TLS handshake failed: something else."),
        ("", "The TLS handshake failed: for no reason that is told."),
    ],
)
def test_a_failure_is_told_in_words(name: str, reason: str) -> None:
    assert reason_of(error(name)) == reason
