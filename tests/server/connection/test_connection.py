"""A client's connection, told as stories over socket pairs on a fake clock. After each step the whole state is
asserted: where it is and by what way, what the client got, what was logged, what is waited for."""

import itertools
import socket
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clerestory.handlers.api.messages import Request, Response
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.connection import Trigger as T
from clerestory.statemachines.engine import Dispatch
from tests.server.connection.states import RESTING, every, in_state
from tests.server.support import (
    EVERY_POLLER,
    FAREWELL,
    GET,
    HELLO,
    LAST,
    USUAL,
    A,
    B,
    C,
    H,
    L,
    O,
    P,
    Pending,
    Q,
    X,
    at,
    awaiting,
    bench_of,
    big,
    closed,
    error,
    head,
    hello,
    post,
    read_all,
    reset,
    stuck,
)

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


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
@settings(max_examples=30)
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
            "1-1 POST / 413 client in READING_BODY",
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


def test_a_continue_that_the_socket_takes_in_parts_is_all_sent_before_the_body_is_waited_for() -> None:
    """The client sends no body before it has read the whole 100: what is left of it waits for room, not for a body."""
    with bench_of(read_all) as bench:
        client = bench.connect(takes=[10, 0, 5])
        request = post(b"abc", b"expect: 100-continue")
        whole = client.send(request[:-3])
        assert whole == at(B, [Q, B, O, B], b"HTTP/1.1 100 Continue\r\n\r\n")
        assert client.send(b"abc") == awaiting([Q, O, A], head(length=3) + b"abc", "1-1 POST / 200")


def test_a_client_that_never_makes_room_for_a_continue_is_cut_at_the_deadline() -> None:
    with bench_of(read_all) as bench:
        client = bench.connect(takes=itertools.chain([10], itertools.repeat(0)))
        client.far.sendall(post(b"abc", b"expect: 100-continue")[:-3])
        for _ in range(5):
            bench.turn()
        assert client.connection.state is O
        bench.clock.now += 30
        for _ in range(3):
            bench.turn()
        assert client.connection.state is C
        assert client.transport.done == ["reset", "close"]


def test_a_peer_that_is_gone_when_continue_is_said_ends_the_connection() -> None:
    with bench_of(read_all) as bench:
        client = bench.connect()
        client.far.sendall(post(b"abc", b"expect: 100-continue")[:-3])
        client.far.shutdown(socket.SHUT_RDWR)
        client.far.close()
        whole = client.settle()
        assert whole.state is C
        assert whole.logged == ["ended: client READING_BODY PEER_RESET", "1-1 POST / - client in READING_BODY"]


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


def test_what_a_client_sends_behind_its_last_request_does_not_reset_the_answer() -> None:
    """Some send an empty line behind a body. It comes while we answer, and lies in the kernel's buffer, not in ours."""
    with bench_of(read_all) as bench:
        client = bench.connect(takes=[0], tcp=True)
        client.far.sendall(post(b"hello", b"connection: close"))
        bench.turn()
        assert client.connection.state is O
        client.far.sendall(b"\r\n")
        assert client.settle() == at(L, [Q, B, Q, O, L], FAREWELL, "1-1 POST / 200")
        assert client.at_end
        assert not client.was_reset
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
        assert client.send(post(b"abc" + GET, length=3)).way == [Q, O, P, O, L]
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
        if poller == "select":
            bench.turn()  # which narrows, and looks at half-closes with the next
        assert client.half_close().state is X
        bench.after(74)
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
        cut_short = error(400, "Bad Request", "The connection was closed before the whole request body had arrived.")
        whole = client.half_close()
        assert whole == closed(
            [O, L, C], cut_short, "1-1 POST / 400 client in READING_BODY", "ended: client READING_BODY BODY_REFUSED"
        )
    assert ended == ["given up"]


# --- lingering


@pytest.mark.parametrize(("limits", "bound"), [({"max_linger": 1000}, 1000), ({"max_linger": 1 << 20}, 1 << 20)])
def test_what_comes_in_the_farewell_is_discarded_up_to_a_bound(limits: dict[str, int], bound: int) -> None:
    with bench_of(hello, max_requests=1, **limits) as bench:
        client = bench.connect()
        client.send(GET)
        for _ in range(8):
            assert client.send(b"x" * (bound // 8)) == at(L, [])
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


# --- every state: reset, ordered closed, drained


REQUESTS = {
    A: [],
    H: [],
    B: ["1-1 POST / - {} in READING_BODY"],
    Q: ["1-1 GET /wait - {} in QUERYING_BACKEND"],
    P: ["1-1 GET /stream 200 {} in PRODUCING"],
    X: ["1-1 GET /wait - {} in HALF_CLOSED"],
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
            assert client.whole() == at(L, [L])


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


def test_a_streamed_answer_that_had_promised_to_keep_alive_keeps_it_for_one_more_request_when_the_process_drains() -> (
    None
):
    pending = Pending()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield await pending

    with bench_of(lambda _: Response(pieces())) as bench:
        client = bench.connect()
        client.send(GET)
        bench.service.draining = True
        pending.finish(b"two")
        assert client.settle() == awaiting([P, O, P, O, A], b"3\r\ntwo\r\n0\r\n\r\n", "1-1 GET / 200")
        bench.after(bench.limits.last_request_timeout)
        assert client.connection.state is L


def test_a_cut_is_a_reset_on_the_wire() -> None:
    with bench_of(every) as bench:
        client = in_state(bench, Q, tcp=True)
        bench.loop.fire(client.connection, T.CLOSE_ORDERED)
        bench.settle()
        client.far.setblocking(True)
        client.far.settimeout(10)
        with pytest.raises(ConnectionResetError):
            client.far.recv(1)
