"""What the tests of upstreams share: a real loop on a fake clock, an caller, and an upstream played by hand.

Sockets are real, on the loopback, where what is sent is there at once; nothing sleeps. A bench turns its loop until
nothing is ready any more.
"""

import select
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Self

from clerestory.handlers.api.messages import Fields
from clerestory.handlers.api.operations import NEXT_PIECE, PIECE_AT_HAND, Feed, Operation
from clerestory.handlers.backends.upstream.connection import UpstreamConnection
from clerestory.handlers.backends.upstream.errors import UpstreamError
from clerestory.handlers.backends.upstream.pool import Pool
from clerestory.handlers.backends.upstream.upstream import Bounds, Upstream
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import Readiness, open_poller
from clerestory.statemachines.engine import Machine
from clerestory.statemachines.upstream import State
from tests.support.stepping import Stepping

PATIENCE = 10.0
"""Seconds until a blocking read of a test is given up; nothing that works waits this long."""

TURNS = 50_000
"""Turns in which everything comes to rest, or the loop spins."""

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Clock:
    """Seconds, set by the test."""

    def __init__(self) -> None:
        self.now = 1024.0

    def __call__(self) -> float:
        return self.now


class Watching:
    """A real poller that remembers what it reported last."""

    capacity = None

    def __init__(self) -> None:
        poller = open_poller()
        self.name, self.most = poller.name, poller.most
        self.register, self.modify, self.unregister = poller.register, poller.modify, poller.unregister
        self.close = poller.close
        self._wait = poller.wait
        self.events: Readiness = []

    def wait(self, timeout: float | None, /) -> Readiness:
        self.events = self._wait(timeout)
        return self.events


class Caller:
    """Carries a coroutine out, as a connection does its handler. `waits` is what each operation said of itself."""

    def __init__(self, loop: Loop, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.loop = loop
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = False
        self.waits: list[str] = []
        self.operation: Operation | None = None
        self.wants_piece = False
        self.at_hand = b""
        self._coroutine = coroutine
        self.machine = Stepping(loop, self._step)
        self._step()

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:
        assert operation is self.operation, "an operation ends once, and not after it was cancelled"
        self.operation = None
        self.machine.ended_with(result, error)

    def give(self, piece: bytes) -> None:
        """The next piece of the client's body."""
        assert self.wants_piece
        self.wants_piece = False
        self._step(piece)

    def leave(self) -> None:
        """The client has gone."""
        operation, self.operation = self.operation, None
        if operation is not None:
            operation.cancel()
        self.done = True
        self.machine.leave()
        self._coroutine.close()

    def _step(self, result: object = None, error: BaseException | None = None) -> None:
        try:
            awaited = self._coroutine.send(result) if error is None else self._coroutine.throw(error)
        except StopIteration as stopped:
            self.result, self.done = stopped.value, True
            self.machine.leave()
        except StopAsyncIteration:
            self.done = True
            self.machine.leave()
        except Exception as raised:  # noqa: BLE001 - it is the test's to look at
            self.error, self.done = raised, True
            self.machine.leave()
        else:
            if awaited is PIECE_AT_HAND:
                self._step(self.at_hand)
                return
            if awaited is NEXT_PIECE:
                self.wants_piece = True
                return
            assert isinstance(awaited, Operation)
            self.operation = awaited
            try:
                awaited.start(self)
            except Exception as refused:  # noqa: BLE001 - it is the coroutine's to deal with
                self.operation = None
                self._step(error=refused)
            else:
                self.waits.append(awaited.describe())


class Relaying(Caller):
    """An caller that can feed a request's body to what it awaits, as a client's exchange does."""

    def __init__(self, loop: Loop, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.feed: Feed | None = None
        self.interims: list[tuple[int, str, Fields]] = []
        super().__init__(loop, coroutine)

    def feed_from_body(self, feed: Feed) -> None:
        self.feed = feed

    def feed_wants(self, feed: Feed) -> None:
        assert feed is self.feed

    def interim(self, status: int, reason: str, fields: Fields) -> None:
        self.interims.append((status, reason, fields))


class Far:
    """The upstream's end of one connection."""

    def __init__(self, bench: "Bench", accepted: socket.socket) -> None:
        self.bench = bench
        self.socket = accepted
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted.setblocking(False)

    def received(self) -> bytes:
        """What has come since the last call; b"END" stands for the end, b"RESET" for a reset."""
        data = b""
        try:
            while piece := self.socket.recv(1 << 16):
                data += piece
            data += b"END"
        except BlockingIOError:
            pass
        except ConnectionError:
            data += b"RESET"
        return data

    def send(self, data: bytes) -> Self:
        self.socket.settimeout(PATIENCE)
        self.socket.sendall(data)
        self.socket.setblocking(False)
        self.bench.settle()
        return self

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)
        self.bench.settle()

    def close(self) -> None:
        self.socket.close()
        self.bench.settle()

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.socket.close()
        self.bench.settle()


class Log:
    """What was told, as (event, fields)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def info(self, event: str, **fields: object) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: object) -> None:
        self.lines.append(("warning", event, fields))


class Bench:
    """A loop, upstream origins that listen, and callers."""

    def __init__(
        self, origins: int = 1, *, bounds: Bounds | None = None, authorities: str | None = None, **limits: float
    ) -> None:
        self.clock = Clock()
        self.crashes: list[BaseException] = []
        self.poller = Watching()
        self.loop = Loop(self.poller, self._crashed, clock=self.clock, limits=limits)
        self.listeners = [self._listen() for _ in range(origins)]
        scheme = "https" if authorities else "http"
        self.urls = ["{}://{}:{}".format(scheme, *listener.getsockname()) for listener in self.listeners]
        self.upstream = Upstream(*self.urls, bounds=bounds, authorities=authorities)
        self.fars: list[Far] = []

    @staticmethod
    def _listen() -> socket.socket:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        return listener

    def _crashed(self, machine: Machine, error: BaseException) -> None:
        self.crashes.append(error)

    @property
    def pool(self) -> Pool:
        return self.upstream.site(self.loop).pools[0]

    def connections(self) -> list[UpstreamConnection]:
        """Those that are open, in the order in which they were opened."""
        found = [machine for machine in self.loop.machines.values() if isinstance(machine, UpstreamConnection)]
        return sorted(found, key=lambda one: one.number)

    def states(self) -> list[State]:
        return [State(connection.state) for connection in self.connections()]

    def ask(self, method: str = "GET", target: str = "/", **how: Any) -> Caller:
        """Ask the upstream, and let the loop come to rest."""
        caller = Caller(self.loop, self.upstream.request(method, target, **how))
        self.settle()
        return caller

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Caller:
        caller = Caller(self.loop, coroutine)
        self.settle()
        return caller

    def accept(self, origin: int = 0) -> Far:
        """The upstream takes the next connection."""
        accepted, _ = self.listeners[origin].accept()
        far = Far(self, accepted)
        self.fars.append(far)
        return far

    def is_asked_at(self, origin: int) -> bool:
        """Whether a connection waits to be accepted there; it is left waiting."""
        return bool(select.select([self.listeners[origin]], [], [], 0)[0])

    def is_asked(self, origin: int = 0) -> bool:
        """Whether a connection waits to be accepted there."""
        try:
            self.accept(origin)
        except BlockingIOError:
            return False
        return True

    def settle(self) -> None:
        """Turn until nothing is ready."""
        for _ in range(TURNS):
            self.loop.turn(0)
            if not self.poller.events:
                return
        raise AssertionError(f"the loop spins: {self.loop.machines}")

    def turn_until(self, condition: Callable[[], object]) -> None:
        """Turn, waiting for threads."""
        for _ in range(TURNS):
            if condition():
                return
            self.loop.turn(PATIENCE)
        raise AssertionError("what was waited for did not come")

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.loop.now = self.clock.now
        self.loop.sweep()
        self.settle()

    def close(self) -> None:
        for far in self.fars:
            far.socket.close()
        for listener in self.listeners:
            listener.close()
        self.loop.close()
        assert self.crashes == []


async def pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def from_client() -> AsyncIterator[bytes]:
    """A body that comes when the test gives it."""
    while piece := await NEXT_PIECE:
        yield piece


def answer(body: bytes = b"", *fields: bytes, status: bytes = b"200 OK", length: bool = True) -> bytes:
    """The bytes of an answer."""
    lines = [b"HTTP/1.1 " + status, *fields]
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", b""]) + body


def asked(bench: Bench, method: str = "GET", **how: Any) -> tuple[Caller, Far]:
    """An caller that waits for its answer, and the upstream's end."""
    caller = bench.ask(method, **how)
    far = bench.accept()
    bench.settle()
    return caller, far


def error(caller: Caller) -> UpstreamError:
    """What the caller got instead of an answer."""
    assert caller.done
    assert isinstance(caller.error, UpstreamError), caller.error
    return caller.error


def fault(caller: Caller) -> tuple[int, str]:
    """Its status and cause."""
    return error(caller).status, error(caller).cause


def read(bench: Bench, caller: Caller) -> Caller:
    """Read the body of the answer that `caller` got."""
    assert caller.error is None, caller.error
    return bench.run(caller.result.read())
