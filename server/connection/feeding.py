"""A request's body on its way to an operation that sends it on, such as a call to an upstream.

The handler's coroutine waits for that operation, and so cannot wait for the body as well: the machine reads the body, a
piece at a time, and gives it to the operation's *feed*. So a request and the response to it go on at the same time,
and neither waits for the other longer than its own peer makes it.
"""

from clerestory.handlers.api.messages import Request
from clerestory.handlers.api.operations import Feed


class Feeding:
    """The body of `request`, which is given to `feed`. `is_giving` while it is: what the feed reports then is looked at
    after that, since a machine is not fired within its own action."""

    __slots__ = ("_feed", "_request", "is_giving")

    def __init__(self, feed: Feed, request: Request) -> None:
        self._feed = feed
        self._request = request
        self.is_giving = False

    @property
    def wants(self) -> bool:
        """Whether the feed takes a piece now."""
        return not self._request.body_ended and self._feed.wants

    @property
    def takes(self) -> bool:
        """Whether there is a use for more of the body while the response is sent: the feed's, or to be discarded, since
        a client may read nothing before it has sent its whole request."""
        return not self._request.body_ended and (self._feed.wants or self._feed.has_stopped)

    def is_idle(self, feed: Feed) -> bool:
        """Whether it is `feed` that is fed, and not being given a piece."""
        return feed is self._feed and not self.is_giving

    def give(self, piece: bytes) -> None:
        """Hand over the piece that has come."""
        self.is_giving = True
        try:
            self._feed.give(piece, last=self._request.body_ended)
        finally:
            self.is_giving = False
