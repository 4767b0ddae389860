"""An upstream that records: it reads what arrives with a parser of its own, and answers each whole request.

Two parsers, so that what one of them let through is read by the other: h11, and httptools (llhttp).
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Protocol, Self

import h11
import httptools

from tests.support.waiting import PATIENCE

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Recorded(NamedTuple):
    """One whole request."""

    method: bytes
    target: bytes
    body: bytes


class Reading(Protocol):
    """What reads one connection: `feed` yields whole requests and, as None, the wish for 100 (Continue)."""

    def feed(self, data: bytes) -> Iterator[Recorded | None]: ...


class ByH11:
    """h11 as a server's parser. Raises h11.RemoteProtocolError."""

    def __init__(self) -> None:
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        self._request: h11.Request | None = None
        self._body = b""

    def feed(self, data: bytes) -> Iterator[Recorded | None]:
        parser = self._parser
        parser.receive_data(data)
        while True:
            if parser.they_are_waiting_for_100_continue:
                parser.send(h11.InformationalResponse(status_code=100, headers=[]))
                yield None
            event = parser.next_event()
            if isinstance(event, h11.Request):
                self._request, self._body = event, b""
            elif isinstance(event, h11.Data):
                self._body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert self._request is not None
                yield Recorded(self._request.method, self._request.target, self._body)
                parser.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                parser.send(h11.EndOfMessage())
                parser.start_next_cycle()
            else:
                return


class ByHttptools:
    """llhttp as a server's parser. Raises httptools.HttpParserError."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._found: list[Recorded | None] = []
        self._target = self._body = b""

    def feed(self, data: bytes) -> Iterator[Recorded | None]:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as asked:
            # Asked for, and not agreed to: what follows is HTTP as before, for which this parser is of no use.
            self._parser = httptools.HttpRequestParser(self)
            self._parser.feed_data(data[asked.args[0] :])
        found, self._found = self._found, []
        yield from found

    def on_message_begin(self) -> None:
        self._target = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"expect":
            self._found.append(None)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._found.append(Recorded(self._parser.get_method(), self._target, self._body))


READINGS: dict[str, type[ByH11] | type[ByHttptools]] = {"h11": ByH11, "httptools": ByHttptools}


class RecordingUpstream:
    """Listens, and keeps in `recorded` each whole request that came, in `offences` what its parser did not read."""

    def __init__(self, parser: str) -> None:
        self._reading = READINGS[parser]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://{}:{}".format(*self._listener.getsockname())
        self.recorded: list[Recorded] = []
        self.offences: list[str] = []
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        reading: Reading = self._reading()
        with connection, suppress(OSError):
            while data := connection.recv(65536):
                try:
                    for request in reading.feed(data):
                        if request is not None:
                            self.recorded.append(request)
                        connection.sendall(CONTINUE if request is None else ANSWER)
                except (h11.RemoteProtocolError, httptools.HttpParserError) as error:
                    self.offences.append(f"{error!r}: {data!r}")
                    return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
