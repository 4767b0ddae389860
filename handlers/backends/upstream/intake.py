"""The body of a request, gathered before an upstream is asked.

A client that sends slowly occupies a buffer meanwhile, and no connection. A body that was gathered whole is sent with
its length, also to an upstream that knows no chunks, and may be sent again. One that turns out to be longer than what
is gathered is streamed from there on.
"""

from collections.abc import Callable

from clerestory.handlers.backends.upstream.spool import Spool, Store


class Intake:
    """At most `most` bytes of a body; then, or when the body ends before that, `resume` is called once.

    `is_open` until then; `is_whole` says that the body has ended. `size` are the bytes that have come.
    """

    __slots__ = ("_most", "_resume", "is_open", "is_whole", "size", "spool")

    def __init__(self, store: Store, most: int, resume: Callable[[], None]) -> None:
        self.spool = Spool(store)
        self._most = most
        self._resume = resume
        self.is_open = True
        self.is_whole = False
        self.size = 0

    def put(self, piece: bytes, *, last: bool) -> None:
        """Take the next piece of the body; `last` says that the body ends with it."""
        if piece:
            self.spool.put(piece)
            self.size += len(piece)
        self.is_whole = last
        if last or self.size >= self._most or not self.spool.has_room:
            self.is_open = False
            self._resume()

    def describe(self) -> str:
        """For an operator."""
        return f"gathering the request's body: {self.size} of at most {self._most} bytes"
