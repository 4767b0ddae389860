"""Whether an upstream is trusted to send what was requested, and nothing else.

What it sends beside its answers can be mistaken for the answer to the next request on that connection, when it comes at
a moment in which that cannot be told (look.py). But sooner or later such data comes while no answer is awaited. From
then on each connection to the upstream carries one request: nothing can be left over on it.
"""

from collections.abc import Callable

from clerestory.handlers.backends.journal import journal_of
from clerestory.handlers.backends.upstream.bounds import Bounds
from clerestory.handlers.backends.upstream.look import refuses
from clerestory.statemachines.loop import Loop


class Trust:
    """In the upstream `where`; `on_end` is called when it ends. A connection may carry `max_served` requests."""

    __slots__ = ("_left", "_loop", "_on_end", "_where", "max_served")

    def __init__(self, where: str, loop: Loop, bounds: Bounds, on_end: Callable[[], None]) -> None:
        self._where = where
        self._loop = loop
        self._on_end = on_end
        self._left = bounds.max_unrequested
        """How many more times it may send unrequested data; below 1 it is not counted."""
        self.max_served = bounds.max_served

    def note(self, unrequested: bytes) -> None:
        """The upstream has sent this data, which answers no request. A refusal does not count, by which a server says
        why it closes an idle connection, nor do line ends, which answer nothing."""
        if refuses(unrequested) or not unrequested.strip(b"\r\n"):
            return
        self._left -= 1
        if self._left:
            return
        self.max_served = 1
        reason = "it sent unrequested data"
        journal_of(self._loop).warning("upstream_not_reused", upstream=self._where, reason=reason)
        self._on_end()
