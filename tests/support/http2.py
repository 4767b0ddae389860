"""A client of HTTP/2: the library's client half, what it has got by streams, and that over a real socket."""

import socket
import ssl
import time
from collections.abc import Callable
from typing import Self

from h2.config import H2Configuration
from h2.connection import ConnectionInputs, H2Connection, H2ConnectionStateMachine
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    InformationalResponseReceived,
    PingAckReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from hyperframe.frame import Frame, GoAwayFrame

from tests.support.client import Address, SecureAddress
from tests.support.waiting import PATIENCE

Headers = list[tuple[bytes, bytes]]


class Answer:
    """What a client has got on one stream."""

    def __init__(self) -> None:
        self.headers: Headers = []
        self.interim: list[Headers] = []
        self.trailers: Headers = []
        self.body = b""
        self.ended = False
        self.reset: int | None = None

    @property
    def status(self) -> int:
        return int(dict(self.headers)[b":status"])

    def get(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)

    @property
    def is_over(self) -> bool:
        return self.ended or self.reset is not None


def head(method: bytes = b"GET", path: bytes = b"/", *fields: tuple[bytes, bytes], scheme: bytes = b"http") -> Headers:
    """A request's field section."""
    return [(b":method", method), (b":scheme", scheme), (b":authority", b"site"), (b":path", path), *fields]


class Speaker:
    """What speaks for a client; its owner moves the bytes. With `takes_all`, it opens its windows as bytes come."""

    def __init__(self, *, takes_all: bool = True, library: type[H2Connection] = H2Connection) -> None:
        self.takes_all = takes_all
        self.library = library(
            H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                validate_inbound_headers=True,
            )
        )
        self.answers: dict[int, Answer] = {}
        self.goaway: ConnectionTerminated | None = None
        self.next = 1
        self.pongs = 0
        self.library.initiate_connection()

    def begin(self, headers: Headers, *, end: bool = True) -> int:
        """Open a stream, and do not send it yet."""
        number, self.next = self.next, self.next + 2
        self.library.send_headers(number, headers, end_stream=end)
        return number

    def hear(self, data: bytes) -> None:
        """Take what has come."""
        for event in self.library.receive_data(data):
            self._note(event)

    def _note(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self.goaway = event
        self.pongs += isinstance(event, PingAckReceived)
        if not isinstance(
            event,
            ResponseReceived
            | InformationalResponseReceived
            | DataReceived
            | TrailersReceived
            | StreamEnded
            | StreamReset,
        ):
            return
        answer = self.answers.setdefault(event.stream_id or 0, Answer())
        if isinstance(event, ResponseReceived):
            answer.headers = list(event.headers or ())
        elif isinstance(event, InformationalResponseReceived):
            answer.interim.append(list(event.headers or ()))
        elif isinstance(event, TrailersReceived):
            answer.trailers = list(event.headers or ())
        elif isinstance(event, DataReceived):
            answer.body += event.data or b""
            if self.takes_all and self.goaway is None:
                self.library.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
        elif isinstance(event, StreamEnded):
            answer.ended = True
        elif isinstance(event, StreamReset):
            answer.reset = int(event.error_code or 0)


class _Library(H2Connection):
    """Goes on behind GOAWAY with the streams that are open, as a client does (RFC 9113 section 6.8)."""

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        found = super()._receive_goaway_frame(frame)
        self.state_machine = H2ConnectionStateMachine()
        self.state_machine.process_input(ConnectionInputs.SEND_HEADERS)
        return found


class HTTP2Client(Speaker):
    """A blocking client on a real connection, with a timeout that means `it hangs`; over TLS if its address says so."""

    def __init__(self, address: Address, *, takes_all: bool = True) -> None:
        super().__init__(takes_all=takes_all, library=_Library)
        self.socket: socket.socket | ssl.SSLSocket = socket.create_connection(address, timeout=PATIENCE)
        self.name = "{}:{}".format(*self.socket.getsockname())
        if isinstance(address, SecureAddress):
            self.socket = address.context.wrap_socket(self.socket, server_hostname=address[0])
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        """Send what there is to be sent."""
        data = self.library.data_to_send()
        if data:
            self.socket.sendall(data)

    def open(self, headers: Headers, *, end: bool = True) -> int:
        """Ask, and wait for nothing."""
        number = self.begin(headers, end=end)
        self.flush()
        return number

    def send(self, number: int, data: bytes, *, end: bool = False) -> None:
        """Send a piece of a body."""
        self.library.send_data(number, data, end_stream=end)
        self.flush()

    def until(self, condition: Callable[[], bool]) -> None:
        """Take what comes, until that is true. Raises AssertionError where the connection ends, or nothing comes."""
        limit = time.monotonic() + PATIENCE
        while not condition():
            data = self.socket.recv(65_536)
            assert data, "the connection has ended"
            assert time.monotonic() < limit, "what was waited for did not come"
            self.hear(data)
            self.flush()

    def ping(self) -> None:
        """Return when the server has read, and answered, all that was sent: it has answered a PING."""
        before = self.pongs
        self.library.ping(bytes(8))
        self.flush()
        self.until(lambda: self.pongs > before)

    def answer(self, number: int) -> Answer:
        """What has been got on a stream, up to now."""
        return self.answers.setdefault(number, Answer())

    def whole(self, number: int) -> Answer:
        """What is got on a stream, when that is over."""
        answer = self.answer(number)
        self.until(lambda: answer.is_over)
        return answer

    def get(self, path: bytes = b"/", *fields: tuple[bytes, bytes]) -> Answer:
        return self.whole(self.open(head(b"GET", path, *fields)))
