"""A client's connection, told as stories over socket pairs on a fake clock. After each step the whole state is
asserted: where it is and by what way, what the client got, what was logged, what is waited for."""

import itertools
import socket
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.echo import echo
from handlers.messages import Request, Response
from server.http.responses import HeadWriter
from server.transport import READ_SIZE
from statemachines.connection import State as S
from statemachines.connection import Trigger as T
from statemachines.engine import Dispatch, Machine
from tests.server.support import (
    DATE,
    EVERY_POLLER,
    FAREWELL,
    GET,
    HELLO,
    LAST,
    USUAL,
    WALL,
    A,
    B,
    Bench,
    C,
    Client,
    Clock,
    H,
    L,
    O,
    Pending,
    Q,
    at,
    awaiting,
    bench_of,
    big,
    closed,
    error,
    file_handler,
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


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_wall_clock_that_jumps_moves_the_date_and_no_deadline(jump: float) -> None:
    wall = Clock(WALL)
    with bench_of(hello) as bench:
        bench.service.heads = HeadWriter(wall)
        client = bench.connect()
        assert client.send(GET).sent == HELLO
        wall.now += jump
        bench.after(14.75)
        assert client.connection.state is A
        dated = formatdate(WALL + jump, usegmt=True).encode()
        assert client.send(GET).sent == HELLO.replace(DATE, b"date: %b\r\n" % dated)
        bench.after(14.75)
        assert client.connection.state is A
        bench.after(0.25)
        assert client.connection.state is L


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
        assert client.whole() == at(L, [O, L], late, "1-1 - - 408 deadline in READING_HEAD")
        assert client.half_close() == closed([C], b"", "ended: deadline READING_HEAD DEADLINE_PASSED")


LATE_BODY = error(408, "Request Timeout", "The body did not come in time.")


def test_a_body_is_ended_when_nothing_came_for_a_while() -> None:
    with bench_of(read_all, body_min_rate=0) as bench:
        client = bench.connect()
        client.send(post(b"a", length=10))
        bench.after(29.75)
        assert client.whole() == at(B, [Q, B, Q, B][:0])
        bench.after(0.25)
        assert client.whole() == at(L, [O, L], LATE_BODY, "1-1 POST / 408 deadline in READING_BODY")


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
        assert client.whole() == at(L, [O, L], LATE_BODY, "1-1 POST / 408 deadline in READING_BODY")


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


def test_a_request_that_crosses_our_farewell_is_discarded_and_told_of_once() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        bench.after(2)
        client.send(GET)
        bench.after(15)
        assert client.whole() == at(L, [L])
        bench.clock.now += 0.5
        client.far.sendall(GET[:5])
        bench.settle()
        (event,) = bench.logs.events
        assert (event["event"], event["id"], event["requests"]) == ("request_missed", 1, 1)
        assert (event["idle_seconds"], event["closed_seconds_ago"]) == (15.0, 0.5)
        bench.logs.events.clear()
        assert client.send(GET[5:]) == at(L, [])


def test_a_first_request_that_crosses_our_farewell_has_been_idle_since_it_was_accepted() -> None:
    with bench_of(hello) as bench:
        client = bench.connect()
        bench.after(15)
        client.far.sendall(GET)
        bench.settle()
        (event,) = bench.logs.events
        assert (event["event"], event["idle_seconds"], event["requests"]) == ("request_missed", 15.0, 0)


def test_what_comes_after_another_farewell_is_no_missed_request() -> None:
    with bench_of(hello, max_requests=1) as bench:
        client = bench.connect()
        client.send(GET)
        assert client.send(GET) == at(L, [])


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
        assert whole == closed(
            [O, L, C], cut_short, "1-1 POST / 400 client in READING_BODY", "ended: client READING_BODY BODY_REFUSED"
        )
    assert ended == ["given up"]


# --- lingering


@pytest.mark.parametrize(("limits", "bound"), [({"max_linger": 1000}, 1000), ({}, 256 * 1024)])
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
        assert client.send(bad + GET) == at(L, [O, L], refused, "1-1 - - 400 client in AWAITING_REQUEST")
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
        assert whole == at(L, [Q, B, O, L], refused, "1-1 POST / 400 client in READING_BODY")


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


# --- one turn, and one batch


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
        assert whole.logged == ["1-1 GET /wait 200", "1-2 GET / 200"]


def test_a_revisit_finds_nothing_where_a_report_of_the_same_batch_has_taken_the_whole_request() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending if request.target == "/wait" else b"hello")

    with bench_of(handler) as bench:
        client = bench.connect()
        client.send(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n" + GET)
        bench.loop.call_from_thread(lambda: pending.finish(b""))
        bench.poller.script = [[(bench.loop.wake_up.descriptor, 1), (client.connection.descriptor, 1)]]
        assert client.settle() == awaiting(
            [Q, O, A, *USUAL], head(length=0) + HELLO, "1-1 GET /wait 200", "1-2 GET / 200"
        )


def test_a_connection_that_has_read_all_there_is_asks_for_no_revisit() -> None:
    with bench_of(hello) as bench:
        asked: list[Machine] = []

        def revisit(machine: Machine) -> None:
            asked.append(machine)

        bench.loop.revisit = revisit  # type: ignore[method-assign]
        client = bench.connect()
        for _ in range(3):
            client.send(GET)
        assert asked == []


def test_the_answers_of_one_turn_leave_together_at_its_end() -> None:
    states: list[list[S]] = []

    def handler(request: Request) -> Response:
        states.append([S(client.connection.state) for client in clients])
        return hello(request)

    with bench_of(handler) as bench:
        clients = [bench.connect() for _ in range(3)]
        for client in clients:
            client.far.sendall(GET)
        bench.turn()
        assert sorted(states, key=lambda row: row.count(O)) == states
        assert [row.count(O) for row in states] == [0, 1, 2]
        assert [client.received() for client in clients] == [HELLO] * 3
        assert [call for call in bench.poller.calls if call[0] == "modify"] == []


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


def test_the_times_of_one_exchange_do_not_count_for_the_next() -> None:
    pending = [Pending(), Pending()]
    turns = iter(pending)

    async def handler(request: Request) -> Response:
        return Response(await next(turns))

    with bench_of(handler) as bench:
        client = bench.connect()
        for seconds, operation in ((4, pending[0]), (2, pending[1])):
            client.far.sendall(GET)
            bench.settle()
            bench.after(seconds)
            operation.finish(b"")
            bench.settle()
        assert [event["times"] for event in bench.logs.events] == [
            {"querying_backend": 4000.0},
            {"querying_backend": 2000.0},
        ]
        assert {event["bytes_out"] for event in bench.logs.events} == {len(head(length=0))}


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


# --- what an operator sees


def test_a_glance_tells_who_it_is_and_what_it_is_about() -> None:
    pending = Pending()

    async def handler(request: Request) -> Response:
        return Response(await pending)

    with bench_of(handler) as bench:
        client = bench.connect()
        idle = client.connection.glance()
        assert idle[:3] == (1, "client", 1024.0)
        assert idle[6:] == (None, None, None)
        client.send(GET)
        waiting = client.connection.glance()
        assert waiting[3:6] == (len(GET), 0, 1)
        assert waiting[7:] == (pending, None)
        assert waiting[6].target == "/"


@pytest.mark.parametrize(("state", "moved"), [(B, len(post(b"a", length=10))), (O, None)])
def test_a_glance_at_a_paced_state_tells_its_pace(state: S, moved: int | None) -> None:
    with bench_of(every) as bench:
        client = in_state(bench, state)
        bench.after(1)
        *_, pace, progressed, spent, done = client.connection.glance()
        assert pace == (30.0, 240, 5.0)
        assert (progressed, spent) == (1024.0, 0.0)
        assert done == (client.connection.sent if moved is None else moved)
