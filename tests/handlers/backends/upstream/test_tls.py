"""TLS to upstreams: who is believed, what is sent to whom is not, and that no byte is lost or hidden in between."""

import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from clerestory.handlers.backends.upstream.tls import PIECE, RECORD, TLS, client_context
from clerestory.statemachines.contract import Cause
from clerestory.statemachines.upstream import State as S
from tests.handlers.backends.upstreams import Bench, Caller, Far, answer, error, fault, from_client, read
from tests.support.certificates import Authority, stranger


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def bench(authority: Authority) -> Iterator[Bench]:
    bench = Bench(authorities=authority.file)
    yield bench
    bench.close()


class Server:
    """The upstream's end of a connection, behind TLS; it does something only when the test says so."""

    def __init__(self, far: Far, context: ssl.SSLContext) -> None:
        self.far = far
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def take(self) -> bytes:
        """What has come on the wire, which is given to TLS; as Far.received."""
        data = self.far.received()
        self.incoming.write(data.removesuffix(b"END").removesuffix(b"RESET"))
        return data

    def flush(self, *, cut: int = 0) -> bytes:
        """Send what TLS has to say, but for the last `cut` bytes of it, which are handed back."""
        data = self.outgoing.read()
        size = len(data) - cut
        self.far.send(data[:size])
        return data[size:]

    def agree(self) -> "Server":
        """Shake hands, to the end."""
        for _ in range(4):
            self.take()
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
            else:
                self.flush()
                return self
        raise AssertionError("no handshake")

    def received(self) -> bytes:
        """What was sent to us, deciphered; its end as Far.received's."""
        data, end = b"", self.take()
        try:
            while piece := self.tls.read(RECORD):
                data += piece
            data += b"GOODBYE"
        except ssl.SSLZeroReturnError:
            data += b"GOODBYE"
        except ssl.SSLWantReadError:
            pass
        return data + (b"RESET" if end.endswith(b"RESET") else b"")

    def send(self, data: bytes) -> None:
        self.tls.write(data)
        self.flush()

    def say_goodbye(self) -> None:
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.flush()


def agreed_by_hand(
    authority: Authority, ours: socket.socket, theirs: socket.socket, name: str
) -> tuple[TLS, ssl.SSLObject, ssl.MemoryBIO]:
    """TLS over a socket pair, to a server that is a.example, as far as to its answer; and what that server reads."""
    tls = TLS(ours, client_context(authority.file), name)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = authority.server("a.example").wrap_bio(incoming, outgoing, server_side=True)
    tls.begin_handshake()
    incoming.write(theirs.recv(65536))
    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()
    theirs.sendall(outgoing.read())
    return tls, server, incoming


def shaking(bench: Bench, context: ssl.SSLContext, **how: Any) -> tuple[Caller, Server]:
    """An caller, and an upstream that has been connected to."""
    caller = bench.ask(**how)
    far = bench.accept()
    bench.settle()
    assert bench.states() == [S.HANDSHAKING]
    return caller, Server(far, context)


def agreed(bench: Bench, authority: Authority, **how: Any) -> tuple[Caller, Server]:
    caller, server = shaking(bench, authority.server(), **how)
    return caller, server.agree()


# --- the usual course


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_request_and_its_answer_and_the_connection_is_pooled(
    bench: Bench, authority: Authority, version: ssl.TLSVersion
) -> None:
    context = authority.server()
    context.minimum_version = context.maximum_version = version
    caller, server = shaking(bench, context, target="/a")
    assert "HANDSHAKING <- fd" in caller.waits[-1] or "HANDSHAKING" in bench.connections()[0].describe()
    server.agree()
    assert server.received().startswith(b"GET /a HTTP/1.1\r\nhost: 127.0.0.1:")
    server.send(answer(b"hello"))
    assert (caller.result.complete, bench.states()) == (b"hello", [S.IDLE])
    again = bench.ask(target="/b")
    assert server.received().startswith(b"GET /b ")
    server.send(answer(b"again"))
    assert (again.result.complete, bench.states()) == (b"again", [S.IDLE])


def test_the_handshake_may_come_byte_by_byte(bench: Bench, authority: Authority) -> None:
    caller, server = shaking(bench, authority.server())
    server.take()
    with pytest.raises(ssl.SSLWantReadError):
        server.tls.do_handshake()
    for byte in server.outgoing.read():
        server.far.send(bytes([byte]))
    server.take()
    server.tls.do_handshake()
    server.flush()
    assert server.received().startswith(b"GET / ")
    server.send(answer(b"hello"))
    assert caller.result.complete == b"hello"


def test_an_answer_may_come_byte_by_byte_and_in_one_record_with_the_next(bench: Bench, authority: Authority) -> None:
    caller, server = agreed(bench, authority)
    server.tls.write(answer(b"hello"))
    for byte in server.outgoing.read():
        assert not caller.done
        server.far.send(bytes([byte]))
    assert caller.result.complete == b"hello"
    caller = bench.ask()
    server.received()
    server.send(answer(b"hello") + answer(b"poison"))
    assert (caller.result.complete, bench.states()) == (b"hello", []), "it is not used again"


def test_nothing_lies_hidden_however_much_came_at_once(bench: Bench, authority: Authority) -> None:
    body = bytes(range(256)) * 2048
    caller, server = agreed(bench, authority)
    server.received()
    server.tls.write(answer(b"", b"Content-Length: %d" % len(body), length=False))
    for at in range(0, len(body), 1000):
        server.tls.write(body[at : at + 1000])
    server.flush()
    assert read(bench, caller).result == body
    assert bench.states() == [S.IDLE]


def test_a_body_larger_than_the_socket_takes_is_sent_whole(bench: Bench, authority: Authority) -> None:
    caller, server = agreed(bench, authority, method="POST", body=from_client(), length=40 * 65536)
    sent = received = b""
    while not caller.done and len(received) < 40 * 65536:
        while caller.wants_piece and len(sent) < 40 * 65536:
            piece = bytes([len(sent) >> 16]) * 65536
            sent += piece
            caller.give(piece)
            bench.settle()
        received += server.received().partition(b"\r\n\r\n")[2] if not received else server.received()
        bench.settle()
    assert received == sent
    assert bench.states() == [S.AWAITING_RESPONSE]
    server.send(answer(b"thanks"))
    assert (caller.result.complete, bench.states()) == (b"thanks", [S.IDLE])


def test_what_tls_says_to_itself_is_no_byte_that_nobody_asked_for(bench: Bench, authority: Authority) -> None:
    """Tickets for resumption come behind the handshake, and may come late."""
    context = authority.server()
    context.num_tickets = 4
    caller, server = shaking(bench, context)
    server.take()
    with pytest.raises(ssl.SSLWantReadError):
        server.tls.do_handshake()
    server.flush()
    server.take()
    server.tls.do_handshake()
    tickets = server.outgoing.read()
    server.received()
    server.send(b"")
    server.tls.write(answer(b"hello"))
    late = server.outgoing.read()
    server.far.send(tickets + late)
    assert (caller.result.complete, bench.states()) == (b"hello", [S.IDLE])
    assert bench.ask().error is None


@pytest.mark.parametrize("said", [answer(b"poison"), b""])
def test_a_connection_is_looked_at_through_tls_before_a_request_is_sent_on_it(
    bench: Bench, authority: Authority, said: bytes
) -> None:
    """What lies there, or its end, is found though the loop has not seen it; the request goes to another connection."""
    caller, server = agreed(bench, authority)
    server.received()
    server.send(answer(b"mine"))
    assert (caller.result.complete, bench.states()) == (b"mine", [S.IDLE])
    if said:
        server.tls.write(said)
    else:
        with pytest.raises(ssl.SSLWantReadError):
            server.tls.unwrap()
    server.far.socket.send(server.outgoing.read())
    second = Caller(bench.loop, bench.upstream.request("POST"))
    bench.settle()
    assert b"POST" not in server.received()
    other = Server(bench.accept(), authority.server()).agree()
    bench.settle()
    assert other.received().startswith(b"POST")
    other.send(answer(b"mine again"))
    assert second.result.complete == b"mine again"


# --- who is not believed


def test_a_certificate_for_another_host_is_not_accepted(bench: Bench, authority: Authority) -> None:
    caller, server = shaking(bench, authority.server("other.example", "127.0.0.2"))
    refused(server)
    assert fault(caller) == (502, "certificate: IP address mismatch, certificate is not valid for '127.0.0.1'")
    assert "other" not in error(caller).detail
    assert bench.states() == []


def test_a_name_is_checked_as_a_name(authority: Authority) -> None:
    for name, good in (("a.example", True), ("b.example", False)):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            tls, _, _ = agreed_by_hand(authority, ours, theirs, name)
            if good:
                assert tls.go_on()
            else:
                with pytest.raises(Exception, match="Hostname mismatch"):
                    tls.go_on()


def test_a_certificate_that_has_expired_is_not_accepted(bench: Bench, authority: Authority) -> None:
    caller, server = shaking(bench, authority.expired())
    refused(server)
    assert fault(caller) == (502, "certificate: certificate has expired")


def test_a_certificate_of_a_strangers_is_not_accepted(bench: Bench) -> None:
    caller, server = shaking(bench, stranger())
    refused(server)
    status, cause = fault(caller)
    assert (status, cause.startswith("certificate: ")) == (502, True)


def test_the_systems_authorities_do_not_count_besides_a_file(authority: Authority) -> None:
    assert len(client_context(authority.file).get_ca_certs()) == 1


def refused(server: Server) -> None:
    """The upstream shakes hands as far as it gets: no byte of the request comes, but the reason does."""
    with pytest.raises(ssl.SSLError) as caught:
        server.agree()
    assert "alert" in str(caught.value).lower()


# --- handshakes that go wrong


def test_an_upstream_that_does_not_speak_tls_is_said_to(bench: Bench, authority: Authority) -> None:
    caller, server = shaking(bench, authority.server())
    server.far.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    status, cause = fault(caller)
    assert (status, cause) == (502, "handshake: wrong version number")
    assert bench.states() == []


def test_a_handshake_that_stalls_is_ended_by_its_deadline(bench: Bench, authority: Authority) -> None:
    caller, server = shaking(bench, authority.server())
    server.take()
    with pytest.raises(ssl.SSLWantReadError):
        server.tls.do_handshake()
    server.flush(cut=10)
    bench.pass_time(9.9)
    assert not caller.done, "a byte does not put it off, and it is not over yet"
    bench.pass_time(0.1)
    assert fault(caller) == (504, "handshake timeout")
    assert server.take().endswith(b"RESET")


@pytest.mark.parametrize("begun", [False, True])
def test_a_handshake_that_is_broken_off(bench: Bench, authority: Authority, begun: bool) -> None:
    for end, cause in (("reset", "handshake: reset"), ("half_close", "handshake: closed")):
        caller, server = shaking(bench, authority.server())
        if begun:
            server.take()
            with pytest.raises(ssl.SSLWantReadError):
                server.tls.do_handshake()
            server.flush(cut=10)
        getattr(server.far, end)()
        assert fault(caller) == (502, cause)
        assert error(caller).safe, "nothing was sent"
        assert bench.states() == []


def test_whoever_asked_may_leave_inside_the_handshake(bench: Bench, authority: Authority) -> None:
    caller, server = shaking(bench, authority.server())
    (connection,) = bench.connections()
    caller.leave()
    bench.settle()
    assert connection.history[-1][1].row.ends is Cause.CLIENT
    assert server.take().endswith(b"RESET")


def test_an_upstream_that_speaks_before_it_is_asked_is_not_asked(bench: Bench, authority: Authority) -> None:
    context = authority.server()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # there the server has the last word, and can go on at once
    caller, server = shaking(bench, context)
    server.take()
    with pytest.raises(ssl.SSLWantReadError):
        server.tls.do_handshake()
    server.flush()
    server.take()
    server.tls.do_handshake()
    server.tls.write(answer(b"poison"))
    server.flush()
    assert fault(caller) == (502, "garbage")
    assert server.take().endswith(b"RESET")


# --- ends


def test_an_end_that_tls_does_not_know_of_is_no_end(bench: Bench, authority: Authority) -> None:
    """Of an answer that only the close ends, a close without TLS's farewell may have cut something off."""
    caller, server = agreed(bench, authority)
    server.received()
    server.send(answer(b"hello", length=False))
    reader = bench.run(caller.result.read())
    server.far.half_close()
    assert fault(reader) == (502, "reset")


def test_an_answer_that_ends_with_tls_s_farewell_is_whole_and_the_farewell_is_answered(
    bench: Bench, authority: Authority
) -> None:
    caller, server = agreed(bench, authority)
    server.received()
    server.tls.write(answer(b"hello", length=False))
    server.say_goodbye()
    assert server.received() == b"GOODBYE", "before the upstream closes"
    server.far.half_close()
    assert read(bench, caller).result == b"hello"
    assert bench.states() == []


def test_a_connection_on_which_tls_said_farewell_is_not_used_again(bench: Bench, authority: Authority) -> None:
    caller, server = agreed(bench, authority)
    server.received()
    server.tls.write(answer(b"hello"))
    server.say_goodbye()
    assert (caller.result.complete, bench.states()) == (b"hello", [])
    caller, server = agreed(bench, authority)
    server.received()
    server.send(answer(b"hello"))
    assert bench.states() == [S.IDLE]
    server.say_goodbye()
    assert bench.states() == []


def test_an_idle_connection_is_closed_with_a_farewell_and_a_cut_one_without(bench: Bench, authority: Authority) -> None:
    caller, server = agreed(bench, authority)
    server.received()
    server.send(answer(b"hello"))
    bench.pass_time(10.0)
    assert server.received() == b"GOODBYE"
    caller, server = agreed(bench, authority)
    server.received()
    caller.leave()
    bench.settle()
    assert server.received() == b"RESET"


def test_a_record_that_was_tampered_with_breaks_the_connection_off(bench: Bench, authority: Authority) -> None:
    caller, server = agreed(bench, authority, method="POST", body=b"once")
    server.received()
    server.tls.write(answer(b"hello"))
    data = bytearray(server.outgoing.read())
    data[-1] ^= 1
    server.far.send(bytes(data))
    assert fault(caller) == (502, "reset")


# --- sending, where the socket takes little


def test_a_byte_counts_as_sent_only_when_the_socket_has_taken_it(authority: Authority) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        tls, server, incoming = agreed_by_hand(authority, ours, theirs, "a.example")
        assert tls.go_on()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        data = (bytes(range(256)) * PIECE)[: 3 * PIECE + 5]
        sent, received, refusals = 0, b"", 0
        theirs.setblocking(False)
        while sent < len(data) or len(received) < len(data):
            if sent < len(data):
                try:
                    sent += tls.send(memoryview(data)[sent:])
                except BlockingIOError:
                    refusals += 1
            try:
                incoming.write(theirs.recv(3000))
                received += server.read(RECORD)
            except (BlockingIOError, ssl.SSLWantReadError):
                pass
            assert len(received) <= sent + PIECE
            assert sent <= len(data)
        assert received == data
        assert refusals
        assert tls.is_quiet()
