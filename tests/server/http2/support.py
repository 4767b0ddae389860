"""What the tests of HTTP/2 share: a bench on which it is spoken without TLS, and a client of it, which is the library's
client half over a socket pair."""

import contextlib
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hyperframe.frame import Frame

from clerestory.server.http2.adoption import HTTP2
from clerestory.server.http2.connection import Connection
from clerestory.server.http2.stream import Stream
from tests.server.support import Bench, bench_of
from tests.support.http2 import Answer as Answer
from tests.support.http2 import Headers as Headers
from tests.support.http2 import Speaker
from tests.support.http2 import head as head


class Peer(Speaker):
    """A client. With `takes_all`, it opens its windows as bytes come."""

    def __init__(
        self, bench: Bench, takes: Iterable[int] = (), *, begin: bool = True, takes_all: bool = True, buffer: int = 0
    ) -> None:
        super().__init__(takes_all=takes_all)
        self.bench = bench
        self.client = bench.connect(takes, buffer=buffer)
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
        self.hear(data)
        return True

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
