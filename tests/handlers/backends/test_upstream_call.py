"""A call's own laws: what may be sent again, who is told, and what an error says."""

import pytest

from handlers.backends.upstream_call import Call, Step, UpstreamError
from handlers.backends.upstream_gate import Reader


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


def test_a_body_longer_or_shorter_than_it_said_is_an_error_of_whoever_asks() -> None:
    for piece in (b"hello!", b""):
        call = Call("POST", b"", 5)
        with pytest.raises(ValueError, match="its length was to be 5"):
            call.give(piece)
        assert call.left
