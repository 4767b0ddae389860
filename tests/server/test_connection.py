"""A client's connection, told as stories over socket pairs on a fake clock. After each step the whole state is
asserted: where it is and by what way, what the client got, what was logged, what is waited for."""

import itertools
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.echo import echo
from handlers.errors import HTTPError
from handlers.messages import File, Request, Response
from server.sender import PIECES
from server.transport import READ_SIZE
from statemachines.connection import State as S
from statemachines.connection import Trigger as T
from statemachines.contract import Interest
from statemachines.engine import Dispatch
from tests.server.support import EVERY_POLLER, Bench, Client, Pending, Whole, bench_of, error, head

pytestmark = pytest.mark.usefixtures("every_descriptor_back")

READABLE, WRITABLE, NOTHING = Interest.READABLE, Interest.WRITABLE, Interest.NOTHING
A, H, B, Q, O, L, C = (  # noqa: E741 - the letters of the states, as an operator sees them
    S.AWAITING_REQUEST,
    S.READING_HEAD,
    S.READING_BODY,
    S.QUERYING_BACKEND,
    S.SENDING_RESPONSE,
    S.LINGERING,
    S.CLOSED,
)
USUAL = [Q, O, A]

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
HELLO = head(length=5) + b"hello"
FAREWELL = head(length=5, close=True) + b"hello"


def post(body: bytes, *fields: bytes, length: int | None = None) -> bytes:
    lines = b"".join(field + b"\r\n" for field in fields)
    return b"POST / HTTP/1.1\r\nhost: x\r\n%bcontent-length: %d\r\n\r\n" % (lines, length or len(body)) + body


def hello(request: Request) -> Response:
    return Response(b"hello")


async def read_all(request: Request) -> Response:
    return Response(await request.read())


def awaiting(way: list[S], sent: bytes = b"", *logged: str, interest: Interest = READABLE) -> Whole:
    return Whole(A, way, sent, list(logged), interest, 1)


def closed(way: list[S], sent: bytes = b"", *logged: str) -> Whole:
    return Whole(C, way, sent, list(logged), NOTHING, 0)


def at(state: S, way: list[S], sent: bytes = b"", *logged: str, interest: Interest = READABLE) -> Whole:
    return Whole(state, way, sent, list(logged), interest, 1)


# --- requests, whole and in pieces


@pytest.mark.parametrize("dispatch", Dispatch)
@pytest.mark.parametrize("poller", EVERY_POLLER)
def test_one_request_is_answered_in_three_passages_and_without_a_change_of_interest(
    poller: str, dispatch: Dispatch
) -> None:
    with bench_of(hello, poller=poller, dispatch=dispatch) as bench:
        client = bench.connect()
        bench.poller.calls.clear()
        assert client.send(GET) == awaiting(USUAL, HELLO, "1-1 GET / 200")
        assert bench.poller.calls == []


def test_a_kept_connection_answers_one_request_after_the_other() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        for number in range(1, 20):
            assert client.send(GET) == awaiting(USUAL, HELLO, f"1-{number} GET / 200")
        assert (client.connection.requests, client.connection.bytes_in) == (19, 19 * len(GET))
        assert client.connection.bytes_out == 19 * len(HELLO)


def test_pipelined_requests_are_answered_in_order_one_a_turn() -> None:
    def count(request: Request) -> Response:
        return Response(request.target.encode())

    with bench_of(count) as bench:
        client = bench.connect()
        client.far.sendall(b"".join(GET.replace(b"/ ", b"/%d " % number) for number in range(5)))
        before = bench.loop.turns
        whole = client.settle()
        assert whole.way == USUAL * 5
        assert whole.sent == b"".join(head(length=2) + b"/%d" % number for number in range(5))
        assert whole.logged == [f"1-{number + 1} GET /{number} 200" for number in range(5)]
        assert bench.loop.turns - before >= 4


def test_a_head_in_pieces_is_read_as_it_comes() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        assert client.send(GET[:1]) == at(H, [H])
        for offset in range(1, len(GET) - 1):
            assert client.send(GET[offset : offset + 1]) == at(H, [])
        assert client.send(GET[-1:]) == awaiting([Q, O, A], HELLO, "1-1 GET / 200")


def test_half_a_request_behind_a_whole_one_is_begun_in_the_next_turn() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        assert client.send(GET + GET[:7]) == at(H, [*USUAL, H], HELLO, "1-1 GET / 200")
        assert client.send(GET[7:]) == awaiting([Q, O, A], HELLO, "1-2 GET / 200")


def test_a_body_in_pieces_is_waited_for_and_given_to_the_handler() -> None:
    with bench_of(read_all) as bench:
        client = bench.connect()
        request = post(b"abcdef")
        assert client.send(request[:-6]) == at(B, [Q, B])
        assert client.send(b"abc") == at(B, [Q, B])
        assert client.send(b"def") == awaiting([Q, Q, O, A][1:], head(length=6) + b"abcdef", "1-1 POST / 200")


def test_a_body_that_came_with_its_head_costs_no_wait() -> None:
    with bench_of(read_all) as bench:
        client = bench.connect()
        assert client.send(post(b"abc") + GET) == awaiting(
            [Q, B, Q, O, A, *USUAL],
            head(length=3) + b"abc" + head(length=0),
            "1-1 POST / 200",
            "1-2 GET / 200",
        )


def test_a_chunked_body_is_read_to_its_last_byte_and_no_further() -> None:
    with bench_of(read_all) as bench:
        client = bench.connect()
        chunked = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        assert client.send(chunked + b"3\r\nabc\r\n") == at(B, [Q, B, Q, B])
        assert client.send(b"0\r\n") == at(B, [])
        assert client.send(b"\r\n" + GET) == awaiting(
            [Q, O, A, *USUAL], head(length=3) + b"abc" + head(length=0), "1-1 POST / 200", "1-2 GET / 200"
        )


def test_a_handler_that_reads_twice_gets_nothing_the_second_time() -> None:
    async def twice(request: Request) -> Response:
        return Response(await request.read() + b"|" + await request.read())

    with bench_of(twice) as bench:
        assert bench.connect().send(post(b"abc")).sent == head(length=4) + b"abc|"


def test_a_handler_that_awaits_the_body_of_a_request_without_one_is_not_made_to_wait() -> None:
    with bench_of(read_all) as bench:
        assert bench.connect().send(GET) == awaiting(USUAL, head(length=0), "1-1 GET / 200")


@pytest.mark.parametrize("parser", ["h11", "httptools"])
@given(st.data())
@settings(max_examples=30, deadline=None)
def test_however_a_conversation_is_cut_the_answers_are_the_same(parser: str, data: st.DataObject) -> None:
    chunked = (
        b"POST /c HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nt: u\r\n\r\n"
    )
    conversation = GET + post(b"x" * 30) + chunked + GET + post(b"y") + LAST
    cuts = sorted(data.draw(st.sets(st.integers(1, len(conversation) - 1), max_size=12)))
    with bench_of(read_all, parser=parser) as bench:
        client = bench.connect()
        sent = b"".join(
            client.send(conversation[one:other]).sent
            for one, other in itertools.pairwise([0, *cuts, len(conversation)])
        )
        bodies = [b"", b"x" * 30, b"abcde", b"", b"y"]
        assert sent == b"".join(head(length=len(body)) + body for body in bodies) + head(length=0, close=True)
        assert client.connection.state is C


# --- 100 (Continue)


def test_continue_is_said_when_the_handler_wants_the_body() -> None:
    with bench_of(read_all) as bench:
        client = bench.connect()
        request = post(b"abc", b"expect: 100-continue")
        assert client.send(request[:-3]) == at(B, [Q, B], b"HTTP/1.1 100 Continue\r\n\r\n")
        assert client.send(b"abc") == awaiting([Q, O, A], head(length=3) + b"abc", "1-1 POST / 200")


def test_continue_is_not_said_to_a_body_that_is_there_already() -> None:
    with bench_of(read_all) as bench:
        sent = bench.connect().send(post(b"abc", b"expect: 100-continue")).sent
        assert sent == head(length=3) + b"abc"


def test_continue_is_not_said_when_the_handler_does_not_want_the_body() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        request = post(b"abc", b"expect: 100-continue")
        assert client.send(request[:-3]) == at(L, [Q, O, L], FAREWELL, "1-1 POST / 200")


def test_continue_is_not_said_when_the_body_is_too_long_anyway() -> None:
    with bench_of(read_all, max_body=2) as bench:
        client = bench.connect()
        whole = client.send(post(b"abc", b"expect: 100-continue")[:-3])
        assert whole == at(
            L,
            [Q, B, O, L],
            error(413, "Content Too Large", "The body is longer than 2 bytes."),
            "1-1 POST / 413",
        )


def test_continue_is_said_once() -> None:
    with bench_of(read_all) as bench:
        client = bench.connect()
        request = post(b"abc", b"expect: 100-continue")
        client.send(request[:-3])
        assert client.send(b"a") == at(B, [Q, B])


def test_continue_is_not_said_once_the_answer_has_begun() -> None:
    async def early(request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"one"
            yield await request.read()

        return Response(pieces())

    with bench_of(early) as bench:
        client = bench.connect()
        request = post(b"two", b"expect: 100-continue")
        assert client.send(request[:-3]).sent == head(chunked=True) + b"3\r\none\r\n"
        assert client.send(b"two").sent == b"3\r\ntwo\r\n0\r\n\r\n"


def test_a_continue_that_the_socket_does_not_take_goes_out_before_the_answer() -> None:
    with bench_of(read_all) as bench:
        client = bench.connect(takes=[10])
        request = post(b"abc", b"expect: 100-continue")
        assert client.send(request[:-3]) == at(B, [Q, B], b"HTTP/1.1 1")
        assert client.send(b"abc").sent == b"00 Continue\r\n\r\n" + head(length=3) + b"abc"


def test_a_peer_that_is_gone_when_continue_is_said_ends_the_connection() -> None:
    with bench_of(read_all) as bench:
        client = bench.connect()
        client.far.sendall(post(b"abc", b"expect: 100-continue")[:-3])
        client.far.shutdown(socket.SHUT_RDWR)
        client.far.close()
        whole = client.settle()
        assert whole.state is C
        assert whole.logged == ["ended: client READING_BODY PEER_RESET", "1-1 POST / - client in READING_BODY"]


# --- streamed answers


def test_a_streamed_answer_goes_out_in_chunks_and_small_pieces_share_one() -> None:
    with bench_of(lambda _: Response(iter([b"one", b"two", b"three"]))) as bench:
        whole = bench.connect().send(GET)
        assert whole.sent == head(chunked=True) + b"b\r\nonetwothree\r\n0\r\n\r\n"
        assert whole == awaiting([Q, O, Q, O, A], whole.sent, "1-1 GET / 200")


def test_a_streamed_answer_to_http_1_0_is_ended_by_the_close() -> None:
    with bench_of(lambda _: Response(iter([b"one", b"two"]))) as bench:
        whole = bench.connect().send(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        assert whole == at(L, [Q, O, Q, O, L], head(close=True) + b"onetwo", "1-1 GET / 200")


def test_a_streamed_answer_of_a_promised_length_goes_out_as_it_is() -> None:
    fields = ((b"content-length", b"6"),)
    with bench_of(lambda _: Response(iter([b"one", b"two"]), fields=fields)) as bench:
        sent = bench.connect().send(GET).sent
        assert sent == b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n" + head()[len("HTTP/1.1 200 OK\r\n") :] + b"onetwo"


def test_a_streamed_answer_without_a_piece_is_whole_all_the_same() -> None:
    with bench_of(lambda _: Response(iter([]))) as bench:
        assert bench.connect().send(GET) == awaiting([Q, O, A], head(chunked=True) + b"0\r\n\r\n", "1-1 GET / 200")


@pytest.mark.parametrize("status", [204, 304])
def test_a_streamed_answer_without_content_sends_none_and_is_closed(status: int) -> None:
    body = Body([b"one"])
    with bench_of(lambda _: Response(body, status)) as bench:
        client = bench.connect()
        assert b"one" not in client.send(GET).sent
        assert client.connection.state is A
    assert body.closed == 1


def test_head_gets_the_head_of_a_streamed_answer_whose_body_is_only_closed() -> None:
    body = Body([b"one"])
    with bench_of(lambda _: Response(body)) as bench:
        whole = bench.connect().send(GET.replace(b"GET", b"HEAD"))
        assert whole == awaiting([Q, O, A], head(chunked=True), "1-1 HEAD / 200")
    assert (body.closed, body.taken) == (1, 0)


class Body:
    """An iterable body that tells how far it was taken, and how often it was closed."""

    def __init__(self, pieces: list[Any], fails: BaseException | None = None) -> None:
        self.pieces = pieces
        self.fails = fails
        self.taken = 0
        self.closed = 0

    def __iter__(self) -> Iterator[Any]:
        for piece in self.pieces:
            self.taken += 1
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def close(self) -> None:
        self.closed += 1
        if self.fails is not None:
            raise self.fails


def test_a_body_is_closed_once_when_it_has_been_sent() -> None:
    body = Body([b"one", b"two"])
    with bench_of(lambda _: Response(body)) as bench:
        bench.connect().send(GET)
    assert (body.closed, body.taken) == (1, 2)


def test_a_body_is_closed_once_when_the_client_leaves_in_the_middle() -> None:
    body = Body([b"x" * 200_000] * 50)
    with bench_of(lambda _: Response(body)) as bench:
        client = bench.connect(buffer=4096)
        assert client.send(GET).state is O
        assert 0 < body.taken < 5
        client.far.close()
        whole = client.settle()
        assert whole == closed(
            [C], b"", "ended: client SENDING_RESPONSE PEER_RESET", "1-1 GET / 200 client in SENDING_RESPONSE"
        )
    assert body.closed == 1


def test_a_producer_gets_no_further_than_its_allowance_in_one_turn() -> None:
    body = Body([b"x" * 70_000] * 100)
    with bench_of(lambda _: Response(body)) as bench:
        client = bench.connect()
        client.transport.write = lambda data, more=False: len(data)  # type: ignore[method-assign,assignment]
        client.far.sendall(GET)
        bench.turn()
        assert body.taken == PIECES
        bench.turn()
        assert PIECES < body.taken <= 2 * PIECES
        assert client.settle() == awaiting(client_way(101), b"", "1-1 GET / 200")


def client_way(pieces: int) -> list[S]:
    return [Q, O] * pieces + [A]


def test_an_asynchronous_body_is_stepped_like_a_handler() -> None:
    pending = Pending()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield await pending
        yield b"three"

    with bench_of(lambda _: Response(pieces())) as bench:
        client = bench.connect()
        assert client.send(GET) == at(Q, [Q, O, Q], head(chunked=True) + b"3\r\none\r\n")
        pending.finish(b"two")
        assert client.settle() == awaiting(
            [Q, O, Q, O, Q, O, A], b"3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n", "1-1 GET / 200"
        )


def test_an_echo_sends_what_has_come_while_the_rest_is_still_to_come() -> None:
    with bench_of(echo) as bench:
        client = bench.connect()
        request = post(b"abcdef")
        assert client.send(request[:-3]).sent.endswith(b"\r\n\r\nabc")
        assert client.send(b"def") == awaiting([Q, O, Q, O, A], b"def", "1-1 POST / 200")


def test_an_asynchronous_body_that_is_abandoned_midway_runs_its_finally() -> None:
    pending, ran = Pending(), []

    async def pieces() -> AsyncIterator[bytes]:
        try:
            yield b"one"
            yield await pending
        finally:
            ran.append("finally")

    with bench_of(lambda _: Response(pieces())) as bench:
        client = bench.connect()
        client.send(GET)
        assert client.leave() == closed(
            [C], b"", "ended: client QUERYING_BACKEND PEER_RESET", "1-1 GET / 200 client in QUERYING_BACKEND"
        )
    assert (ran, pending.cancelled) == (["finally"], 1)


def test_an_asynchronous_body_that_waits_for_the_socket_when_abandoned_runs_its_finally() -> None:
    ran = []

    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 100_000
        finally:
            ran.append("finally")

    with bench_of(lambda _: Response(pieces())) as bench:
        client = bench.connect(buffer=4096)
        assert client.send(GET).state is O
        assert client.leave().state is C
    assert ran == ["finally"]


def test_an_asynchronous_body_that_awaits_in_its_finally_when_abandoned_is_given_up_and_told_of() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        try:
            yield b"x" * 1_000_000
        finally:
            await Pending()

    with bench_of(lambda _: Response(pieces())) as bench:
        client = bench.connect(buffer=4096)
        assert client.send(GET).state is O
        whole = client.leave()
        assert whole.logged == [
            "ended: client SENDING_RESPONSE PEER_RESET",
            "failed: RuntimeError",
            "1-1 GET / 200 client in SENDING_RESPONSE",
        ]


def test_the_head_of_a_streamed_answer_waits_for_its_first_piece() -> None:
    pending = Pending()

    async def pieces() -> AsyncIterator[bytes]:
        yield await pending

    with bench_of(lambda _: Response(pieces())) as bench:
        client = bench.connect()
        assert client.send(GET) == at(Q, [Q])
        pending.finish(error=HTTPError(403, "Not yours."))
        assert client.settle() == awaiting(
            [Q, O, A], error(403, "Forbidden", "Not yours.", close=False), "1-1 GET / 403"
        )


# --- operations


def test_a_handler_that_waits_for_an_operation_is_resumed_with_what_it_brings() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending)

    with bench_of(handler) as bench:
        client = bench.connect()
        assert client.send(GET) == at(Q, [Q])
        assert client.connection.exchange is not None
        assert client.connection.exchange.operation is pending
        assert client.connection.exchange.loop is bench.loop
        pending.finish(b"hello")
        assert client.settle() == awaiting([Q, O, A], HELLO, "1-1 GET / 200")
    assert pending.cancelled == 0


def test_an_operation_that_fails_raises_in_the_handler() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        try:
            await pending
        except OSError as failure:
            return Response(str(failure).encode())
        raise AssertionError

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        pending.finish(error=OSError("broken"))
        assert client.settle() == awaiting([Q, O, A], head(length=6) + b"broken", "1-1 GET / 200")


def test_a_failed_operation_that_the_handler_lets_pass_is_a_500_and_no_more_is_told_to_the_client() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending)

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        pending.finish(error=OSError("secret"))
        assert client.settle() == awaiting(
            [Q, O, A], error(500, "Internal Server Error", close=False), "failed: OSError", "1-1 GET / 500"
        )


def test_an_operation_that_can_not_be_begun_raises_in_the_handler() -> None:
    async def handler(request: Request) -> Response:
        try:
            await Pending(refuses=OSError("full"))
        except OSError as failure:
            return Response(str(failure).encode())
        raise AssertionError

    with bench_of(handler) as bench:
        assert bench.connect().send(GET).sent == head(length=4) + b"full"


def test_an_operation_is_cancelled_when_the_client_resets_and_is_ignored_afterwards() -> None:
    pending = Pending()
    ran = []

    async def handler(request: Request) -> Response:
        try:
            return Response(await pending)
        finally:
            ran.append("finally")

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        assert client.leave() == closed(
            [C], b"", "ended: client QUERYING_BACKEND PEER_RESET", "1-1 GET / - client in QUERYING_BACKEND"
        )
        assert (pending.cancelled, ran) == (1, ["finally"])
        pending.finish(b"late")
        assert client.whole() == closed([])


def test_an_operation_that_is_late_is_cancelled_and_its_client_told_504() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending)

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        bench.after(29.75)
        assert client.whole() == at(Q, [])
        bench.after(0.25)
        late = error(504, "Gateway Timeout", "What was asked to answer this did not answer in time.")
        assert client.whole() == at(L, [O, L], late, "1-1 GET / 504")
        assert pending.cancelled == 1
        pending.finish(b"late")
        assert client.whole() == at(L, [])


def test_an_operation_that_is_late_in_the_middle_of_an_answer_cuts_it() -> None:
    pending = Pending()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield await pending

    with bench_of(lambda _: Response(pieces())) as bench:
        client = bench.connect()
        client.send(GET)
        bench.after(30)
        assert client.whole() == closed(
            [C],
            b"",
            "ended: deadline QUERYING_BACKEND DEADLINE_PASSED",
            "1-1 GET / 200 deadline in QUERYING_BACKEND",
        )
        assert client.transport.done == ["reset", "close"]


def test_each_operation_has_the_whole_deadline_to_itself() -> None:
    first, second = Pending(), Pending()

    async def handler(request: Request) -> Response:
        return Response(await first + await second)

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        bench.after(29)
        first.finish(b"a")
        bench.after(29)
        assert client.whole() == at(Q, [Q])
        second.finish(b"b")
        assert client.settle().sent == head(length=2) + b"ab"


def test_bytes_that_come_while_a_handler_waits_cost_one_change_of_interest_and_are_not_read() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending if request.target == "/" else b"next")

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        bench.poller.calls.clear()
        following = GET.replace(b"/ ", b"/next ")
        assert client.send(following) == at(Q, [], interest=NOTHING)
        assert bench.poller.calls == [("modify", client.connection.descriptor, 0)]
        pending.finish(b"hello")
        assert client.settle() == awaiting(
            [Q, O, A, *USUAL], HELLO + head(length=4) + b"next", "1-1 GET / 200", "1-2 GET /next 200"
        )


# --- deadlines: just before, and at


def test_silence_is_ended_at_the_keep_alive_deadline_by_a_farewell() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        bench.after(14.75)
        assert client.whole() == awaiting([])
        bench.after(0.25)
        assert client.whole() == at(L, [L])
        assert client.at_end
        bench.after(1.75)
        assert client.whole() == at(L, [])
        bench.after(0.25)
        assert client.whole() == closed([C])


def test_the_keep_alive_deadline_counts_from_the_last_answer() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        bench.after(14)
        client.send(GET)
        bench.after(14.75)
        assert client.whole() == awaiting([])
        bench.after(0.25)
        assert client.whole() == at(L, [L])


def test_a_head_has_its_deadline_in_total_however_often_a_byte_comes() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        client.send(GET[:1])
        for offset in range(1, 20):
            bench.after(0.5)
            assert client.send(GET[offset : offset + 1]) == at(H, [])
        bench.after(0.25)
        assert client.whole() == at(H, [])
        bench.after(0.25)
        late = error(408, "Request Timeout", "The head did not come in time.")
        assert client.whole() == at(L, [O, L], late, "1-1 - - 408")
        assert client.half_close() == closed([C], b"", "ended: deadline READING_HEAD DEADLINE_PASSED")


LATE_BODY = error(408, "Request Timeout", "The body did not come in time.")


def test_a_body_is_ended_when_nothing_came_for_a_while() -> None:
    with bench_of(read_all, body_min_rate=0) as bench:
        client = bench.connect()
        client.send(post(b"a", length=10))
        bench.after(29.75)
        assert client.whole() == at(B, [Q, B, Q, B][:0])
        bench.after(0.25)
        assert client.whole() == at(L, [O, L], LATE_BODY, "1-1 POST / 408")


def test_a_byte_of_body_resets_its_idle_deadline() -> None:
    with bench_of(read_all, body_min_rate=0) as bench:
        client = bench.connect()
        client.send(post(b"a", length=10))
        for _ in range(4):
            bench.after(29.75)
            assert client.send(b"x") == at(B, [Q, B])
        bench.after(30)
        assert client.whole().state is L


def test_a_chunk_line_in_pieces_resets_the_idle_deadline_too() -> None:
    with bench_of(read_all, body_min_rate=0) as bench:
        client = bench.connect()
        client.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        bench.after(29.75)
        assert client.send(b"1") == at(B, [])
        bench.after(29.75)
        assert client.whole() == at(B, [])
        bench.after(0.25)
        assert client.whole().sent == LATE_BODY


def test_a_body_must_come_at_its_rate_once_the_grace_is_over() -> None:
    with bench_of(read_all) as bench:
        client = bench.connect()
        request = post(b"", length=100_000)
        client.send(request)
        bench.after(5)
        assert client.whole() == at(B, [])
        enough = 240 * 2 - len(request)  # for the grace and two seconds
        client.send(b"x" * enough)
        bench.after(2)
        assert client.whole() == at(B, [])
        bench.after(0.25)
        assert client.whole() == at(L, [O, L], LATE_BODY, "1-1 POST / 408")


def test_one_byte_of_body_now_and_then_does_not_help() -> None:
    with bench_of(read_all) as bench:
        client = bench.connect()
        client.send(post(b"", length=100_000))
        lasted = 0.0
        while client.connection.state is B:
            client.send(b"x")
            bench.after(0.25)
            lasted += 0.25
        assert 5 < lasted < 6
        assert client.received() == LATE_BODY


def test_only_waiting_for_the_body_counts_and_not_the_handler_in_between() -> None:
    pending = [Pending() for _ in range(3)]

    async def slow(request: Request) -> Response:
        turns = iter(pending)
        async for _ in request:
            await next(turns)
        return Response(b"done")

    with bench_of(slow) as bench:
        client = bench.connect()
        client.send(post(b"a", length=3))
        for number in range(3):
            bench.after(20)
            assert client.connection.state is Q
            pending[number].finish()
            if number < 2:
                assert client.send(b"x").state is Q
        assert client.settle().sent == head(length=4) + b"done"


def stuck(bench: Bench, request: bytes = GET) -> Client:
    """A client that does not read, whose answer has filled the socket."""
    client = bench.connect(buffer=4096)
    client.far.sendall(request)
    bench.settle()
    assert client.connection.state is O
    return client


def big(request: Request) -> Response:
    return Response(b"x" * 1_000_000)


def test_a_client_that_takes_nothing_is_cut() -> None:
    with bench_of(big, send_min_rate=0) as bench:
        client = stuck(bench)
        bench.after(29.75)
        assert client.connection.state is O
        bench.after(0.25)
        assert client.connection.state is C
        assert client.transport.done == ["reset", "close"]
        assert bench.logs.take() == [
            "ended: deadline SENDING_RESPONSE DEADLINE_PASSED",
            "1-1 GET / 200 deadline in SENDING_RESPONSE",
        ]


def test_a_client_that_takes_a_little_resets_the_idle_deadline() -> None:
    with bench_of(big, send_min_rate=0) as bench:
        client = stuck(bench)
        for _ in range(3):
            bench.after(29.75)
            assert client.received()
            bench.settle()
        assert client.connection.state is O
        bench.after(30)
        assert client.connection.state is C


def test_a_client_must_take_an_answer_at_its_rate_once_the_grace_is_over() -> None:
    with bench_of(big, send_min_rate=1_000_000) as bench:
        client = stuck(bench)
        sent = client.connection.sent
        bench.after(5)
        assert client.connection.state is O
        assert sent < 250_000
        bench.after(0.25)
        assert client.connection.state is C


def test_a_late_file_is_cut_by_its_deadline_and_closed() -> None:
    with bench_of(file_handler(b"x" * 1_000_000)) as bench:
        client = stuck(bench)
        bench.after(30)
        assert client.connection.state is C
        assert client.connection.file is None


# --- the end of keeping alive


def test_the_last_request_a_connection_may_have_is_answered_with_close() -> None:
    with bench_of(hello, max_requests=3) as bench:
        client = bench.connect()
        for number in (1, 2):
            assert client.send(GET) == awaiting(USUAL, HELLO, f"1-{number} GET / 200")
        assert client.send(GET) == at(L, [Q, O, L], FAREWELL, "1-3 GET / 200")


def test_a_client_that_wants_the_close_gets_it_without_a_farewell() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        assert client.send(LAST) == closed([Q, O, C], FAREWELL, "1-1 GET / 200")
        assert client.at_end
        assert client.transport.done == ["close"]


def test_a_client_that_wants_the_close_and_sends_more_is_not_reset() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        assert client.send(LAST + GET) == at(L, [Q, O, L], FAREWELL, "1-1 GET / 200")
        assert client.half_close() == closed([C])


def test_an_http_1_0_client_is_kept_only_if_it_asks() -> None:
    with bench_of(hello) as bench:
        assert bench.connect().send(b"GET / HTTP/1.0\r\n\r\n").sent == FAREWELL
        kept = bench.connect()
        assert kept.send(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").sent.endswith(
            b"connection: keep-alive\r\n\r\nhello"
        )
        assert kept.connection.state is A


def test_an_application_that_wants_the_close_gets_it() -> None:
    with bench_of(lambda _: Response(b"hello", fields=((b"Connection", b"Close"),))) as bench:
        assert bench.connect().send(GET) == at(L, [Q, O, L], FAREWELL, "1-1 GET / 200")


def test_after_an_answer_that_did_not_read_the_body_nothing_more_is_parsed() -> None:
    served = []

    def handler(request: Request) -> Response:
        served.append(request.method)
        return Response(b"hello")

    with bench_of(handler) as bench:
        client = bench.connect()
        assert client.send(post(GET, length=1000)) == at(L, [Q, O, L], FAREWELL, "1-1 POST / 200")
        assert client.send(GET * 10) == at(L, [])
    assert served == ["POST"]


def test_a_streamed_answer_that_left_the_body_unread_ends_the_connection() -> None:
    with bench_of(lambda _: Response(iter([b"hello"]))) as bench:
        client = bench.connect()
        assert client.send(post(b"abc" + GET, length=3)).way == [Q, O, Q, O, L]
        assert bench.logs.take() == []


# --- the client's half-close


@pytest.mark.parametrize("poller", EVERY_POLLER)
def test_a_client_that_half_closes_after_its_request_gets_the_whole_answer(poller: str) -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending)

    with bench_of(handler, poller=poller) as bench:
        client = bench.connect(tcp=True)
        client.send(GET)
        assert client.half_close().state is Q
        pending.finish(b"hello")
        assert client.settle() == closed([Q, O, A, C], HELLO, "1-1 GET / 200")


def test_a_client_that_half_closes_while_we_send_gets_the_whole_answer() -> None:
    with bench_of(big) as bench:
        client = stuck(bench)
        client.far.shutdown(socket.SHUT_WR)
        assert client.read_all() == head(length=1_000_000) + b"x" * 1_000_000
        assert client.connection.state is C


def test_requests_in_front_of_a_half_close_are_all_answered() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        client.far.sendall(GET * 3)
        whole = client.half_close()
        assert whole.sent == HELLO * 3
        assert whole.state is C


def test_a_half_close_before_the_first_request_ends_the_connection() -> None:
    with bench_of(hello) as bench:
        assert bench.connect().half_close() == closed([C])


def test_a_half_close_inside_a_head_ends_the_connection_and_is_told_of() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        client.send(GET[:10])
        assert client.half_close() == closed([C], b"", "ended: client READING_HEAD PEER_CLOSED")


def test_no_handler_runs_on_a_body_that_was_cut_short() -> None:
    ended = []

    async def handler(request: Request) -> Response:
        try:
            return Response(await request.read())
        finally:
            ended.append("given up")

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(post(b"abc", length=10))
        cut_short = error(400, "Bad Request", "The connection was closed inside the request's body.")
        whole = client.half_close()
        assert whole == closed([O, L, C], cut_short, "1-1 POST / 400", "ended: client READING_BODY BODY_REFUSED")
    assert ended == ["given up"]


# --- lingering


def test_what_comes_in_the_farewell_is_discarded_up_to_a_bound() -> None:
    with bench_of(hello, max_linger=1000, max_requests=1) as bench:
        client = bench.connect()
        client.send(GET)
        assert client.send(b"x" * 1000) == at(L, [])
        assert client.send(b"x") == closed([C])


def test_a_farewell_ends_when_the_client_closes_too() -> None:
    with bench_of(hello, max_requests=1) as bench:
        client = bench.connect()
        client.send(GET)
        assert client.half_close() == closed([C])


def test_a_farewell_ends_when_the_client_resets() -> None:
    with bench_of(hello, max_requests=1) as bench:
        client = bench.connect(tcp=True)
        client.send(GET)
        reset(client)
        assert client.settle() == closed([C])


def test_a_client_that_is_gone_at_the_half_close_ends_the_connection_without_one() -> None:
    with bench_of(hello, max_requests=1) as bench:
        client = bench.connect(tcp=True)
        shut_down = client.transport.shut_down

        def meanwhile() -> None:
            reset(client)
            shut_down()

        client.transport.shut_down = meanwhile  # type: ignore[method-assign]
        client.far.sendall(GET)
        bench.settle()
        assert client.connection.state is C
        assert bench.crashes == []


def reset(client: Client) -> None:
    """Let the client's kernel send a reset."""
    client.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    client.far.close()


# --- every state: reset, ordered closed, drained


def in_state(bench: Bench, state: S, *, tcp: bool = False) -> Client:
    """A client whose connection rests in `state`."""
    client = bench.connect(tcp=tcp, buffer=4096 if state is O else 0)
    if state is H:
        client.far.sendall(GET[:5])
    elif state is B:
        client.far.sendall(post(b"a", length=10))
    elif state is Q:
        client.far.sendall(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
    elif state is O:
        client.far.sendall(b"GET /big HTTP/1.1\r\nhost: x\r\n\r\n")
    elif state is L:
        client.far.sendall(GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\nmore"))
    bench.settle()
    assert client.connection.state is state
    client.received() if state is not O else None
    client.whole() if state is not O else None
    bench.logs.events.clear()
    client._told = len(client.connection.history)
    return client


async def every(request: Request) -> Response:
    if request.target == "/wait":
        await Pending()
    if request.target == "/big":
        return Response(b"x" * 3_000_000)
    return Response(await request.read())


RESTING = [A, H, B, Q, O, L]
REQUESTS = {
    A: [],
    H: [],
    B: ["1-1 POST / - {} in READING_BODY"],
    Q: ["1-1 GET /wait - {} in QUERYING_BACKEND"],
    O: ["1-1 GET /big 200 {} in SENDING_RESPONSE"],
    L: [],
}


@pytest.mark.parametrize("poller", EVERY_POLLER)
@pytest.mark.parametrize("state", RESTING)
def test_a_reset_in_any_state_ends_the_connection_and_gives_everything_back(state: S, poller: str) -> None:
    with bench_of(every, poller=poller) as bench:
        client = in_state(bench, state, tcp=True)
        reset(client)
        bench.settle()
        assert client.connection.state is C
        assert client.is_closed
        told = [] if state in (A, L) else [f"ended: client {state} PEER_RESET"]
        assert bench.logs.take() == told + [line.format("client") for line in REQUESTS[state]]
        assert (client.connection.input, client.connection.output, client.connection.tail) == (b"", b"", b"")
        assert client.connection.exchange is None


@pytest.mark.parametrize("state", RESTING)
def test_an_ordered_close_in_any_state_is_a_cut_where_something_was_under_way(state: S) -> None:
    with bench_of(every) as bench:
        client = in_state(bench, state)
        bench.loop.fire(client.connection, T.CLOSE_ORDERED)
        bench.settle()
        whole = client.whole()
        told = [] if state in (A, L) else [f"ended: operator {state} CLOSE_ORDERED"]
        assert whole._replace(sent=b"") == closed(
            [C], b"", *told, *[line.format("operator") for line in REQUESTS[state]]
        )
        assert client.transport.done[-2:] == (["reset", "close"] if told else client.transport.done[-2:])
        assert ("reset" in client.transport.done) is bool(told)


@pytest.mark.parametrize("state", RESTING)
def test_a_drain_closes_what_is_idle_and_nothing_else(state: S) -> None:
    with bench_of(every) as bench:
        client = in_state(bench, state)
        assert client.connection.accepts(T.DRAIN_STARTED) is (state is A)
        if state is A:
            bench.loop.fire(client.connection, T.DRAIN_STARTED)
            bench.settle()
            assert client.whole() == closed([C])


def test_a_connection_that_is_answering_when_the_process_drains_ends_after_the_answer() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending)

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        bench.service.draining = True
        pending.finish(b"hello")
        assert client.settle() == at(L, [Q, O, L], FAREWELL, "1-1 GET / 200")


def test_a_streamed_answer_that_had_promised_to_keep_alive_ends_the_connection_when_the_process_drains() -> None:
    pending = Pending()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield await pending

    with bench_of(lambda _: Response(pieces())) as bench:
        client = bench.connect()
        client.send(GET)
        bench.service.draining = True
        pending.finish(b"two")
        assert client.settle() == at(L, [Q, O, Q, O, L], b"3\r\ntwo\r\n0\r\n\r\n", "1-1 GET / 200")


def test_a_cut_is_a_reset_on_the_wire() -> None:
    with bench_of(every) as bench:
        client = in_state(bench, Q, tcp=True)
        bench.loop.fire(client.connection, T.CLOSE_ORDERED)
        bench.settle()
        client.far.setblocking(True)
        client.far.settimeout(10)
        with pytest.raises(ConnectionResetError):
            client.far.recv(1)


# --- refusals


def test_a_refused_head_is_answered_and_nothing_behind_it_is_looked_at() -> None:
    served = []

    def handler(request: Request) -> Response:
        served.append(request.target)
        return Response(b"hello")

    with bench_of(handler) as bench:
        client = bench.connect()
        bad = b"GET / HTTP/1.1\r\n\r\n"
        refused = error(400, "Bad Request", "An HTTP/1.1 request needs a Host field.")
        assert client.send(bad + GET) == at(L, [O, L], refused, "1-1 - - 400")
        assert client.send(GET) == at(L, [])
        assert client.half_close() == closed([C], b"", "ended: client AWAITING_REQUEST HEAD_REFUSED")
    assert served == []


def test_a_head_refused_at_its_first_bad_byte_is_answered_before_its_end() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        client.send(b"GET / HT")
        whole = client.send(b"\0")
        assert (whole.state, whole.way, whole.sent[:12]) == (L, [O, L], b"HTTP/1.1 400")


def test_a_refused_request_behind_a_good_one_has_a_name_of_its_own_in_the_log() -> None:
    with bench_of(hello) as bench:
        whole = bench.connect().send(GET + b"\0")
        assert [line.split()[0] for line in whole.logged] == ["1-1", "1-2"]


def test_a_body_that_is_refused_is_answered_and_its_handler_given_up() -> None:
    with bench_of(read_all) as bench:
        client = bench.connect()
        chunked = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        whole = client.send(chunked + b"zz\r\n")
        refused = error(400, "Bad Request", "A chunk size is not hexadecimal.")
        assert whole == at(L, [Q, B, O, L], refused, "1-1 POST / 400")


def test_an_error_is_json_for_who_prefers_that() -> None:
    with bench_of(read_all, max_body=2) as bench:
        sent = bench.connect().send(post(b"abc", b"accept: application/json")).sent
        assert b"application/json" in sent
        assert sent.endswith(b'"detail": "The body is longer than 2 bytes."}')


def test_a_body_that_is_refused_after_the_answer_has_begun_cuts_it() -> None:
    with bench_of(echo) as bench:
        client = bench.connect()
        chunked = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        assert client.send(chunked + b"1\r\na\r\n").state is B
        assert client.send(b"zz\r\n") == closed(
            [C], b"", "ended: client READING_BODY BODY_REFUSED", "1-1 POST / 200 client in READING_BODY"
        )
        assert client.transport.done == ["reset", "close"]


def test_a_body_that_is_late_after_the_answer_has_begun_cuts_it() -> None:
    with bench_of(echo) as bench:
        client = bench.connect()
        client.send(post(b"a", length=10))
        bench.after(30)
        assert client.whole() == closed(
            [C], b"", "ended: deadline READING_BODY DEADLINE_PASSED", "1-1 POST / 200 deadline in READING_BODY"
        )


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_route_may_set_the_bodys_bound(beyond: int) -> None:
    async def handler(request: Request) -> Response:
        request.body_limit = 5
        return Response(await request.read())

    with bench_of(handler) as bench:
        sent = bench.connect().send(post(b"x" * (5 + beyond))).sent
        assert sent.startswith(b"HTTP/1.1 413" if beyond else b"HTTP/1.1 200")


# --- files


def temporary(data: bytes) -> int:
    """A descriptor of a file that holds `data` and has no name."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return os.dup(file.fileno())


def file_handler(data: bytes) -> Callable[[Request], Response]:
    def handler(request: Request) -> Response:
        return Response(File(temporary(data), 0, len(data)))

    return handler


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 3 * 1024 * 1024])
@pytest.mark.parametrize("without_sendfile", [False, True])
def test_a_file_is_sent_whole_and_closed(size: int, without_sendfile: bool) -> None:
    data = os.urandom(size)
    with bench_of(file_handler(data)) as bench:
        client = bench.connect()
        client.transport._without_sendfile = without_sendfile
        client.far.sendall(GET)
        assert client.read_all() == head(length=size) + data
        assert client.connection.state is A


def test_a_stretch_of_a_file_is_sent_and_no_more() -> None:
    with bench_of(lambda _: Response(File(temporary(b"0123456789"), 3, 4))) as bench:
        assert bench.connect().send(GET).sent == head(length=4) + b"3456"


def test_a_file_among_pieces_is_sent_in_its_place() -> None:
    def multipart(request: Request) -> Response:
        file = temporary(b"0123456789")
        parts = [b"--a\r\n", File(file, 0, 3, owned=False), b"--b\r\n", File(file, 5, 2), b"--\r\n"]
        return Response(parts, fields=((b"content-length", b"%d" % 19),))

    with bench_of(multipart) as bench:
        client = bench.connect()
        assert client.send(GET).sent.endswith(b"\r\n\r\n--a\r\n012--b\r\n56--\r\n")
        assert client.connection.state is A


def test_a_file_among_chunks_is_one() -> None:
    def multipart(request: Request) -> Response:
        return Response(iter([b"<", File(temporary(b"0123456789"), 0, 10), b">"]))

    with bench_of(multipart) as bench:
        sent = bench.connect().send(GET).sent
        assert sent == head(chunked=True) + b"1\r\n<\r\na\r\n0123456789\r\n1\r\n>\r\n0\r\n\r\n"


def test_an_empty_file_among_chunks_is_none() -> None:
    with bench_of(lambda _: Response(iter([b"<", File(temporary(b""), 0, 0), b">"]))) as bench:
        assert bench.connect().send(GET).sent == head(chunked=True) + b"1\r\n<\r\n1\r\n>\r\n0\r\n\r\n"


def test_the_last_byte_of_an_answer_is_not_sent_as_if_more_would_follow() -> None:
    """MSG_MORE on what comes last keeps it in the kernel for 200 ms."""
    answers: list[Response] = []
    with bench_of(lambda _: answers[-1]) as bench:
        for body in (b"", b"x", File(temporary(b""), 0, 0), [b"a"], [File(temporary(b""), 0, 0)], b"x" * 100_000):
            answers.append(Response(body))
            client = bench.connect()
            client.send(GET)
            assert client.transport.writes[-1][1] is False, body


def test_a_head_that_a_file_follows_shares_its_packet() -> None:
    with bench_of(file_handler(b"data")) as bench:
        client = bench.connect()
        client.send(GET)
        assert client.transport.writes == [(head(length=4), True)]


def test_a_file_that_became_shorter_cuts_the_answer() -> None:
    with bench_of(lambda _: Response(File(temporary(b"abc"), 0, 10))) as bench:
        client = bench.connect()
        assert client.send(GET) == closed(
            [Q, O, C],
            head(length=10) + b"abc",
            "file_unreadable",
            "ended: server SENDING_RESPONSE RESPONSE_BROKEN",
            "1-1 GET / 200 server in SENDING_RESPONSE",
        )
        assert client.transport.done == ["reset", "close"]


def test_head_closes_the_file_and_tells_its_length() -> None:
    file = File(temporary(b"abc"), 0, 3)
    with bench_of(lambda _: Response(file)) as bench:
        assert bench.connect().send(GET.replace(b"GET", b"HEAD")).sent == head(length=3)
    assert not file.owned


def test_a_file_is_closed_when_the_client_leaves() -> None:
    with bench_of(file_handler(b"x" * 3_000_000)) as bench:
        client = stuck(bench)
        assert client.connection.file is not None
        client.far.close()
        bench.settle()
        assert client.connection.state is C
        assert client.connection.file is None


def test_a_file_is_sent_in_bounded_pieces_so_that_others_get_their_turn() -> None:
    with bench_of(file_handler(b"x" * 5_000_000)) as bench:
        client = bench.connect()
        asked = []
        client.transport.send_file = lambda _, offset, count: asked.append(count) or count  # type: ignore[method-assign,func-returns-value]
        client.far.sendall(GET)
        bench.turn()
        assert asked == [2 * 1024 * 1024]
        bench.settle()
        assert asked == [2 * 1024 * 1024] * 2 + [5_000_000 - 4 * 1024 * 1024]


# --- output that the socket takes piece by piece


def answers(request: Request) -> Any:
    match request.target:
        case "/bytes":
            return Response(b"abcdefghij" * 20)
        case "/large":
            return Response(b"0123456789" * 7_000)
        case "/chunks":
            return Response(iter([b"a" * 10, File(temporary(b"file" * 5), 2, 15), b"", b"b", b"c" * 70_000]))
        case "/file":
            return Response(File(temporary(b"0123456789" * 30), 5, 200))
        case "/echo":
            return echo(request)
        case _:
            return read_all(request)


CONVERSATION = b"".join(
    [
        *(
            b"GET /%b HTTP/1.1\r\nhost: x\r\n\r\n" % name
            for name in (b"bytes", b"chunks", b"file", b"large", b"missing")
        ),
        post(b"echoed").replace(b"/ ", b"/echo "),
        LAST,
    ]
)


def spoken(takes: list[int], cuts: list[int], *, without_sendfile: bool) -> tuple[bytes, list[str]]:
    """What a client gets whose socket takes so many bytes at a time, when it sends in these pieces."""
    with bench_of(answers) as bench:
        client = bench.connect(takes)
        client.transport._without_sendfile = without_sendfile
        got = b""
        for one, other in itertools.pairwise([0, *cuts, len(CONVERSATION)]):
            client.far.sendall(CONVERSATION[one:other])
            got += client.read_all()
        assert client.connection.state is C
        return got, bench.logs.take()


WHOLLY = spoken([], [], without_sendfile=False)


@given(
    st.lists(st.one_of(st.integers(0, 3), st.integers(0, 300), st.integers(0, 70_000)), max_size=60),
    st.sets(st.integers(1, len(CONVERSATION) - 1), max_size=5),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_however_the_socket_takes_it_the_client_gets_the_same(
    takes: list[int], cuts: set[int], without_sendfile: bool
) -> None:
    assert spoken(takes, sorted(cuts), without_sendfile=without_sendfile) == WHOLLY


def test_one_byte_at_a_time_is_the_same_too() -> None:
    got, logged = spoken([1] * 3000, [], without_sendfile=True)
    assert (got, logged) == WHOLLY


@pytest.mark.parametrize("poller", EVERY_POLLER)
def test_a_tiny_socket_gets_a_large_answer_whole(poller: str) -> None:
    with bench_of(answers, poller=poller) as bench:
        client = bench.connect(buffer=2048)
        client.far.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n" * 3)
        assert client.read_all() == (head(length=70_000) + b"0123456789" * 7_000) * 3
        assert client.connection.state is A


def test_at_most_one_bounded_read_is_made_in_a_turn() -> None:
    with bench_of(read_all, max_body=10_000_000) as bench:
        client = bench.connect()
        client.far.setblocking(False)
        client.far.send(post(b"x" * 190_000))
        bench.turn()
        assert client.connection.bytes_in <= READ_SIZE


def test_a_spurious_report_changes_nothing() -> None:
    with bench_of(every) as bench:
        for state in (A, H, B, L):
            client = in_state(bench, state)
            bench.poller.script = [[(client.connection.descriptor, 1)]]
            bench.turn()
            assert client.whole()[:4] == (state, [], b"", [])


# --- the same batch


def test_a_revisit_whose_bytes_were_read_meanwhile_begins_no_request() -> None:
    """An operation ends, and the next request is reported, in one batch: the report takes what the revisit is for."""
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending if request.target == "/wait" else b"hello")

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n" + GET[:9])
        client.far.sendall(GET[9:])
        bench.loop.call_from_thread(lambda: pending.finish(b""))
        bench.poller.script = [[(bench.loop.wake_up.descriptor, 1), (client.connection.descriptor, 1)]]
        whole = client.settle()
        assert (whole.state, whole.sent) == (A, head(length=0) + HELLO)
        assert H not in whole.way[-3:]


def test_a_request_in_the_buffer_is_answered_before_the_half_close_behind_it_is_looked_at() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending if request.target == "/wait" else b"hello")

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n" + GET)
        client.far.shutdown(socket.SHUT_WR)
        bench.loop.call_from_thread(lambda: pending.finish(b""))
        bench.poller.script = [[(bench.loop.wake_up.descriptor, 1), (client.connection.descriptor, 1)]]
        whole = client.settle()
        assert (whole.state, whole.sent) == (C, head(length=0) + HELLO)


# --- what handlers and applications do wrong


INTERNAL = error(500, "Internal Server Error", close=False)
FAULTS = [ValueError("secret"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), StopIteration(), MemoryError()]


def raising(fault: BaseException) -> Callable[[], Any]:
    def handler(*_: Any) -> Any:
        raise fault

    return handler


@pytest.mark.parametrize("fault", [*FAULTS, StopAsyncIteration(), RecursionError()], ids=repr)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_whatever_a_handler_raises_is_a_500_and_one_line(fault: BaseException, asynchronous: bool) -> None:
    def plain(request: Request) -> Response:
        raise fault

    async def coroutine(request: Request) -> Response:
        raise fault

    with bench_of(coroutine if asynchronous else plain) as bench:
        client = bench.connect()
        raised = "RuntimeError" if asynchronous and isinstance(fault, StopIteration) else type(fault).__name__
        assert client.send(GET) == awaiting(USUAL, INTERNAL, f"failed: {raised}", "1-1 GET / 500")
        assert client.send(GET).state is A


def test_an_http_error_is_an_answer_and_not_logged_as_a_fault() -> None:
    def handler(request: Request) -> Response:
        raise HTTPError(401, "Who?", ((b"www-authenticate", b"Basic"),))

    with bench_of(handler) as bench:
        whole = bench.connect().send(GET)
        assert whole.logged == ["1-1 GET / 401"]
        assert b"www-authenticate: Basic\r\n" in whole.sent


@pytest.mark.parametrize(
    "wrong",
    [
        HTTPError(99),
        HTTPError(404, "no \udcff"),
        HTTPError(401, "", [(b"www-authenticate", b"Basic")]),  # type: ignore[arg-type]
        HTTPError(401, "", ((b"a\r\n", b""),)),
        HTTPError("404"),  # type: ignore[arg-type]
        HTTPError([]),  # type: ignore[arg-type]
    ],
    ids=str,
)
def test_an_http_error_that_can_not_be_sent_is_a_500(wrong: HTTPError) -> None:
    def handler(request: Request) -> Response:
        raise wrong

    with bench_of(handler) as bench:
        whole = bench.connect().send(GET)
        assert whole.state is A
        assert whole.sent == INTERNAL
        assert [line.split()[0] for line in whole.logged] == ["failed:", "1-1"]


@pytest.mark.parametrize("detail", [b"bytes", object(), {1, 2}])
def test_an_http_error_whose_detail_json_can_not_hold_is_answered_all_the_same(detail: Any) -> None:
    def handler(request: Request) -> Response:
        raise HTTPError(400, detail)

    with bench_of(handler) as bench:
        whole = bench.connect().send(GET.replace(b"\r\n\r\n", b"\r\naccept: application/json\r\n\r\n"))
        assert whole.state is A
        assert whole.sent[:10] == b"HTTP/1.1 5"


class Odd:
    """An object that is nothing a handler should hand back."""

    def __getattr__(self, name: str) -> Any:
        raise LookupError(name)


async def _generator() -> AsyncIterator[bytes]:
    yield b"x"


def _steps() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: None,
        lambda: "text",
        lambda: b"bytes",
        lambda: 5,
        _steps,
        _generator,
        Odd,
        lambda: Response,
    ],
)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_whatever_else_a_handler_hands_back_is_a_500(wrong: Callable[[], Any], asynchronous: bool) -> None:
    made = wrong()

    def plain(request: Request) -> Any:
        return made

    async def coroutine(request: Request) -> Any:
        return made

    with bench_of(coroutine if asynchronous else plain) as bench:
        whole = bench.connect().send(GET)
        assert (whole.state, whole.sent) == (A, INTERNAL)
        assert [line.split()[0] for line in whole.logged] == ["failed:", "1-1"]


@pytest.mark.parametrize("awaited", [5, None, b"", Response(b"")], ids=repr)
def test_a_handler_that_awaits_something_else_than_an_operation_is_told_so(awaited: Any) -> None:
    class Awaitable:
        def __await__(self) -> Iterator[Any]:
            yield awaited

    async def handler(request: Request) -> Response:
        await Awaitable()
        raise AssertionError

    with bench_of(handler) as bench:
        assert bench.connect().send(GET) == awaiting(USUAL, INTERNAL, "failed: TypeError", "1-1 GET / 500")


def test_a_handler_may_recover_from_having_awaited_something_else() -> None:
    class Awaitable:
        def __await__(self) -> Iterator[Any]:
            yield 5

    async def handler(request: Request) -> Response:
        try:
            await Awaitable()
        except TypeError as mistake:
            return Response(str(mistake).encode())
        raise AssertionError

    with bench_of(handler) as bench:
        assert bench.connect().send(GET).sent.endswith(b"a handler awaits operations, not int")


@pytest.mark.parametrize(
    "response",
    [
        Response(None),  # type: ignore[arg-type]
        Response(5),  # type: ignore[arg-type]
        Response("text"),  # type: ignore[arg-type]
        Response(["text"]),  # type: ignore[list-item]
        Response([5]),  # type: ignore[list-item]
        Response([None, b"more"]),  # type: ignore[list-item]
        Response(bytearray(b"abc")),  # type: ignore[arg-type]
        Response(b"", 99),
        Response(b"", 101),
        Response(b"", 600),
        Response(b"", "200"),  # type: ignore[arg-type]
        Response(b"", None),  # type: ignore[arg-type]
        Response(b"", reason="a\r\nb"),
        Response(b"", reason="é"),
        Response(b"", reason=b"OK"),  # type: ignore[arg-type]
        Response(b"", reason=5),  # type: ignore[arg-type]
        Response(b"", fields=None),  # type: ignore[arg-type]
        Response(b"", fields=5),  # type: ignore[arg-type]
        Response(b"", fields="ab"),  # type: ignore[arg-type]
        Response(b"", fields=((b"a",),)),  # type: ignore[arg-type]
        Response(b"", fields=(b"ab",)),  # type: ignore[arg-type]
        Response(b"", fields=(5,)),  # type: ignore[arg-type]
        Response(b"", fields=((b"a", b"b", b"c"),)),  # type: ignore[arg-type]
        Response(b"", fields=[(b"a", b"b")]),  # type: ignore[arg-type]
        Response(b"", fields=((b"a", "b"),)),  # type: ignore[arg-type]
        Response(b"", fields=(("a", b"b"),)),  # type: ignore[arg-type]
        Response(b"", fields=((None, None),)),  # type: ignore[arg-type]
        Response(b"", fields=((b"a", b"b\r\nc: d"),)),
        Response(b"", fields=((b"a b", b"c"),)),
        Response(b"abc", fields=((b"content-length", b"4"),)),
        Response([], fields=((b"content-length", b"4"),)),
        Response([b"abc"], fields=((b"content-length", b"2"),)),
        Response(b"", fields=((b"transfer-encoding", b"chunked"),)),
        Response(File(-1, 0, -1, owned=False)),
    ],
    ids=lambda response: f"{response.status}-{response.reason}-{response.fields}-{response.body}"[:60],
)
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_a_response_that_can_not_be_sent_is_a_500(response: Response, method: bytes) -> None:
    with bench_of(lambda _: response) as bench:
        whole = bench.connect().send(GET.replace(b"GET", method))
        if method == b"HEAD" and not isinstance(response.body, bytes | File):
            # A body that is not asked for is not looked at.
            assert whole.sent.startswith(b"HTTP/1.1 200")
            return
        assert whole.state is A
        assert whole.sent == (INTERNAL if method == b"GET" else INTERNAL[: INTERNAL.index(b"\r\n\r\n") + 4])
        assert [line.split()[0] for line in whole.logged] == ["failed:", "1-1"]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_a_body_that_raises_before_its_first_piece_is_a_500(fault: BaseException) -> None:
    body = Body([fault])
    with bench_of(lambda _: Response(body)) as bench:
        whole = bench.connect().send(GET)
        raised = "RuntimeError" if isinstance(fault, StopIteration) else type(fault).__name__
        assert whole == awaiting(USUAL, INTERNAL, f"failed: {raised}", "1-1 GET / 500")
    assert body.closed == 1


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_a_body_that_raises_after_its_first_piece_is_cut(fault: BaseException) -> None:
    body = Body([b"x" * 100_000, fault])
    with bench_of(lambda _: Response(body)) as bench:
        client = bench.connect()
        client.far.sendall(GET)
        client.read_all()
        assert client.connection.state is C
        assert client.transport.done == ["reset", "close"]
        raised = "RuntimeError" if isinstance(fault, StopIteration) else type(fault).__name__
        assert bench.logs.take() == [
            f"failed: {raised}",
            "ended: server QUERYING_BACKEND RESPONSE_BROKEN",
            "1-1 GET / 200 server in QUERYING_BACKEND",
        ]
    assert body.closed == 1


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_body_longer_than_it_promised_is_cut_at_its_promise(asynchronous: bool) -> None:
    async def later() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b"d"

    body = later() if asynchronous else [b"abc", File(temporary(b"d"), 0, 1)]
    with bench_of(lambda _: Response(body, fields=((b"content-length", b"3"),))) as bench:
        client = bench.connect()
        whole = client.send(GET)
        assert whole.state is C
        assert whole.sent.endswith(b"\r\n\r\nabc")
        assert client.transport.done == ["reset", "close"]
        assert whole.logged[0] == "failed: ResponseError"


def test_a_body_shorter_than_it_promised_is_cut() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"

    with bench_of(lambda _: Response(pieces(), fields=((b"content-length", b"4"),))) as bench:
        client = bench.connect()
        whole = client.send(GET)
        assert whole.state is C
        assert client.transport.done == ["reset", "close"]
        assert whole.logged[0] == "failed: ResponseError"


@pytest.mark.parametrize("wrong", [None, "text", 5, [b""]], ids=repr)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_piece_that_is_none_breaks_the_answer_and_is_not_taken_for_its_end(wrong: Any, asynchronous: bool) -> None:
    async def later() -> AsyncIterator[Any]:
        yield b"x" * 100_000
        yield wrong
        yield b"y"

    body = later() if asynchronous else [b"x" * 100_000, wrong, b"y"]
    with bench_of(lambda _: Response(body)) as bench:
        client = bench.connect()
        client.far.sendall(GET)
        got = client.read_all()
        assert not got.endswith(b"0\r\n\r\n")
        assert client.connection.state is C
        assert bench.logs.take()[0] == "failed: TypeError"


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("status", [200, 204, 99])
def test_a_close_that_raises_is_one_line_and_the_answer_goes_out(
    fault: BaseException, method: bytes, status: int
) -> None:
    body = Body([b"hello"], fault)
    with bench_of(lambda _: Response(body, status)) as bench:
        whole = bench.connect().send(GET.replace(b"GET", method))
        assert whole.state is A
        assert whole.sent.startswith(b"HTTP/1.1 %d" % (500 if status == 99 else status))
        assert f"failed: {type(fault).__name__}" in whole.logged
        if status == 200 and method == b"GET":
            assert whole.sent.endswith(b"0\r\n\r\n")
    assert body.closed == 1


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_a_close_that_raises_when_the_client_leaves_is_one_line(fault: BaseException) -> None:
    body = Body([b"x" * 1_000_000], fault)
    with bench_of(lambda _: Response(body)) as bench:
        client = stuck(bench)
        client.far.close()
        bench.settle()
        assert client.connection.state is C
        assert f"failed: {type(fault).__name__}" in bench.logs.take()


def test_a_body_whose_iter_raises_is_a_500() -> None:
    class Broken:
        def __iter__(self) -> Iterator[bytes]:
            raise SystemExit(3)

    with bench_of(lambda _: Response(Broken())) as bench:
        assert bench.connect().send(GET) == awaiting(USUAL, INTERNAL, "failed: SystemExit", "1-1 GET / 500")


def test_a_body_whose_iterator_is_of_the_old_kind_is_taken_for_one() -> None:
    class Old:
        def __init__(self) -> None:
            self.left = [b"two", b"one"]

        def __next__(self) -> bytes:
            if not self.left:
                raise StopIteration
            return self.left.pop()

    class Broken:
        def __iter__(self) -> Any:
            return Old()

    with bench_of(lambda _: Response(Broken())) as bench:
        assert bench.connect().send(GET).sent == head(chunked=True) + b"6\r\nonetwo\r\n0\r\n\r\n"


class Asynchronous:
    """An async iterable body whose `__anext__` does as it is told."""

    def __init__(self, step: Callable[[], Any]) -> None:
        self.step = step

    def __aiter__(self) -> "Asynchronous":
        return self

    def __anext__(self) -> Any:
        return self.step()


@pytest.mark.parametrize("fault", [*FAULTS, LookupError()], ids=repr)
def test_an_anext_that_raises_at_once_is_a_500(fault: BaseException) -> None:
    with bench_of(lambda _: Response(Asynchronous(raising(fault)))) as bench:
        whole = bench.connect().send(GET)
        assert (whole.state, whole.sent) == (A, INTERNAL)


@pytest.mark.parametrize("wrong", [None, 5, b"piece"], ids=repr)
def test_an_anext_that_hands_back_nothing_to_await_is_a_500(wrong: Any) -> None:
    with bench_of(lambda _: Response(Asynchronous(lambda: wrong))) as bench:
        whole = bench.connect().send(GET)
        assert (whole.state, whole.sent) == (A, INTERNAL)


def test_an_aiter_that_gives_no_asynchronous_iterator_is_a_500() -> None:
    class Broken:
        def __aiter__(self) -> Any:
            return 5

    with bench_of(lambda _: Response(Broken())) as bench:
        whole = bench.connect().send(GET)
        assert (whole.state, whole.sent) == (A, INTERNAL)


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_whatever_an_operations_beginning_raises_reaches_the_handler(fault: BaseException) -> None:
    async def handler(request: Request) -> Response:
        await Pending(refuses=fault)
        raise AssertionError

    with bench_of(handler) as bench:
        whole = bench.connect().send(GET)
        assert (whole.state, whole.sent) == (A, INTERNAL)


def test_an_operation_that_ends_with_no_exception_for_an_error_is_a_500() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        await pending
        raise AssertionError

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        pending.finish(error="no exception")  # type: ignore[arg-type]
        whole = client.settle()
        assert (whole.state, whole.sent) == (A, INTERNAL)


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_a_cancel_that_raises_is_one_line(fault: BaseException) -> None:
    pending = Pending()
    pending.cancel = raising(fault)  # type: ignore[method-assign]

    async def handler(request: Request) -> Response:
        await pending
        raise AssertionError

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        assert client.leave().logged == [
            "ended: client QUERYING_BACKEND PEER_RESET",
            f"failed: {type(fault).__name__}",
            "1-1 GET / - client in QUERYING_BACKEND",
        ]


def test_a_coroutine_that_awaits_in_its_finally_when_given_up_is_told_of_once() -> None:
    cleaning = Pending()

    async def handler(request: Request) -> Response:
        try:
            return Response(await Pending())
        finally:
            await cleaning

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        assert client.leave().logged == [
            "ended: client QUERYING_BACKEND PEER_RESET",
            "failed: RuntimeError",
            "1-1 GET / - client in QUERYING_BACKEND",
        ]
    assert cleaning.executor is None


def test_a_coroutine_that_swallows_its_being_given_up_answers_nobody() -> None:
    async def handler(request: Request) -> Response:
        try:
            return Response(await Pending())
        except GeneratorExit:
            return Response(b"too late")

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        bench.after(30)
        whole = client.whole()
        assert whole.sent.startswith(b"HTTP/1.1 504")
        assert whole.logged == ["1-1 GET / 504"]


def test_a_coroutine_that_raises_when_given_up_is_told_of_and_its_client_answered() -> None:
    async def handler(request: Request) -> Response:
        try:
            return Response(await Pending())
        finally:
            raise SystemExit(3)

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        bench.after(30)
        whole = client.whole()
        assert whole.sent.startswith(b"HTTP/1.1 504")
        assert whole.logged == ["failed: SystemExit", "1-1 GET / 504"]


def test_an_operation_that_ends_before_it_has_begun_is_a_mistake_that_harms_nobody() -> None:
    class Hasty(Pending):
        def start(self, executor: Any) -> None:
            executor.finished(self, b"hello")

    async def handler(request: Request) -> Response:
        return Response(await Hasty())

    with bench_of(handler) as bench:
        assert bench.connect().send(GET) == awaiting([Q, Q, O, A], HELLO, "1-1 GET / 200")


# --- what the kernel does wrong


@pytest.mark.parametrize(
    "fault",
    [OSError(113, "EHOSTUNREACH"), OSError(101, "ENETUNREACH"), TimeoutError(), BrokenPipeError(), OSError(105, "")],
    ids=repr,
)
@pytest.mark.parametrize("state", [A, H, B, O, L])
def test_a_network_error_in_any_state_is_the_end_of_the_connection_and_no_crash(state: S, fault: OSError) -> None:
    with bench_of(every) as bench:
        client = in_state(bench, state)
        real = client.transport._socket
        client.transport._socket = Failing(fault)  # type: ignore[assignment]
        client.received() if state is O else client.far.sendall(b"x")
        bench.settle()
        assert client.connection.state is C
        assert [line for line in bench.logs.take() if "PEER_RESET" in line or state in (A, L)] or state in (A, L)
        real.close()


class Failing:
    """A socket on which everything fails."""

    def __init__(self, fault: OSError) -> None:
        self.fault = fault

    def recv(self, size: int) -> bytes:
        raise self.fault

    def send(self, *_: Any) -> int:
        raise self.fault

    def setsockopt(self, *_: Any) -> None:
        raise self.fault

    def close(self) -> None:
        """Nothing is held."""


# --- the log


def test_the_request_event_has_the_bytes_and_the_time_in_each_state() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        body = await request.read()
        await pending
        return Response(body)

    with bench_of(handler) as bench:
        client = bench.connect()
        bench.after(1)
        request = post(b"abc")
        client.send(request[:10])
        bench.after(2)
        client.send(request[10:-3])
        bench.after(3)
        client.send(request[-3:])
        bench.after(4)
        pending.finish()
        answer = client.settle()
        assert answer.logged == ["1-1 POST / 200"]
        client.send(GET)
    assert client.connection.peer == "client"


def test_times_bytes_and_ids_are_those_of_the_exchange() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending)

    with bench_of(handler) as bench:
        client = bench.connect()
        bench.after(1)
        client.send(GET[:5])
        bench.after(2)
        client.send(GET[5:])
        bench.after(4)
        pending.finish(b"hello")
        bench.settle()
        (event,) = bench.logs.events
        assert event == {
            "event": "request",
            "level": "info",
            "id": "1-1",
            "peer": "client",
            "method": "GET",
            "target": "/",
            "status": 200,
            "bytes_in": len(GET),
            "bytes_out": len(HELLO),
            "times": {"awaiting_request": 1000.0, "reading_head": 2000.0, "querying_backend": 4000.0},
            "end": None,
        }


def test_nothing_is_logged_of_a_request_when_nobody_wants_it() -> None:
    with bench_of(hello, access=False) as bench:
        client = bench.connect()
        assert client.send(GET + GET) == awaiting(USUAL * 2, HELLO * 2)
        assert client.send(b"\0").logged == []
        assert client.half_close().logged == ["ended: client AWAITING_REQUEST HEAD_REFUSED"]


def test_each_passage_is_logged_for_who_debugs() -> None:
    with bench_of(hello, debug=True) as bench:
        client = bench.connect()
        client.far.sendall(GET)
        bench.settle()
        passages = [event for event in bench.logs.events if event["event"] == "passage"]
        assert [(event["source"], event["trigger"], event["dest"]) for event in passages] == [
            (A, T.HEAD_RECEIVED, Q),
            (Q, T.OUTPUT_READY, O),
            (O, T.OUTPUT_FLUSHED, A),
        ]


def test_the_loops_own_end_closes_a_connection_and_gives_its_exchange_back() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending)

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(GET)
        bench.loop.close()
        assert client.is_closed
        bench.loop.close = lambda: None  # type: ignore[method-assign]
