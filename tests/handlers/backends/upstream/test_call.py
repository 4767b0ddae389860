"""A call's own laws: what may be sent again, who is told, and what an error says."""

import pytest

from clerestory.handlers.api.messages import Request
from clerestory.handlers.api.operations import HalfClose
from clerestory.handlers.backends.upstream.call import Call
from clerestory.handlers.backends.upstream.errors import UpstreamError
from clerestory.handlers.backends.upstream.gate import Reader
from clerestory.handlers.backends.upstream.spool import Store
from clerestory.handlers.backends.upstream.step import Step
from clerestory.statemachines.contract import Cause
from clerestory.statemachines.upstream import State as S
from tests.handlers.backends.upstreams import Bench, Relaying, answer, asked


@pytest.mark.parametrize(
    ("method", "sent", "received", "given", "again"),
    [
        ("GET", 0, 0, 0, True),
        ("POST", 0, 0, 0, True),
        ("GET", 10, 0, 0, True),
        ("PUT", 10, 0, 0, True),
        ("POST", 10, 0, 0, False),
        ("PATCH", 1, 0, 0, False),
        ("get", 10, 0, 0, False),
        ("GET", 10, 1, 0, False),
        ("PUT", 10, 0, 1, False),
        ("POST", 0, 0, 1, False),
    ],
)
def test_what_was_not_sent_or_is_idempotent_and_unanswered_may_be_sent_again(
    method: str, sent: int, received: int, given: int, again: bool
) -> None:
    call = Call(method, b"")
    call.given = given
    assert call.may_be_repeated(sent=sent, received=received) is again


def test_an_error_names_its_cause_and_a_busy_upstream_says_when_to_come_again() -> None:
    error = UpstreamError(504, "response timeout", "It did not answer.", "127.0.0.1:9000")
    assert str(error) == "504 127.0.0.1:9000 response timeout: It did not answer."
    assert (error.status, error.detail, error.fields) == (504, "It did not answer.", ())
    assert UpstreamError(503, "busy", "Too many.").fields == ((b"retry-after", b"1"),)


def test_an_expectation_goes_only_with_a_body_that_is_still_to_come() -> None:
    assert not Call("POST", b"", expects=True).expects
    assert Call("POST", b"", 5, expects=True).expects


def test_whoever_does_not_wait_is_not_told_and_finds_the_facts() -> None:
    call = Call("GET", b"")
    call.tell()
    call.fail(UpstreamError(502, "reset", "Gone."))
    assert call.has_news
    assert call.has_more
    found = Reader().read(b"HTTP/1.1 200 OK\r\n\r\n")
    assert found is not None
    call.answer = found[0]
    assert call.has_news


def test_a_call_is_left_once_and_is_described_before_it_has_begun() -> None:
    call = Call("GET", b"")
    assert Step(call).describe() == "upstream"
    call.leave()
    call.leave()
    assert call.left


def test_a_step_of_a_call_holds_the_call_and_is_awaited_only_briefly_for_a_client_that_has_closed() -> None:
    """There are few connections to an upstream; a stream on one of them may be silent for an hour."""
    call = Call("GET", b"")
    step = Step(call)
    assert step.holds() is call
    assert step.client_closed() is HalfClose.BRIEFLY


def test_a_call_is_over_when_it_has_ended_failed_or_was_left() -> None:
    ended, failed, left = (Call("GET", b"") for _ in range(3))
    assert [call.is_over for call in (ended, failed, left)] == [False, False, False]
    ended.ended = True
    failed.fail(UpstreamError(502, "reset", "Gone."))
    left.leave()
    assert [call.is_over for call in (ended, failed, left)] == [True, True, True]


def test_a_body_longer_or_shorter_than_it_said_is_an_error_of_whoever_asks() -> None:
    for piece in (b"hello!", b""):
        call = Call("POST", b"", 5)
        with pytest.raises(ValueError, match="its length was to be 5"):
            call.give(piece)
        assert call.left


# --- an caller that does not read its answer


@pytest.mark.parametrize("whole", [True, False])
def test_an_operation_that_is_given_up_after_it_ended_lets_its_call_go(whole: bool) -> None:
    """Whoever carries operations out may give all of them up at the end of an exchange, also those that have ended: an
    answer that nobody reads occupies no connection."""
    bench = Bench(upstream_buffer=0, upstream_file=0)
    caller, far = asked(bench)
    (connection,) = bench.connections()
    step = caller.operation
    assert isinstance(step, Step)
    far.send(answer(b"hello") if whole else answer(b"hello", b"Content-Length: 10", length=False))
    assert caller.result.status == 200
    for _ in range(2):
        step.cancel()
    bench.settle()
    assert bench.states() == ([S.IDLE] if whole else [])
    assert whole or connection.history[-1][1].row.ends is Cause.CLIENT
    bench.close()


def test_a_call_is_let_go_in_every_state_of_its_connection() -> None:
    """Wherever a call stands, its end leaves nothing: no connection, no place in a queue, no buffer."""
    for stage in range(6):
        bench = Bench(upstream_max_connections=1, upstream_buffer=10)
        bench.pool.minor = 1
        body = Request("POST", "/", (), content_length=None if stage else 5)
        caller = Relaying(bench.loop, bench.upstream.request("POST", body=body, length=None if stage else 5))
        bench.settle()
        step, feed = caller.operation, caller.feed
        assert isinstance(step, Step)
        assert feed is not None
        waiting = bench.ask() if stage == 1 else None
        if stage >= 2:
            far = bench.accept()
            bench.settle()
            feed.give(b"x", last=stage == 5)
        if stage >= 3:
            far.send(answer(b"5\r\nhello\r\n", b"Transfer-Encoding: chunked", length=False))
        if stage >= 4:
            far.send(b"3e8\r\n" + b"y" * 1000 + b"\r\n")
        if waiting is not None:
            waiting.leave()
        step.cancel()
        bench.settle()
        store = Store.of(bench.loop)
        assert (bench.connections(), len(bench.pool.queue.slots)) == ([], 0), stage
        assert (store.memory, store.files) == (0, 0), stage
        feed.give(b"late", last=True)
        bench.close()
