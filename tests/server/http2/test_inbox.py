"""A body is taken whole and in order; one of another length than it says is refused."""

import pytest

from clerestory.server.http.gate import Refusal
from clerestory.server.http2.inbox import PART, Inbox


def inbox_of(expected: int | None = None) -> Inbox:
    inbox = Inbox()
    inbox.expected = expected
    return inbox


def refusal(inbox: Inbox, limit: int = 100) -> str:
    with pytest.raises(Refusal) as refused:
        inbox.take(limit)
    return f"{refused.value.status} {refused.value.reason}"


def test_what_came_is_taken_at_once_and_in_order() -> None:
    inbox = inbox_of()
    assert inbox.take(100) is None
    inbox.add(b"ab", 5)
    inbox.add(b"c", 1)
    assert (bool(inbox), inbox.unread, inbox.received) == (True, 6, 3)
    assert inbox.take(100) == b"abc"
    assert (bool(inbox), inbox.take(100)) == (False, None)


def test_the_end_is_nothing_more() -> None:
    inbox = inbox_of(2)
    inbox.add(b"ab", 2)
    inbox.end()
    assert (inbox.has_ended, inbox.take(100), inbox.take(100)) == (True, b"ab", b"")


@pytest.mark.parametrize(("limit", "fits"), [(3, True), (2, False)])
def test_a_body_has_so_many_bytes_and_no_more(limit: int, fits: bool) -> None:
    inbox = inbox_of()
    inbox.add(b"abc", 3)
    if fits:
        assert inbox.take(limit) == b"abc"
    else:
        assert refusal(inbox, limit) == "413 The body is longer than 2 bytes."


def test_one_that_says_that_it_is_longer_is_refused_before_it_comes() -> None:
    assert refusal(inbox_of(101)) == "413 The body is longer than 100 bytes."


def test_more_than_was_said_is_refused_with_its_first_byte() -> None:
    inbox = inbox_of(2)
    inbox.add(b"abc", 3)
    assert refusal(inbox) == "400 The body is longer than its Content-Length of 2."


def test_less_than_was_said_is_refused_at_the_end() -> None:
    inbox = inbox_of(3)
    inbox.add(b"ab", 2)
    inbox.end()
    assert refusal(inbox) == "400 The body is shorter than its Content-Length of 3."


def test_what_is_wrong_with_trailers_is_wrong_with_the_body() -> None:
    inbox = inbox_of()
    inbox.end(Refusal(400, "A trailer section has a pseudo-field."))
    assert refusal(inbox) == "400 A trailer section has a pseudo-field."


def test_what_nobody_takes_is_forgotten() -> None:
    inbox = inbox_of()
    inbox.add(b"ab", 2)
    inbox.clear()
    assert not inbox


def test_the_window_is_opened_a_part_at_a_time() -> None:
    """Else a client that fills it sends ever smaller pieces."""
    inbox = Inbox()
    opened = []
    for _ in range(5):
        inbox.add(b"x" * 36, PART // 2)
        opened.append(inbox.taken())
    assert opened == [(PART // 2, 0), (PART // 2, PART), (PART // 2, 0), (PART // 2, PART), (PART // 2, 0)]
    inbox.add(b"x", PART)
    inbox.end()
    assert inbox.taken() == (PART, 0), "nothing more comes"
