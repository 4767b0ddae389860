"""h11 behind the face `Codec`: the reference parser, pure Python, always there.

A parser reads one head and is thrown away (a fresh h11.Connection costs 1.4 us), so h11's own idea of a connection, of
a body's framing, of keep-alive and of pausing never comes into play.
"""

import h11

from clerestory.handlers.api.messages import Fields
from clerestory.server.http.gate import Disagreement

# The gate has bounded everything before it comes here; h11's own bound would count otherwise.
_UNBOUNDED = 1 << 62


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


CODEC = H11Codec()
