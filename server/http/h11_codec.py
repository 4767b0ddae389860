"""h11 behind the face `Codec`: the reference parser, pure Python, always there.

A parser reads one message and is thrown away (a fresh h11.Connection costs 1.4 us), so h11's own idea of a
connection, of keep-alive and of pausing never comes into play. A chunked body is decoded behind a head of our own:
h11 is told the framing the gate has found, and does not get to find another.
"""

from collections.abc import Callable

import h11

from handlers.messages import Fields
from server.http.gate import Disagreement

# The gate has bounded everything before it comes here; h11's own bound would count otherwise.
_UNBOUNDED = 1 << 62
_HEAD = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


class H11Codec:
    """Reads with h11."""

    __slots__ = ()

    name = "h11"

    def read_head(self, head: bytes) -> tuple[str, str, Fields]:
        """Method, target and fields of one whole head. Raises Disagreement."""
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=_UNBOUNDED)
        try:
            parser.receive_data(head)
            event = parser.next_event()
        except h11.RemoteProtocolError as error:
            raise Disagreement(self.name) from error
        if not isinstance(event, h11.Request):
            raise Disagreement(self.name)
        return event.method.decode("ascii"), event.target.decode("ascii"), tuple(event.headers)

    def decoder(self) -> Callable[[bytes], bytes]:
        """A decoder of one chunked body."""
        return _Decoder(self.name).decode


class _Decoder:
    """One h11.Connection in the middle of a request."""

    __slots__ = ("_name", "_parser")

    def __init__(self, name: str) -> None:
        self._name = name
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=_UNBOUNDED)
        self._parser.receive_data(_HEAD)
        self._parser.next_event()

    def decode(self, framed: bytes) -> bytes:
        pieces: list[bytes] = []
        try:
            self._parser.receive_data(framed)
            while isinstance(event := self._parser.next_event(), h11.Data):
                pieces.append(event.data)
        except h11.RemoteProtocolError as error:
            raise Disagreement(self._name) from error
        return b"".join(pieces)


CODEC = H11Codec()
