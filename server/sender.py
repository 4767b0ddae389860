"""The sending half of a client connection's shell.

- What is to be sent is handed over by `outgoing`, one thing at a time: the next is produced only when the socket has
  taken it all. It lies in `output`, `file` and `tail`, in this order; they are empty between two responses.
- A bounded amount is written a turn, so that no client starves the others: what is left waits for the socket to be
  reported writable, as it is again at once.
"""

from contextlib import suppress

from handlers.messages import File
from server.exchange import Exchange
from server.service import Service
from server.transport import FileUnreadableError, PeerGoneError, Transport
from statemachines.connection import Trigger as T
from statemachines.engine import Machine

FILE_SIZE = 2 * 1024 * 1024
"""Bytes of a file given to one sendfile(2), and sent in one turn: they are not copied, so they cost less time."""

PIECES = 32
"""Pieces of a response produced in one turn."""

JOIN_SIZE = 64 * 1024
"""A body up to this size is copied behind its head, to go out in one system call; a larger one has its own."""

READ_SIZE = 8 * 1024
"""A file up to this size is read, and sent with its head: that takes as many system calls as sendfile(2), but cheaper
ones. A request for 1 KiB costs 8 % less so, for 8 KiB 5 %; 16 KiB are even, and 32 KiB dearer by 10 %."""

_OUTPUT_FLUSHED = T.OUTPUT_FLUSHED


class Sender(Machine):
    """A machine that sends responses.

    `number` is the connection's, `requests` how many heads were received or refused. `bytes_out` counts the whole
    connection, `sent` this exchange's response; `progressed` is when a byte last moved, either way.
    """

    __slots__ = (
        "_allowance",
        "_turn",
        "bytes_out",
        "exchange",
        "file",
        "number",
        "output",
        "progressed",
        "requests",
        "sent",
        "service",
        "tail",
        "transport",
    )

    def __init__(self, service: Service, transport: Transport, descriptor: int) -> None:
        super().__init__(service.engine, descriptor)
        self.service = service
        self.transport = transport
        self.exchange: Exchange | None = None
        self.output: bytes | memoryview = b""
        self.file: File | None = None
        self.tail = b""
        self.number = service.accepted = service.accepted + 1
        self.bytes_out = self.sent = self.requests = 0
        self.progressed = self.since
        self._turn = self._allowance = 0

    def request_id(self) -> str:
        """Names the exchange in the log: the connection's number and the request's on it."""
        return f"{self.number}-{self.requests}"

    def has_more_output(self) -> bool:
        """Whether the response has further pieces to be produced."""
        return self.exchange is not None and self.exchange.pieces is not None

    def outgoing(self, output: bytes, body: bytes | File = b"", tail: bytes = b"") -> None:
        """Take what is to be sent next: a head or a chunk's frame, then a body or a piece of one, then its end."""
        if self.tail:
            output, self.tail = self.tail + output, b""  # what the socket did not take of CONTINUE
        if isinstance(body, bytes):
            if len(body) <= JOIN_SIZE:
                self.output = b"".join((output, body, tail))
            else:
                self.output, self.tail = output, body + tail
        elif body.count:
            self.output, self.file, self.tail = output, body, tail
        else:
            _close(body)
            self.output = output + tail

    def queue_output(self) -> T | None:
        """The answers of a turn leave together: the first bytes of one wait for the turn's end, the others do not."""
        if self.sent:
            return self.write()
        self.service.loop.presume_writable(self)
        return None

    def write(self, ready: int = 0) -> T | None:  # noqa: ARG002
        """Write until all is sent, the socket takes no more, or others are to have their turn."""
        transport = self.transport
        try:
            while True:
                if self.output:
                    if self.file is not None and self.file.count <= READ_SIZE:
                        self._read_file(self.file)
                    size = len(self.output)
                    sent = transport.write(self.output, self.file is not None or self.tail != b"")
                    self.sent += sent
                    self.bytes_out += sent
                    if sent < size:
                        self._keep_rest(sent)
                        return None
                    self.output = b""
                if self.file is not None:
                    if not self._send_file(self.file):
                        return None
                elif not self.tail:
                    return self._flushed()
                self.output, self.tail = self.tail, b""
        except PeerGoneError:
            return T.PEER_RESET
        except FileUnreadableError as error:
            self.service.logs.warning("file_unreadable", id=self.request_id(), reason=str(error))
            return T.RESPONSE_BROKEN

    def _keep_rest(self, sent: int) -> None:
        if sent:
            self.progressed = self.service.loop.clock()
            self.output = memoryview(self.output)[sent:]

    def _read_file(self, file: File) -> None:
        """Put a small file behind its head. One that has become shorter, or can not be read, is left to `_send_file`,
        which sends it as far as it goes."""
        with suppress(OSError):
            content = file.read()
            if len(content) == file.count:
                self.output, self.file, self.tail = b"".join((self.output, content, self.tail)), None, b""
                file.close()

    def _send_file(self, file: File) -> bool:
        """Send of the file what the socket takes; whether that was all of it."""
        sent = self.transport.send_file(file.descriptor, file.offset, min(file.count, FILE_SIZE))
        file.offset += sent
        file.count -= sent
        self.sent += sent
        self.bytes_out += sent
        if sent:
            self.progressed = self.service.loop.clock()
        if file.count:
            return False
        _close(file)
        self.file = None
        return True

    def _flushed(self) -> T | None:
        """All is sent. A response that has more pieces goes on at once, within its allowance for this turn."""
        if self.exchange is None or self.exchange.pieces is None:
            return _OUTPUT_FLUSHED
        if self._turn != self.service.loop.turns:
            self._turn = self.service.loop.turns
            self._allowance = PIECES
        self._allowance -= 1
        return _OUTPUT_FLUSHED if self._allowance > 0 else None

    def produce_output(self) -> T | None:
        """Get the response's next piece."""
        assert self.exchange is not None
        return self.exchange.produce()


def _close(file: File) -> None:
    """Close a file that has been sent. That its descriptor was none any more is no fault of the answer."""
    with suppress(OSError):
        file.close()
