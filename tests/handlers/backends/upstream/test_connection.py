"""The shell of a connection to an upstream: real bytes, every fault, and what the caller gets for it."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from clerestory.handlers.backends.pool.resolver import Address, Resolver
from clerestory.handlers.backends.upstream.upstream import Upstream
from clerestory.statemachines.contract import EXCERPT, Cause
from clerestory.statemachines.upstream import State as S
from clerestory.statemachines.upstream import Trigger as T
from tests.handlers.backends.upstreams import Bench, Caller, answer, asked, error, fault, from_client, pieces_of, read


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture
def black_hole() -> Iterator[str]:
    """An address at which nobody answers: its queue is full, so the kernel drops whoever comes."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as fillers:
        for _ in range(4):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield "http://{}:{}".format(*listener.getsockname())


# --- the usual course


def test_a_request_and_its_answer_and_the_connection_is_pooled(bench: Bench) -> None:
    caller, far = asked(bench, target="/a?b", fields=((b"accept", b"*/*"),))
    host = bench.urls[0].removeprefix("http://").encode()
    assert far.received() == b"GET /a?b HTTP/1.1\r\nhost: " + host + b"\r\naccept: */*\r\n\r\n"
    (connection,) = bench.connections()
    waits = (
        f"upstream#{connection.number} {connection.address} AWAITING_RESPONSE <- fd {connection.descriptor} readable"
    )
    assert connection.describe() == waits
    far.send(answer(b"hello", b"A: b"))
    assert (caller.result.status, caller.result.complete, caller.result.get(b"a")) == (200, b"hello", b"b")
    assert bench.states() == [S.IDLE]
    assert read(bench, caller).result == b"hello"


def test_how_the_last_heads_began_is_kept_of_both_sides(bench: Bench) -> None:
    caller, far = asked(bench, target="/a?b", fields=((b"x-long", b"y" * 2 * EXCERPT),))
    (connection,) = bench.connections()
    asked_for = far.received()[:EXCERPT]
    assert connection.excerpts() == (b"", asked_for)
    whole = answer(b"hello", b"A: b")
    for piece in (whole[:9], whole[9:]):
        far.send(piece)
    assert connection.excerpts() == (whole, asked_for)
    assert caller.result.status == 200


def test_the_connection_is_used_again_and_again(bench: Bench) -> None:
    caller, far = asked(bench)
    for number in range(5):
        far.send(answer(b"%d" % number))
        assert caller.result.complete == b"%d" % number
        caller = bench.ask()
    assert len(bench.connections()) == 1
    assert bench.connections()[0].served == 6
    assert not bench.is_asked()


def test_a_request_leaves_at_the_turns_end(bench: Bench) -> None:
    caller, far = asked(bench)
    far.received()
    far.send(answer(b"first"))
    assert read(bench, caller).result == b"first"
    Caller(bench.loop, bench.upstream.request("GET", "/second"))
    assert (bench.states(), far.received()) == ([S.SENDING_REQUEST], b"")
    bench.loop.turn(0)
    assert bench.states() == [S.AWAITING_RESPONSE]
    assert far.received().startswith(b"GET /second HTTP/1.1")


# --- a body that is streamed


def test_a_streamed_body_is_sent_piece_by_piece(bench: Bench) -> None:
    caller, far = asked(bench, "POST", body=from_client())
    assert far.received().endswith(b"transfer-encoding: chunked\r\n\r\n")
    assert (caller.wants_piece, bench.states()) == (True, [S.AWAITING_PIECE])
    caller.give(b"hello")
    bench.settle()
    assert far.received() == b"5\r\nhello\r\n"
    caller.give(b"")
    bench.settle()
    assert (far.received(), bench.states()) == (b"0\r\n\r\n", [S.AWAITING_RESPONSE])
    far.send(answer(b"thanks"))
    assert (caller.result.complete, bench.states()) == (b"thanks", [S.IDLE])


def test_a_streamed_body_of_known_length_ends_by_itself(bench: Bench) -> None:
    caller, far = asked(bench, "POST", body=pieces_of(b"hel", b"lo"), length=5)
    assert far.received().endswith(b"content-length: 5\r\n\r\nhello")
    assert bench.states() == [S.AWAITING_RESPONSE]
    far.send(answer())
    assert caller.result.status == 200


@pytest.mark.parametrize("pieces", [(b"hel",), (b"hello, world",)])
def test_a_body_that_is_not_as_long_as_said_is_never_sent_to_its_end(bench: Bench, pieces: tuple[bytes, ...]) -> None:
    caller, far = asked(bench, "POST", body=pieces_of(*pieces), length=5)
    assert isinstance(caller.error, ValueError)
    assert b"hello" not in far.received()
    assert bench.states() == []


def test_a_piece_waits_until_the_socket_has_taken_the_one_before(bench: Bench) -> None:
    caller, far = asked(bench, "POST", body=from_client())
    while caller.wants_piece:
        caller.give(b"x" * 65536)
        bench.settle()
    assert bench.states() == [S.SENDING_REQUEST]
    assert "SENDING_REQUEST <- fd" in caller.operation.describe()  # type: ignore[union-attr]
    while bench.states() == [S.SENDING_REQUEST]:
        assert far.received()
        bench.settle()
    assert bench.states() == [S.AWAITING_PIECE]


def test_the_upstream_is_asked_for_100_before_the_body_is(bench: Bench) -> None:
    caller, far = asked(bench, "POST", body=from_client(), expects=True)
    assert (caller.wants_piece, bench.states()) == (False, [S.AWAITING_CONTINUE])
    far.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert (caller.wants_piece, bench.states()) == (True, [S.AWAITING_PIECE])
    caller.give(b"")
    bench.settle()
    assert bench.states() == [S.AWAITING_RESPONSE]


def test_an_upstream_that_does_not_say_100_gets_the_body_after_a_second(bench: Bench) -> None:
    caller, _ = asked(bench, "POST", body=from_client(), expects=True)
    bench.pass_time(0.9)
    assert not caller.wants_piece
    bench.pass_time(0.2)
    assert caller.wants_piece


def test_an_upstream_that_refuses_the_body_is_sent_none(bench: Bench) -> None:
    caller, far = asked(bench, "POST", body=from_client(), expects=True)
    far.received()
    far.send(answer(b"too large", status=b"413 Content Too Large"))
    assert (caller.result.status, caller.wants_piece) == (413, False)
    assert far.received() == b"END"
    assert bench.states() == [], "a connection on which a body is outstanding is not used again"


# --- faults: each has one behaviour, and none of them is a wrong answer


def test_an_upstream_that_refuses_is_502(bench: Bench) -> None:
    bench.listeners[0].close()
    caller = bench.ask()
    assert fault(caller) == (502, "refused")
    assert "Connection refused" in error(caller).detail


def test_an_upstream_that_is_a_black_hole_is_504(bench: Bench, black_hole: str) -> None:
    upstream = Upstream(black_hole)
    caller = bench.run(upstream.request("POST"))
    assert bench.states() == [S.CONNECTING]
    assert "CONNECTING <- fd" in caller.waits[0]
    bench.pass_time(4.9)
    assert not caller.done
    bench.pass_time(0.1)
    assert fault(caller) == (504, "connect timeout")
    assert bench.states() == []


def test_a_request_that_can_be_repeated_is_when_the_upstream_dies_without_an_answer(bench: Bench) -> None:
    caller, far = asked(bench)
    far.close()
    assert not caller.done
    bench.accept().send(answer(b"hello"))
    assert caller.result.complete == b"hello"


@pytest.mark.parametrize(("seconds", "late"), [(24.9, False), (25.0, True)])
def test_an_upstream_that_is_silent_is_504(bench: Bench, seconds: float, late: bool) -> None:
    caller, far = asked(bench)
    bench.pass_time(seconds)
    assert caller.done is late
    if late:
        assert fault(caller) == (504, "response timeout")
        assert bench.states() == []
        far.received()
        assert far.received() == b"END"


def test_an_upstream_that_resets_is_502(bench: Bench) -> None:
    caller, far = asked(bench, "POST")
    far.reset()
    assert fault(caller) == (502, "reset")


def test_an_upstream_that_stops_mid_body_is_504(bench: Bench) -> None:
    caller, far = asked(bench)
    far.send(answer(b"hello", b"Content-Length: 10", length=False))
    reading = read(bench, caller)
    bench.pass_time(25)
    assert fault(reading) == (504, "body timeout")


def test_a_connection_that_upstream_closes_while_it_is_idle_is_given_back(bench: Bench) -> None:
    _, far = asked(bench)
    far.send(answer())
    far.close()
    assert bench.states() == []


def test_a_connection_that_is_idle_for_long_is_closed(bench: Bench) -> None:
    _, far = asked(bench)
    far.received()
    far.send(answer())
    bench.pass_time(9.9)
    assert bench.states() == [S.IDLE]
    bench.pass_time(0.1)
    assert bench.states() == []
    assert far.received() == b"END"


@pytest.mark.parametrize("field", [b"Connection: close", b"Connection: foo, close"])
def test_a_connection_that_the_upstream_does_not_keep_is_closed(bench: Bench, field: bytes) -> None:
    caller, far = asked(bench)
    far.send(answer(b"hello", field))
    assert caller.result.complete == b"hello"
    assert bench.states() == []


# --- the caller goes


@pytest.mark.parametrize("state", [S.AWAITING_RESPONSE, S.READING_BODY])
def test_when_the_caller_leaves_the_connection_is_closed_at_once(bench: Bench, state: S) -> None:
    caller, far = asked(bench)
    far.received()
    if state is S.READING_BODY:
        far.send(answer(b"5\r\nhello\r\n", b"Transfer-Encoding: chunked", length=False))
        caller = read(bench, caller)
    assert bench.states() == [state]
    caller.leave()
    bench.settle()
    assert bench.states() == []
    assert far.received() == b"RESET", "a close would be a half-close: the upstream would work on"


def test_when_a_body_is_given_up_the_connection_is_closed(bench: Bench) -> None:
    caller, far = asked(bench)
    far.send(answer(b"5\r\nhello\r\n", b"Transfer-Encoding: chunked", length=False))
    assert bench.states() == [S.READING_BODY]
    bench.run(caller.result.body.aclose())
    assert bench.states() == []


def test_when_the_clients_body_breaks_off_the_upstream_never_sees_an_end(bench: Bench) -> None:
    caller, far = asked(bench, "POST", body=from_client())
    caller.give(b"hello")
    bench.settle()
    caller.leave()
    bench.settle()
    assert far.received().endswith(b"5\r\nhello\r\nRESET")


def test_an_answer_that_nobody_takes_has_a_deadline() -> None:
    bench = Bench(upstream_buffer=0, upstream_file=0)
    caller, far = asked(bench)
    far.send(answer(b"5\r\nhello\r\n", b"Transfer-Encoding: chunked", length=False))
    bench.pass_time(300)
    assert bench.states() == []
    reading = read(bench, caller)
    assert fault(reading) == (504, "take timeout")
    bench.close()


def test_an_operator_can_close_it(bench: Bench) -> None:
    caller, _ = asked(bench)
    (connection,) = bench.connections()
    bench.loop.fire(connection, T.CLOSE_ORDERED)
    bench.settle()
    assert fault(caller) == (502, "closed by an operator")
    assert connection.history[-1][1].row.ends is Cause.OPERATOR


def test_a_connection_tells_of_itself(bench: Bench) -> None:
    caller, _ = asked(bench, "POST", body=from_client())
    while caller.wants_piece:
        caller.give(b"x" * 65536)
        bench.settle()
    (connection,) = bench.connections()
    glance = connection.facts()
    assert glance[:2] == (connection.number, connection.address)
    assert glance[-1] == connection.sent > 0
    assert len(glance) == 13
    bench.pass_time(29)
    assert connection.is_overdue(bench.clock.now) is False
    bench.pass_time(1)
    assert fault(caller) == (504, "send timeout")


# --- every deadline, as it is set


def _sending(bench: Bench) -> Caller:
    caller, _ = asked(bench, "POST", body=from_client())
    while caller.wants_piece:
        caller.give(b"x" * 65536)
        bench.settle()
    return caller


def _reading(bench: Bench) -> Caller:
    caller, far = asked(bench)
    far.send(answer(b"hello", b"Content-Length: 10", length=False))
    return read(bench, caller)


WAITS: dict[str, tuple[S, Callable[[Bench], Caller]]] = {
    "upstream_send_timeout": (S.SENDING_REQUEST, _sending),
    "upstream_piece_timeout": (S.AWAITING_PIECE, lambda bench: asked(bench, "POST", body=from_client())[0]),
    "upstream_response_timeout": (S.AWAITING_RESPONSE, lambda bench: asked(bench)[0]),
    "upstream_body_timeout": (S.READING_BODY, _reading),
}


@pytest.mark.parametrize("option", WAITS)
def test_a_deadline_that_is_set_is_kept_to_the_moment(option: str) -> None:
    state, wait = WAITS[option]
    limits: dict[str, Any] = {option: 3.0, "upstream_send_min_rate": 0}
    bench = Bench(**limits)
    caller = wait(bench)
    assert bench.states() == [state]
    bench.pass_time(2.99)
    assert (caller.done, bench.states()) == (False, [state])
    bench.pass_time(0.01)
    assert bench.states() == []
    if caller.wants_piece:
        caller.give(b"too late")
    assert fault(caller)[0] == 504
    bench.close()


def test_the_time_for_100_for_taking_and_in_the_pool_is_kept_to_the_moment() -> None:
    none: dict[str, Any] = {"upstream_buffer": 0, "upstream_file": 0}
    bench = Bench(upstream_continue_timeout=3.0, upstream_take_timeout=3.0, upstream_idle_timeout=3.0, **none)
    caller, far = asked(bench, "POST", body=from_client(), expects=True)
    bench.pass_time(2.99)
    assert bench.states() == [S.AWAITING_CONTINUE]
    bench.pass_time(0.01)
    assert bench.states() == [S.AWAITING_PIECE]
    caller.give(b"")
    bench.settle()
    far.send(answer(b"5\r\nhello\r\n", b"Transfer-Encoding: chunked", length=False))
    bench.pass_time(2.99)
    assert bench.states() == [S.HOLDING_BODY]
    bench.pass_time(0.01)
    assert bench.states() == []
    _, far = asked(bench)
    far.send(answer())
    bench.pass_time(2.99)
    assert bench.states() == [S.IDLE]
    bench.pass_time(0.01)
    assert bench.states() == []
    bench.close()


def test_the_time_to_connect_is_kept_to_the_moment(black_hole: str) -> None:
    bench = Bench(upstream_connect_timeout=3.0)
    caller = bench.run(Upstream(black_hole).request("GET"))
    bench.pass_time(2.99)
    assert bench.states() == [S.CONNECTING]
    bench.pass_time(0.01)
    assert fault(caller) == (504, "connect timeout")
    bench.close()


def test_a_name_whose_address_is_a_black_hole_is_looked_up_again_once(bench: Bench, black_hole: str) -> None:
    """Time to connect passes for longer than addresses are taken for fresh: they would be doubted for ever."""
    looked: list[str] = []
    port = int(black_hole.rpartition(":")[2])

    def look_up(host: str, port: int) -> list[Address]:
        looked.append(host)
        return [(socket.AF_INET, ("127.0.0.1", port))]

    upstream = Upstream(black_hole)
    upstream.site(bench.loop).pools[0].resolver = Resolver("a.example", port, bench.loop, look_up=look_up)
    caller = bench.run(upstream.request("POST"))
    for _ in range(2):
        bench.turn_until(lambda: bench.states() == [S.CONNECTING])
        bench.pass_time(5.0)
    assert fault(caller) == (504, "connect timeout")
    assert looked == ["a.example"] * 2


def test_a_request_that_is_taken_too_slowly_is_given_up_after_the_grace() -> None:
    bench = Bench(upstream_send_min_rate=10_000_000, upstream_send_grace=2.0)
    caller = _sending(bench)
    (connection,) = bench.connections()
    bench.pass_time(2.0 + connection.sent / 10_000_000 - 0.001)
    assert not caller.done
    bench.pass_time(0.002)
    assert fault(caller) == (504, "send timeout")
    bench.close()
