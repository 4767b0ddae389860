"""When a request is sent again: where that is safe, elsewhere, a few times at most, and within the budget."""

from collections.abc import Iterator

import pytest

from clerestory.handlers.backends.upstream.attempts import ATTEMPTS
from clerestory.handlers.backends.upstream.upstream import BUDGET, EARNED
from tests.handlers.backends.upstreams import Bench, answer, fault, from_client, pieces_of


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


def test_a_connection_that_dies_as_it_is_reused_is_no_fault_when_the_request_may_be_repeated(bench: Bench) -> None:
    bench.ask()
    far = bench.accept()
    far.send(answer())
    caller = bench.ask("PUT", body=b"hello")
    far.reset()
    bench.accept().send(answer(b"put"))
    assert caller.result.complete == b"put"


def test_a_request_that_may_not_be_repeated_is_not_when_it_may_have_been_done(bench: Bench) -> None:
    bench.ask()
    far = bench.accept()
    far.send(answer())
    caller = bench.ask("POST", body=b"hello")
    assert far.received().endswith(b"hello")
    far.reset()
    assert fault(caller) == (502, "reset")
    assert not bench.is_asked()


@pytest.mark.parametrize("how", [answer(b"x")[:20], b"garbage"])
def test_a_request_that_was_answered_ever_so_little_is_not_repeated(bench: Bench, how: bytes) -> None:
    caller = bench.ask()
    far = bench.accept()
    far.received()
    far.send(how)
    far.close()
    assert caller.done
    assert fault(caller)[0] == 502
    assert not bench.is_asked()


def test_a_request_whose_body_has_been_taken_is_not_repeated(bench: Bench) -> None:
    caller = bench.ask("PUT", body=from_client())
    far = bench.accept()
    caller.give(b"hello")
    bench.settle()
    far.reset()
    caller.give(b"more")
    assert fault(caller) == (502, "reset")
    assert not bench.is_asked()


def close(bench: Bench, how: str) -> None:
    """The upstream takes the request, and closes without an answer."""
    far = bench.accept()
    bench.settle()
    assert far.received().startswith(b"GET")
    far.close() if how == "close" else far.reset()


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_retry_that_fails_is_not_retried(bench: Bench, how: str) -> None:
    """RFC 9110 section 9.2.2: an upstream that closes without an answer gets a request twice, and not more often."""
    caller = bench.ask()
    for _ in range(2):
        assert not caller.done
        close(bench, how)
    assert fault(caller)[0] == 502
    assert not bench.is_asked()


def test_a_request_of_which_nothing_was_sent_goes_to_each_origin(three: Bench) -> None:
    for origin in (0, 1):
        three.listeners[origin].close()
    for _ in range(ATTEMPTS):
        caller = three.ask("POST", body=b"hello")
        three.accept(2).send(answer(b"done")) if len(three.fars) == 0 else three.fars[0].send(answer(b"done"))
        assert caller.result.complete == b"done"


def test_retries_on_connections_that_the_upstream_had_closed_cost_no_budget(bench: Bench) -> None:
    """An upstream that closes just as the next request is sent to it has had no work with it."""
    for _ in range(int(3 * BUDGET)):
        bench.ask()
        far = bench.accept()
        far.send(answer(b"mine"))
        caller = bench.ask()
        far.received()
        far.reset()
        again = bench.accept()
        again.send(answer(b"mine again", b"Connection: close"))
        assert caller.result.complete == b"mine again"


def test_a_retry_after_a_closed_connection_has_a_new_one(bench: Bench) -> None:
    """Others in the pool may have been closed, too, and nobody has noticed it yet."""
    bench.ask(), bench.ask()
    one, another = bench.accept(), bench.accept()
    one.send(answer())
    another.send(answer())
    caller = bench.ask()
    another.reset()
    one.received()
    far = bench.accept()
    bench.settle()
    assert one.received() == b""
    far.send(answer(b"on a new one"))
    assert caller.result.complete == b"on a new one"


def test_an_upstream_that_is_ill_is_not_asked_twice_by_everybody(bench: Bench) -> None:
    sent = 0
    for _ in range(60):
        caller = bench.ask()
        while not caller.done:
            close(bench, "reset")
            sent += 1
    assert 60 + BUDGET <= sent <= 60 + BUDGET + 60 * EARNED + 1


def test_a_deadline_is_no_reason_to_ask_again(bench: Bench) -> None:
    caller = bench.ask()
    bench.accept()
    bench.pass_time(25)
    assert fault(caller) == (504, "response timeout")
    assert not bench.is_asked()


def test_a_streamed_body_goes_elsewhere_as_long_as_none_of_it_was_taken(three: Bench) -> None:
    three.listeners[0].close()
    three.listeners[1].close()
    for _ in range(3):
        caller = three.ask("POST", body=pieces_of(b"hello"))
        three.is_asked(2)
        far = three.fars[0]
        assert far.received().endswith(b"5\r\nhello\r\n0\r\n\r\n")
        far.send(answer())
        assert caller.result.status == 200
