"""A request and its response at the same time: the body comes while the answer is sent."""

import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.contract import Cause, Interest
from tests.server.support import (
    GET,
    A,
    B,
    C,
    L,
    O,
    Pending,
    Q,
    bench_of,
)

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


# --- a request and its response at the same time


class Sending(Pending):
    """An operation that sends the request's body on; it wants a piece when the test says so."""

    def __init__(self, *, wants: bool = True) -> None:
        super().__init__()
        self.wants = wants
        self.has_stopped = False
        self.given: list[tuple[bytes, bool]] = []
        self.on_piece: Callable[[], None] = lambda: None

    def start(self, executor: Any) -> None:
        super().start(executor)
        executor.feed_from_body(self)

    def give(self, piece: bytes, *, last: bool) -> None:
        self.given.append((piece, last))
        self.on_piece()

    def want(self) -> None:
        self.wants = True
        executor: Any = self.executor
        executor.feed_wants(self)


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
LONG = b"x" * 4_000_000


def sending(operation: Sending, body: Any = LONG) -> Callable[[Request], Any]:
    async def handler(request: Request) -> Response:
        await operation
        return Response(body)

    return handler


def test_the_body_is_read_for_what_sends_it_on_while_that_is_awaited() -> None:
    operation = Sending()
    with bench_of(sending(operation, b"fine")) as bench:
        client = bench.connect()
        assert client.send(CHUNKED).state is B
        assert client.send(b"3\r\none\r\n").way == [Q, B]
        operation.wants = False
        assert client.send(b"3\r\ntwo\r\n").state is Q
        client.send(b"3\r\nsix\r\n")
        assert operation.given == [(b"one", False), (b"two", False)], "what is not wanted is not read"
        operation.want()
        assert client.send(b"0\r\n\r\n").state is Q
        assert operation.given[2:] == [(b"six", False), (b"", True)] or operation.given[2:] == [(b"six", True)]
        operation.finish()
        assert client.settle().state is A


def test_what_is_awaited_may_end_before_the_body_has() -> None:
    """A response does not wait for the rest of its request."""
    operation = Sending()
    with bench_of(sending(operation, b"fine")) as bench:
        client = bench.connect()
        assert client.send(CHUNKED + b"3\r\none\r\n").state is B
        operation.finish()
        whole = client.settle()
        assert (whole.state, whole.way) == (L, [Q, O, L])
        assert whole.sent.endswith(b"\r\n\r\nfine")


def test_what_a_piece_brings_about_is_looked_at_when_it_has_been_given() -> None:
    operation = Sending()
    operation.on_piece = operation.finish
    with bench_of(sending(operation, b"fine")) as bench:
        client = bench.connect()
        whole = client.send(CHUNKED + b"3\r\none\r\n0\r\n\r\n")
        assert (whole.state, whole.way[-3:]) == (A, [Q, O, A])


@pytest.mark.parametrize("over", [False, True], ids=["sent on", "discarded"])
def test_a_client_that_reads_nothing_before_it_has_sent_its_request_is_read_meanwhile(over: bool) -> None:
    """Response bytes wait for the socket, and the request's body still comes: the connection waits for both."""
    operation = Sending(wants=not over)
    operation.has_stopped = over
    with bench_of(sending(operation, [LONG]), max_body=1 << 24) as bench:
        client = bench.connect()
        client.send(CHUNKED + b"3\r\none\r\n")
        operation.finish()
        bench.settle()
        assert client.connection.state is S.EXCHANGING
        both = Interest.READABLE | Interest.WRITABLE
        assert bench.poller.interests[client.connection.descriptor] & both == both
        for _ in range(50):
            client.far.send(b"ffff\r\n" + b"y" * 0xFFFF + b"\r\n")
            bench.settle()
        assert sum(len(piece) for piece, _ in operation.given) == 50 * 0xFFFF + 3
        client.far.send(b"0\r\n\r\n")
        bench.settle()
        assert (client.connection.state, operation.given[-1][1]) == (O, True)
        assert client.read_all().endswith(LONG + b"\r\n0\r\n\r\n")
        assert client.connection.state is A


EXPECTING = CHUNKED[:-2] + b"Expect: 100-continue\r\n\r\n"
SAID = b"HTTP/1.1 100 Continue\r\n\r\n"


def test_a_body_is_waited_for_behind_the_whole_of_a_continue_that_the_socket_takes_in_parts() -> None:
    """The rest of a 100 is no response: the exchange goes on behind it, though a feed asks for the body meanwhile."""
    operation = Sending()
    with bench_of(sending(operation, b"fine")) as bench:
        client = bench.connect(takes=itertools.chain([10], itertools.repeat(0, 3), itertools.repeat(1000)))
        client.far.sendall(EXPECTING)
        bench.turn()
        assert client.connection.state is O
        operation.want()
        assert client.connection.state is O
        assert client.settle().state is B
        assert client.send(b"3\r\none\r\n").state is B
        assert client.send(b"0\r\n\r\n").state is Q
        operation.finish()
        whole = client.settle()
        assert (whole.state, operation.given[0], operation.given[-1][1]) == (A, (b"one", False), True)


@pytest.mark.parametrize("error", [None, HTTPError(502, "It is gone.")], ids=["well", "ill"])
def test_an_operation_may_end_while_the_rest_of_a_continue_waits_for_the_socket(error: HTTPError | None) -> None:
    """The response goes out behind that rest."""
    operation = Sending()
    with bench_of(sending(operation, b"fine")) as bench:
        client = bench.connect(takes=itertools.chain([10], itertools.repeat(0, 3), itertools.repeat(1000)))
        client.far.sendall(EXPECTING)
        bench.turn()
        assert client.connection.state is O
        operation.finish(error=error)
        sent = client.read_all()
        assert sent.startswith(SAID + (b"HTTP/1.1 502 " if error else b"HTTP/1.1 200 OK\r\n"))


def test_a_body_that_is_not_wanted_is_not_read_while_the_response_waits_for_the_socket() -> None:
    operation = Sending(wants=False)
    with bench_of(sending(operation)) as bench:
        client = bench.connect()
        client.send(CHUNKED + b"3\r\none\r\n")
        operation.finish()
        bench.settle()
        assert (client.connection.state, operation.given) == (O, [])
        operation.want()
        bench.settle()
        assert (client.connection.state, operation.given) == (S.EXCHANGING, [(b"one", False)])
        assert client.read_all().endswith(LONG)
        assert client.connection.state is L


def test_an_exchange_in_which_no_byte_moves_is_cut_in_time() -> None:
    operation = Sending()
    with bench_of(sending(operation), exchange_timeout=30.0) as bench:
        client = bench.connect()
        client.send(CHUNKED)
        operation.finish()
        bench.settle()
        assert client.connection.state is S.EXCHANGING
        bench.after(29)
        client.far.send(b"3\r\none\r\n")
        bench.settle()
        bench.after(29)
        assert client.connection.state is S.EXCHANGING
        bench.after(1)
        assert client.connection.state is C


def test_a_body_that_is_malformed_cuts_the_response_that_has_begun() -> None:
    operation = Sending()
    with bench_of(sending(operation)) as bench:
        client = bench.connect()
        client.send(CHUNKED)
        operation.finish()
        bench.settle()
        client.far.send(b"3\none\n")
        bench.settle()
        assert client.connection.state is C
        assert client.connection.ending().row.ends is Cause.CLIENT


def test_interim_responses_go_out_before_the_response_and_to_http_1_1_alone() -> None:
    for version, sent in ((b"1.1", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"), (b"1.0", b"")):
        operation = Pending()
        with bench_of(sending(operation, b"fine")) as bench:  # type: ignore[arg-type]
            client = bench.connect()
            client.send(b"GET / HTTP/%b\r\nHost: a\r\n\r\n" % version)
            executor: Any = operation.executor
            executor.interim(103, "Early Hints", ((b"x", b"a\r\nb"),))
            executor.interim(103, "Early Hints", ((b"link", b"</a>"),))
            assert client.received() == sent
            operation.finish()
            assert client.settle().sent.startswith(b"HTTP/1.1 200 OK\r\n")
            executor.interim(103, "Early Hints", ())
            assert client.received() == b""


def test_what_breaks_off_in_the_middle_of_a_response_is_told_as_its_fault() -> None:
    class LostError(HTTPError):
        cause = "closed early"

    async def pieces() -> AsyncIterator[bytes]:
        yield b"hello"
        raise LostError(502, "It broke off.")

    with bench_of(lambda _: Response(pieces(), fields=((b"content-length", b"10"),))) as bench:
        client = bench.connect()
        whole = client.send(GET)
        assert whole.state is C
        assert client.connection.ending().row.ends is Cause.UPSTREAM
        assert not any(line.startswith("failed") for line in whole.logged)
