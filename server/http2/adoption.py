"""Where a connection is taken over that speaks HTTP/2. Imported, with all that it imports, only where it may be."""

from clerestory.server.connection.connection import Connection as Before
from clerestory.server.connection.service import Service
from clerestory.server.http2.connection import Connection
from clerestory.server.http2.shared import Shared
from clerestory.server.http2.stream import Stream


class HTTP2(Shared):
    """Takes connections over."""

    def __init__(self, service: Service) -> None:
        super().__init__(service, Connection, Stream)

    def adopt(self, before: Before) -> None:
        """Go on with the descriptor of a machine that has ended, and with what has been read of it."""
        connection = Connection(self, before.transport, before.descriptor, before.peer, before.number)
        self.adopted += 1
        connection.accepted_at = before.accepted_at
        connection.bytes_in, connection.bytes_out = before.bytes_in, before.bytes_out
        connection.input = before.input
        connection.reader.security = before.reader.security
        loop = self.service.loop
        loop.add(connection)
        connection.begin()
        if connection.input:
            loop.schedule_read(connection)
