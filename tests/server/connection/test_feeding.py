"""A request's body on its way to what sends it on."""

from clerestory.handlers.api.messages import Request
from clerestory.server.connection.feeding import Feeding


class Taking:
    """A feed that remembers what it was given."""

    def __init__(self, *, wants: bool = True, has_stopped: bool = False) -> None:
        self.wants = wants
        self.has_stopped = has_stopped
        self.given: list[tuple[bytes, bool]] = []
        self.feeding: Feeding | None = None
        self.was_idle = True

    def give(self, piece: bytes, *, last: bool) -> None:
        self.given.append((piece, last))
        if self.feeding is not None:
            self.was_idle = self.feeding.is_idle(self)


def feeding_of(feed: Taking) -> tuple[Feeding, Request]:
    request = Request("POST", "/", (), content_length=None)
    feed.feeding = Feeding(feed, request)
    return feed.feeding, request


def test_the_end_of_the_body_goes_with_its_last_piece() -> None:
    feed = Taking()
    feeding, request = feeding_of(feed)
    feeding.give(b"one")
    request.body_ended = True
    feeding.give(b"two")
    assert feed.given == [(b"one", False), (b"two", True)]
    assert (feeding.wants, feeding.takes) == (False, False)


def test_what_the_feed_reports_while_it_is_given_a_piece_is_left_for_later() -> None:
    feed = Taking()
    feeding, _ = feeding_of(feed)
    assert feeding.is_idle(feed)
    assert not feeding.is_idle(Taking())
    feeding.give(b"one")
    assert not feed.was_idle
    assert feeding.is_idle(feed)


def test_a_feed_that_has_no_use_for_the_rest_wants_none_but_takes_it_while_the_response_is_sent() -> None:
    """A client may read nothing before it has sent its whole request: what nobody wants is discarded."""
    feeding, _ = feeding_of(Taking(wants=False, has_stopped=True))
    assert (feeding.wants, feeding.takes) == (False, True)
    feeding, _ = feeding_of(Taking(wants=False))
    assert (feeding.wants, feeding.takes) == (False, False)
