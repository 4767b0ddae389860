"""A connection's deadlines: just before, and at."""

from email.utils import formatdate

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.server.http.responses import HeadWriter
from tests.server.support import (
    DATE,
    GET,
    HELLO,
    WALL,
    A,
    B,
    C,
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
    stuck,
)

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


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
        enough = 240 * 2  # for the grace and two seconds
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
