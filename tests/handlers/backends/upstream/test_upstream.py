"""Asking an upstream: what a handler writes, and which origin is chosen among several."""

from collections.abc import Iterator

import pytest

from clerestory.handlers.backends.upstream.health import FAILURES
from tests.handlers.backends.upstreams import Bench, answer, fault


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture
def three() -> Iterator[Bench]:
    bench = Bench(3)
    yield bench
    bench.close()


# --- origins


# --- what a handler writes


def test_a_body_of_bytes_is_sent_with_its_length(bench: Bench) -> None:
    bench.ask("POST", "/", body=b"hello")
    assert bench.accept().received().endswith(b"content-length: 5\r\n\r\nhello")


@pytest.mark.parametrize(("how", "line"), [({}, b""), ({"length": 0}, b"content-length: 0\r\n")])
def test_a_body_that_is_not_there_has_a_length_where_that_is_said(
    bench: Bench, how: dict[str, int], line: bytes
) -> None:
    bench.ask("POST", "/", **how)
    head = bench.accept().received()
    assert (b"content-length" in head) is bool(line)
    assert line in head


def test_a_body_is_read_piece_by_piece_or_whole(bench: Bench) -> None:
    async def whole() -> bytes:
        answer = await bench.upstream.request("GET")
        return await answer.read()

    caller = bench.run(whole())
    far = bench.accept().send(answer(b"2\r\nhe\r\n", b"Transfer-Encoding: chunked", length=False))
    far.send(b"3\r\nllo\r\n").send(b"0\r\n\r\n")
    assert caller.result == b"hello"


def test_a_request_that_is_not_well_formed_is_the_handlers_fault_and_connects_to_nobody(bench: Bench) -> None:
    caller = bench.ask("GET", "/\r\nx: y")
    assert isinstance(caller.error, ValueError)
    assert bench.connections() == []


# --- several


def test_the_one_with_the_fewest_calls_is_asked_and_equal_ones_take_turns(three: Bench) -> None:
    for _ in range(6):
        three.ask()
    assert [pool.load for pool in three.upstream.site(three.loop).pools] == [2, 2, 2]
    three.accept(1).send(answer())
    three.accept(1).send(answer())
    three.ask()
    assert [pool.load for pool in three.upstream.site(three.loop).pools] == [2, 1, 2]


def test_one_that_refuses_is_stepped_over_and_then_left_in_peace(three: Bench) -> None:
    three.listeners[1].close()
    for _ in range(12):
        caller = three.ask("POST", body=b"not sent to the one that refuses")
        for origin in (0, 2):
            if three.is_asked(origin):
                break
        for far in three.fars:
            if b"POST" in far.received():
                far.send(answer(b"hello"))
        assert caller.result.complete == b"hello"
    health = three.upstream.site(three.loop).pools[1].health
    assert health.failures >= FAILURES
    assert not health.is_up


def test_one_that_was_down_is_tried_by_one_request_and_not_by_all(three: Bench) -> None:
    pools = three.upstream.site(three.loop).pools
    for _ in range(FAILURES):
        pools[0].health.failed("refused")
    three.pass_time(2)
    assert pools[0].health.node.state == "TRYING"
    for _ in range(7):
        three.ask("POST")
    assert [pool.load for pool in pools] == [1, 3, 3]
    three.accept(0).send(answer())
    assert pools[0].health.node.state == "UP"
    three.ask("POST")
    assert pools[0].load == 1


def test_when_all_are_down_they_are_asked_all_the_same(three: Bench) -> None:
    for pool in three.upstream.site(three.loop).pools:
        for _ in range(FAILURES):
            pool.health.failed("refused")
    caller = three.ask()
    (origin,) = [one for one in range(3) if three.is_asked(one)]
    three.fars[-1].send(answer())
    assert caller.result.status == 200
    assert three.upstream.site(three.loop).pools[origin].health.is_up, "who answers is back"


def test_all_refuse_and_the_last_fault_is_told(three: Bench) -> None:
    for listener in three.listeners:
        listener.close()
    assert fault(three.ask()) == (502, "refused")
