"""What the tests of the shells share: a bench with a loop on a fake clock, connections over socket pairs, and a log
that is kept instead of written.

Nothing here sleeps. A bench turns its loop until nothing is ready any more; a loop that never comes to rest spins, and
that is an error of its own.
"""

import contextlib
import os
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple, cast

from clerestory.handlers.api.messages import File, Request, Response
from clerestory.handlers.api.operations import Executor, Operation
from clerestory.handlers.wire.transport import TCP
from clerestory.server.config import Limits
from clerestory.server.connection.connection import Connection
from clerestory.server.connection.room import connections
from clerestory.server.connection.service import Service
from clerestory.server.http import codec_for
from clerestory.server.http.responses import HeadWriter
from clerestory.server.logging.events import STATES
from clerestory.server.logging.logs import Logs
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import POLLERS, Poller, Readiness, open_poller
from clerestory.server.xray.observe.recorder import Recorder
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.contract import Interest, Name
from clerestory.statemachines.engine import Dispatch, Engine, Machine

WALL = 1_795_435_200.0
DATE = b"date: Mon, 23 Nov 2026 12:00:00 GMT\r\n"
EVERY_POLLER = tuple(POLLERS)
PATIENCE = 5.0
"""Seconds until a blocking read of a test is given up; nothing that works waits this long."""

TURNS = 20_000
"""Turns in which everything comes to rest, or the loop spins."""


class Clock:
    """Seconds, set by the test. In binary fractions, so that sums are exact."""

    def __init__(self, now: float = 1024.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class RecordingLogs(Logs):
    """Keeps what is logged in `events`: the fields of each, with its `event` and `level`."""

    def __init__(self, *, access: bool = True, debug: bool = False) -> None:
        self.events: list[dict[str, Any]] = []
        self.access = access
        self.debug_enabled = debug
        self.queries = self.terminal = False
        self.debug, self.info = self._at("debug"), self._at("info")
        self.always = self.info
        self.warning, self.error = self._at("warning"), self._at("error")
        self.request = self._request

    def _at(self, level: str) -> Callable[..., None]:
        def log(event: str, **fields: Any) -> None:
            self.events.append({"event": event, "level": level, **fields})

        return log

    def _request(
        self,
        exchange: str,
        peer: str,
        method: str,
        target: str,
        status: int | None,
        bytes_in: int,
        bytes_out: int,
        spent: list[float],
        end: str | None,
        upstream: str = "",
        /,
    ) -> None:
        times = {state: seconds * 1000 for state, seconds in zip(STATES, spent, strict=True) if seconds}
        names = ("id", "peer", "method", "target", "status", "bytes_in", "bytes_out", "times", "end")
        values = (exchange, peer, method, target, status, bytes_in, bytes_out, times, end)
        asked = {"upstream": upstream} if upstream else {}
        self.info("request", **dict(zip(names, values, strict=True)), **asked)

    def take(self) -> list[str]:
        """One line for each event since the last call."""
        events, self.events = self.events, []
        return [line_of(event) for event in events]


def line_of(event: Mapping[str, Any]) -> str:
    """What matters of an event, in a line."""
    match event["event"]:
        case "request":
            words = [
                event["id"],
                event["method"] or "-",
                event["target"] or "-",
                "-" if event["status"] is None else event["status"],
                event["end"],
            ]
        case "connection_ended":
            words = ["ended:", event["cause"], event["state"], event["trigger"]]
        case "handler_failed":
            words = ["failed:", type(event["exc_info"]).__name__]
        case name:
            words = [name]
    return " ".join(str(word) for word in words if word is not None)


class RecordingPoller:
    """A real poller whose calls are noted in `calls`; `interests` is what it was last told of each descriptor."""

    def __init__(self, poller: Poller) -> None:
        self.poller = poller
        self.name, self.capacity, self.most = poller.name, poller.capacity, poller.most
        self.calls: list[tuple[str, int, int]] = []
        self.interests: dict[int, int] = {}
        self.waits: list[float | None] = []
        self.events: Readiness = []
        self.script: list[Readiness] = []
        """What the next waits report, instead of what is so."""

    def register(self, descriptor: int, interest: int, /) -> None:
        self.poller.register(descriptor, interest)
        self.calls.append(("register", descriptor, interest))
        self.interests[descriptor] = interest

    def modify(self, descriptor: int, interest: int, /) -> None:
        self.poller.modify(descriptor, interest)
        self.calls.append(("modify", descriptor, interest))
        self.interests[descriptor] = interest

    def unregister(self, descriptor: int, /) -> None:
        self.poller.unregister(descriptor)
        self.calls.append(("unregister", descriptor, 0))
        del self.interests[descriptor]

    def wait(self, timeout: float | None, /) -> Readiness:
        self.waits.append(timeout)
        self.events = self.script.pop(0) if self.script else self.poller.wait(0)
        return self.events

    def close(self) -> None:
        self.poller.close()


class Socket(TCP):
    """A connection's transport that tells what was done to it, and takes only as many bytes as it is let.

    `takes` yields how many bytes each write may take; 0 is a socket that would block.
    """

    def __init__(self, connected: socket.socket, takes: Iterable[int] = ()) -> None:
        super().__init__(connected)
        self.takes = iter(takes)
        self.writes: list[tuple[bytes, bool]] = []
        self.done: list[str] = []
        self.fails: list[Exception] = []
        """Raised by the next reads and writes."""

    def _fail(self) -> None:
        if self.fails:
            raise self.fails.pop(0)

    def read(self) -> bytes | None:
        self._fail()
        return super().read()

    def write(self, data: bytes | memoryview, more: bool = False) -> int:
        self._fail()
        room = next(self.takes, None)
        if room == 0:
            return 0
        taken = super().write(data[:room], more=more)
        self.writes.append((bytes(data[:taken]), more))
        return taken

    def send_file(self, descriptor: int, offset: int, count: int) -> int:
        self._fail()
        room = next(self.takes, None)
        if room == 0:
            return 0
        return super().send_file(descriptor, offset, count if room is None else min(room, count))

    def shut_down(self) -> None:
        self.done.append("shut down")
        super().shut_down()

    def reset_on_close(self) -> None:
        self.done.append("reset")
        super().reset_on_close()

    def close(self) -> None:
        self.done.append("close")
        super().close()


class Whole(NamedTuple):
    """All that a connection is at rest: where, by what way, what the client got, what was logged, what is waited for
    and registered, how many connections there are."""

    state: S
    way: list[S]
    sent: bytes
    logged: list[str]
    interest: Interest
    connections: int


class Client:
    """The other end of a connection, and the connection."""

    def __init__(self, bench: "Bench", far: socket.socket, transport: Socket, connection: Connection) -> None:
        self.bench = bench
        self.far = far
        self.transport = transport
        self.connection = connection
        self.at_end = False
        self.was_reset = False
        self._told = 0
        connection.ring = [None] * 8192  # stories are told whole

    def send(self, data: bytes) -> Whole:
        """Send, let the loop come to rest, and tell."""
        self.far.sendall(data)
        return self.settle()

    def settle(self) -> Whole:
        self.bench.settle()
        return self.whole()

    def half_close(self) -> Whole:
        self.far.shutdown(socket.SHUT_WR)
        return self.settle()

    def leave(self) -> Whole:
        """Close without having read what may have come: a reset."""
        self.far.close()
        return self.settle()

    def received(self) -> bytes:
        """What has come since the last call."""
        data = bytearray()
        try:
            while piece := self.far.recv(1 << 16):
                data += piece
            self.at_end = True
        except BlockingIOError:
            pass
        except ConnectionResetError:
            self.was_reset = True
        except OSError:
            assert self.far.fileno() == -1
        return bytes(data)

    def read_all(self) -> bytes:
        """Read, and let the loop turn, until nothing comes any more."""
        data = self.received()
        while True:
            self.bench.settle()
            piece = self.received()
            if not piece:
                return data
            data += piece

    def whole(self) -> Whole:
        connection = self.connection
        history = connection.history
        way = [S(edge.dest.state) for _, edge in history[self._told :]]
        self._told = len(history)
        sent = self.received()
        registered = self.bench.poller.interests.get(connection.descriptor, 0) if not self.is_closed else 0
        interest = Interest(registered) & (READABLE | WRITABLE)  # a half-close is told to those that read, besides
        logged = self.bench.logs.take()
        return Whole(S(connection.state), way, sent, logged, interest, len(connections(self.bench.service)))

    @property
    def is_closed(self) -> bool:
        return "close" in self.transport.done


class Bench:
    """A loop on a fake clock, an application on it, and clients."""

    def __init__(
        self,
        application: Callable[[Any], Any],
        *,
        poller: str = "auto",
        dispatch: Dispatch = Dispatch.COMPILED,
        debug: bool = False,
        access: bool = True,
        parser: str = "h11",
        **limits: float,
    ) -> None:
        self.clock = Clock()
        self.crashes: list[BaseException] = []
        self.poller = RecordingPoller(open_poller(poller))
        self.limits = Limits(**cast("Any", limits))
        self.loop = Loop(self.poller, self._crashed, clock=self.clock, limits=asdict(self.limits), dispatch=dispatch)
        self.logs = RecordingLogs(access=access, debug=debug)
        self.recorder = Recorder()
        self.service = Service(
            application, self.loop, self.limits, self.logs, codec_for(parser), Connection, self.recorder
        )
        self.service.heads = HeadWriter(lambda: WALL)
        self.clients: list[Client] = []

    def _crashed(self, machine: Machine, error: BaseException) -> None:
        self.crashes.append(error)

    def connect(self, takes: Iterable[int] = (), *, tcp: bool = False, buffer: int = 0) -> Client:
        """A client's connection, by a socket pair, or by TCP where the kernel's own resets are to be seen."""
        near, far = tcp_pair() if tcp else socket.socketpair()
        if buffer:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        near.setblocking(False)
        far.setblocking(False)
        transport = Socket(near, takes)
        connection = Connection(self.service, transport, near.fileno(), "client")
        self.loop.add(connection)
        client = Client(self, far, transport, connection)
        self.clients.append(client)
        return client

    def turn(self) -> None:
        self.loop.turn(0)

    def settle(self) -> None:
        """Turn until nothing is ready and nothing is to be revisited."""
        for _ in range(TURNS):
            self.loop.turn(0)
            if not (self.poller.events or self.loop._has_work() or self.poller.script):
                return
        raise AssertionError("the loop spins")

    def after(self, seconds: float) -> None:
        """Let time pass, and the loop look."""
        self.clock.now += seconds
        self.settle()

    def close(self) -> None:
        for client in self.clients:
            client.far.close()
        self.loop.close()


@contextlib.contextmanager
def bench_of(application: Callable[[Any], Any], **options: Any) -> Iterator[Bench]:
    """A bench that is closed at the end, on which nothing has crashed, and that has given everything back."""
    bench = Bench(application, **options)
    try:
        yield bench
        assert bench.crashes == []
    finally:
        bench.close()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection over the loopback: ours, and the client's."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        far = socket.create_connection(listening.getsockname())
        near, _ = listening.accept()
    return near, far


class Pending(Operation):
    """An operation that ends when the test says so."""

    def __init__(self, refuses: BaseException | None = None) -> None:
        self.refuses = refuses
        self.executor: Executor | None = None
        self.cancelled = 0

    def start(self, executor: Executor) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.executor = executor

    def cancel(self) -> None:
        self.cancelled += 1

    def describe(self) -> str:
        return "pending"

    def finish(self, result: object = None, error: BaseException | None = None) -> None:
        assert self.executor is not None
        self.executor.finished(self, result, error)


class Model(Machine):
    """A machine of any table over a socket pair: `when_ready` methods and actions are given as functions."""

    def __init__(self, engine: Engine, near: socket.socket) -> None:
        super().__init__(engine, near.fileno())
        self.near = near
        self.calls: list[str] = []

    def close(self) -> None:
        self.calls.append("close")
        self.near.close()


def head(
    *fields: bytes, status: bytes = b"200 OK", length: int | None = None, chunked: bool = False, close: bool = False
) -> bytes:
    """A response head as we write it, dated WALL."""
    lines = [b"HTTP/1.1 " + status + b"\r\n", *(field + b"\r\n" for field in fields), DATE]
    if chunked:
        lines.append(b"transfer-encoding: chunked\r\n")
    if length is not None:
        lines.append(b"content-length: %d\r\n" % length)
    if close:
        lines.append(b"connection: close\r\n")
    return b"".join(lines) + b"\r\n"


def error(status: int, reason: str, detail: str = "", *, close: bool = True) -> bytes:
    """An error's answer in plain text."""
    line = f"{status} {reason}: {detail}\n" if detail else f"{status} {reason}\n"
    return (
        head(
            b"content-type: text/plain; charset=utf-8",
            status=f"{status} {reason}".encode(),
            length=len(line),
            close=close,
        )
        + line.encode()
    )


def trigger_of(machine: Machine, name: str) -> Name:
    """The trigger of that name in the machine's table."""
    return machine.engine.table.triggers[name]


# --- the words that stories are told in

READABLE, WRITABLE, NOTHING = Interest.READABLE, Interest.WRITABLE, Interest.NOTHING
A, H, B, Q, P, X, O, L, C = (  # noqa: E741 - the letters of the states, as an operator sees them
    S.AWAITING_REQUEST,
    S.READING_HEAD,
    S.READING_BODY,
    S.QUERYING_BACKEND,
    S.PRODUCING,
    S.HALF_CLOSED,
    S.SENDING_RESPONSE,
    S.LINGERING,
    S.CLOSED,
)
USUAL = [Q, O, A]

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
HELLO = head(length=5) + b"hello"
FAREWELL = head(length=5, close=True) + b"hello"


def post(body: bytes, *fields: bytes, length: int | None = None) -> bytes:
    """A request with a body, or as much of it as is given."""
    lines = b"".join(field + b"\r\n" for field in fields)
    return b"POST / HTTP/1.1\r\nhost: x\r\n%bcontent-length: %d\r\n\r\n" % (lines, length or len(body)) + body


def hello(request: Request) -> Response:
    return Response(b"hello")


async def read_all(request: Request) -> Response:
    return Response(await request.read())


def awaiting(way: list[S], sent: bytes = b"", *logged: str, interest: Interest = READABLE) -> Whole:
    """At rest between two requests."""
    return Whole(A, way, sent, list(logged), interest, 1)


def closed(way: list[S], sent: bytes = b"", *logged: str) -> Whole:
    """At its end."""
    return Whole(C, way, sent, list(logged), NOTHING, 0)


def at(state: S, way: list[S], sent: bytes = b"", *logged: str, interest: Interest = READABLE) -> Whole:
    """At rest in `state`."""
    return Whole(state, way, sent, list(logged), interest, 1)


class Body:
    """An iterable body that tells how far it was taken, and how often it was closed."""

    def __init__(self, pieces: list[Any], fails: BaseException | None = None) -> None:
        self.pieces = pieces
        self.fails = fails
        self.taken = 0
        self.closed = 0

    def __iter__(self) -> Iterator[Any]:
        for piece in self.pieces:
            self.taken += 1
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def close(self) -> None:
        self.closed += 1
        if self.fails is not None:
            raise self.fails


def stuck(bench: Bench, request: bytes = GET) -> Client:
    """A client that does not read, whose answer has filled the socket."""
    client = bench.connect(buffer=4096)
    client.far.sendall(request)
    bench.settle()
    assert client.connection.state is O
    return client


def big(request: Request) -> Response:
    return Response(b"x" * 1_000_000)


def temporary(data: bytes) -> int:
    """A descriptor of a file that holds `data` and has no name."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return os.dup(file.fileno())


def file_handler(data: bytes) -> Callable[[Request], Response]:
    def handler(request: Request) -> Response:
        return Response(File(temporary(data), 0, len(data)))

    return handler


def reset(client: Client) -> None:
    """Let the client's kernel send a reset."""
    client.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    client.far.close()
