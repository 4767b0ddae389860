"""What the tests of HTTP/2 share: a bench on which it is spoken without TLS, and a client of it, which is the library's
client half over a socket pair."""

import contextlib
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from hyperframe.frame import Frame

from clerestory.server.http2.adoption import HTTP2
from clerestory.server.http2.connection import Connection
from clerestory.server.http2.stream import Stream
from tests.server.support import Bench, bench_of

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


def head(method: bytes = b"GET", path: bytes = b"/", *fields: tuple[bytes, bytes]) -> Headers:
    """A request's field section."""
    return [(b":method", method), (b":scheme", b"http"), (b":authority", b"site"), (b":path", path), *fields]


class Peer:
    """A client. With `takes_all`, it opens its windows as bytes come."""

    def __init__(
        self, bench: Bench, takes: Iterable[int] = (), *, begin: bool = True, takes_all: bool = True, buffer: int = 0
    ) -> None:
        self.bench = bench
        self.client = bench.connect(takes, buffer=buffer)
        self.takes_all = takes_all
        self.library = H2Connection(
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
        self.library.initiate_connection()
        if begin:
            self.flush()

    @property
    def machine(self) -> Connection:
        """The server's machine for this connection."""
        (found,) = [one for one in self.bench.loop.machines.values() if isinstance(one, Connection)]
        return found

    @property
    def streams(self) -> dict[int, Stream]:
        return self.machine.streams

    def flush(self) -> None:
        """Send what there is to be sent, let the server come to rest, and take what it says; until it says no more."""
        for _ in range(10_000):
            data = self.library.data_to_send()
            if data:
                self.client.far.sendall(data)
            self.bench.settle()
            if not self.take() and not data:
                return
        raise AssertionError("the two talk for ever")

    def push(self, data: bytes) -> None:
        """Send bytes, and take nothing of what the server says."""
        self.client.far.sendall(data)
        self.bench.settle()

    def half_close(self) -> None:
        self.client.far.shutdown(socket.SHUT_WR)
        self.bench.settle()

    def raw(self, data: bytes) -> None:
        """Send bytes past the library."""
        self.client.far.sendall(data)
        self.flush()

    def frame(self, frame: Frame) -> None:
        self.raw(frame.serialize())

    def take(self) -> bool:
        """Take what has come; whether there was something."""
        data = self.client.received()
        if not data:
            return False
        for event in self.library.receive_data(data):
            self._note(event)
        return True

    def _note(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self.goaway = event
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

    def begin(self, headers: Headers, *, end: bool = True) -> int:
        """Open a stream, and do not send it yet."""
        number, self.next = self.next, self.next + 2
        self.library.send_headers(number, headers, end_stream=end)
        return number

    def ask(self, headers: Headers, body: bytes | None = None) -> Answer:
        """Ask, and have the answer."""
        number = self.begin(headers, end=body is None)
        if body is not None:
            self.library.send_data(number, body, end_stream=True)
        self.flush()
        return self.answers.get(number, Answer())

    def get(self, path: bytes = b"/", *fields: tuple[bytes, bytes]) -> Answer:
        return self.ask(head(b"GET", path, *fields))

    def data(self, number: int, data: bytes, *, end: bool = False) -> None:
        self.library.send_data(number, data, end_stream=end)
        self.flush()


@contextlib.contextmanager
def speaking(application: Callable[[Any], Any], **options: Any) -> Iterator[Bench]:
    """A bench on which HTTP/2 is spoken with prior knowledge."""
    with bench_of(application, **options) as bench:
        bench.service.http2 = HTTP2(bench.service)
        bench.service.h2c = True
        yield bench


def requests(bench: Bench) -> list[str]:
    """The log's lines of requests since the last call."""
    return [line for line in bench.logs.take() if "/" in line]
