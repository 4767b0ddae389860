"""The end of a connection from our side: what the peer still sends is read and forgotten, so that it gets to read our
last answer instead of a reset (RFC 9112 section 9.6). Here is how much of that is enough."""

from clerestory.server.connection.service import Service

SHORT_LINGER = 64 * 1024
"""Bytes that any client may send after our last answer: what was on its way is discarded for all of them."""


class Farewell:
    """One connection's, from the first read behind our last answer on."""

    __slots__ = ("_discarded", "_service")

    def __init__(self, service: Service) -> None:
        self._service = service
        self._discarded = 0

    def is_too_long(self, size: int) -> bool:
        """Count `size` bytes that were discarded; whether that is enough: more than one may send, or, where many linger
        at once, more than what was on its way anyway."""
        before, self._discarded = self._discarded, self._discarded + size
        limits = self._service.limits
        if self._discarded > limits.max_linger:
            return True
        return before <= SHORT_LINGER < self._discarded and self._service.lingering() > limits.max_lingering
