"""A raw client: it sends the bytes it is told to, and reads answers strictly by RFC 9112, trusting nothing.

It tells apart what other clients hide: an answer that is whole, one that was cut short, an orderly close and a reset.
"""

import re
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.support.waiting import PATIENCE

Address = tuple[str, int]


class SecureAddress(Address):
    """Where TLS is spoken: a Client that is given it speaks it, too, with `context`."""

    context: ssl.SSLContext


_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ([\t\x20-\x7e]*)")
_FIELD_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9a-z]+): ((?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?)")
_CHUNK_LINE = re.compile(rb"[0-9a-f]+")

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class CutShort(Exception):
    """The connection ended inside an answer. `how` is `closed` or `reset`; `received` all that had come of it."""

    def __init__(self, how: str, received: bytes) -> None:
        super().__init__(f"{how} after {len(received)} bytes: {received[:80]!r}...")
        self.how = how
        self.received = received


@dataclass(slots=True)
class Answer:
    """A whole response. `interim` are the statuses of the 1xx responses before it."""

    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes = b""
    chunks: list[int] = field(default_factory=list)
    interim: list[int] = field(default_factory=list)

    def __getitem__(self, name: str) -> str:
        """The value of the one field of that name."""
        (value,) = [value for key, value in self.fields if key == name]
        return value

    def get(self, name: str) -> str | None:
        """The value of the field of that name, if there is one."""
        return self[name] if any(key == name for key, _ in self.fields) else None

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def error(self) -> str:
        """What an error in plain text says, without its last line, which names the request as `x-request-id` does."""
        said, named = self.text.removesuffix("\n").split("\n")
        assert named == f"Request {self['x-request-id']}"
        return said


_own_addresses = (f"127.{middle >> 8}.{middle & 255}.{last}" for middle in range(257, 65536) for last in range(1, 255))


class Client:
    """One connection to a server, blocking, with a timeout that means `it hangs`.

    `own` connects from an address that no other client of this run has, so that no other connection in a server's log
    has its `name`: ports are used again soon.
    """

    def __init__(
        self,
        address: Address,
        *,
        timeout: float = PATIENCE,
        window: int | None = None,
        data: bytes = b"",
        own: bool = False,
    ) -> None:
        self.socket: socket.socket = socket.socket()
        self.socket.settimeout(timeout)
        if window is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.buffer = b""
        self.received = 0
        try:
            if own:
                self.socket.bind((next(_own_addresses), 0))
            self.socket.connect(address)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.name = "{}:{}".format(*self.socket.getsockname())
            if isinstance(address, SecureAddress):
                self.socket = address.context.wrap_socket(
                    self.socket, server_hostname=address[0], suppress_ragged_eofs=False
                )
            if data:
                self.send(data)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- sending

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def try_send(self, data: bytes) -> bool:
        """Send; False when the connection was reset meanwhile."""
        try:
            self.socket.sendall(data)
        except (ConnectionError, TimeoutError):
            return False
        return True

    def half_close(self) -> None:
        """Say that no more will come; go on reading."""
        if isinstance(self.socket, ssl.SSLSocket):
            say_goodbye(self.socket)
            socket.socket.shutdown(self.socket, socket.SHUT_WR)
        else:
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with RST."""
        with suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    # --- reading

    def _more(self) -> None:
        try:
            data = self.socket.recv(65536)
        except (ConnectionError, ssl.SSLEOFError):
            raise CutShort("reset", self.buffer) from None
        if not data:
            raise CutShort("closed", self.buffer)
        self.received += len(data)
        self.buffer += data

    def _line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            assert b"\n" not in self.buffer, self.buffer
            self._more()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def _exactly(self, size: int) -> bytes:
        pieces, have = [self.buffer[:size]], min(size, len(self.buffer))
        self.buffer = self.buffer[size:]
        while have < size:
            try:
                self._more()
            except CutShort as cut:
                raise CutShort(cut.how, b"".join(pieces)) from None
            pieces.append(self.buffer[: size - have])
            self.buffer = self.buffer[size - have :]
            have += len(pieces[-1])
        return b"".join(pieces)

    def take(self, count: int, at_most: int = 65536) -> None:
        """Receive until there are `count` bytes, never more, at most so many at a time; they are still to be read."""
        while len(self.buffer) < count:
            data = self.socket.recv(min(at_most, count - len(self.buffer)))
            if not data:
                raise CutShort("closed", self.buffer)
            self.received += len(data)
            self.buffer += data

    def answer(self, method: str = "GET") -> Answer:
        """The next response, whole; asserts that it is well-formed. Raises CutShort when it is not whole."""
        interim = []
        while True:
            answer = self._head()
            if answer.status >= 200:
                break
            assert answer.status != 100 or answer.fields == []
            interim.append(answer.status)
        answer.interim = interim
        self._read_body(answer, method)
        return answer

    def _head(self) -> Answer:
        line = self._line()
        match = _STATUS_LINE.fullmatch(line)
        assert match is not None, line
        answer = Answer(int(match[1]), match[2].decode(), [])
        while line := self._line():
            match = _FIELD_LINE.fullmatch(line)
            assert match is not None, line
            answer.fields.append((match[1].decode(), match[2].decode()))
        return answer

    def _read_body(self, answer: Answer, method: str) -> None:
        """RFC 9112 section 6.3."""
        coding, length = answer.get("transfer-encoding"), answer.get("content-length")
        assert coding is None or (coding == "chunked" and length is None)
        if method == "HEAD" or answer.status in (204, 304):
            return
        if coding is not None:
            self._read_chunks(answer)
        elif length is not None:
            answer.body = self._exactly(int(length))
        else:
            assert answer["connection"] == "close"
            answer.body = self.rest()

    def _read_chunks(self, answer: Answer) -> None:
        pieces = []
        while True:
            line = self._line()
            assert _CHUNK_LINE.fullmatch(line), line
            size = int(line, 16)
            if not size:
                break
            answer.chunks.append(size)
            pieces.append(self._exactly(size))
            assert self._exactly(2) == b"\r\n"
        assert self._line() == b""
        answer.body = b"".join(pieces)

    def rest(self) -> bytes:
        """All that comes until the orderly close. Raises CutShort when there was a reset."""
        pieces = [self.buffer]
        self.buffer = b""
        while True:
            try:
                data = self.socket.recv(65536)
            except ssl.SSLZeroReturnError:  # behind our own close_notify
                return b"".join(pieces)
            except (ConnectionError, ssl.SSLEOFError):
                raise CutShort("reset", b"".join(pieces)) from None
            if not data:
                return b"".join(pieces)
            self.received += len(data)
            pieces.append(data)

    def end(self) -> str:
        """How the connection ends, when nothing more comes before that: `closed` or `reset`."""
        how, rest = self.everything()
        assert rest == b"", rest[:200]
        return how

    def everything(self) -> tuple[str, bytes]:
        """How the connection ends, and what comes before that."""
        try:
            return "closed", self.rest()
        except CutShort as cut:
            return cut.how, cut.received

    def is_open(self) -> bool:
        """Whether the connection is open at this moment, and nothing has come."""
        self.socket.setblocking(False)
        try:
            if isinstance(self.socket, ssl.SSLSocket):  # has no look that takes nothing
                self.socket.recv(1)
                return False
            return not self.socket.recv(1, socket.MSG_PEEK) and False
        except ssl.SSLWantReadError:
            return True
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        finally:
            self.socket.settimeout(PATIENCE)

    # --- both

    def get(self, target: str, *lines: str, method: str = "GET", body: bytes = b"") -> Answer:
        """Send one request and read its answer."""
        self.send(request(target, *lines, method=method, body=body))
        return self.answer(method)


def say_goodbye(secret: ssl.SSLSocket) -> None:
    """Send close_notify, and wait for nothing."""
    timeout = secret.gettimeout()
    secret.settimeout(0)
    with suppress(ssl.SSLWantReadError):
        secret.unwrap()
    secret.settimeout(timeout)


def request(target: str, *lines: str, method: str = "GET", version: str = "1.1", body: bytes = b"") -> bytes:
    """The bytes of one request, with a Host, and a Content-Length where there is a body."""
    length = [f"Content-Length: {len(body)}"] if body else []
    host = ["Host: example.org"] if version == "1.1" else []
    head = "\r\n".join([f"{method} {target} HTTP/{version}", *host, *lines, *length, "", ""])
    return head.encode("latin-1") + body


def chunked(*pieces: bytes) -> bytes:
    """`pieces` as the chunks of a whole body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@contextmanager
def clients(address: Address, count: int, data: bytes = b"", window: int | None = None) -> Iterator[list[Client]]:
    """That many connections, each having sent `data`."""
    opened: list[Client] = []
    try:
        opened.extend(Client(address, data=data, window=window) for _ in range(count))
        yield opened
    finally:
        for client in opened:
            client.close()
