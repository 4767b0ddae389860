"""What the tests of upstreams share: a real loop on a fake clock, an asker, and an upstream played by hand.

Sockets are real, on the loopback, where what is sent is there at once; nothing sleeps. A bench turns its loop until
nothing is ready any more.
"""

import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Self

from handlers.backends.upstream import Bounds, Upstream, UpstreamError
from handlers.backends.upstream_connection import UpstreamConnection
from handlers.backends.upstream_pool import Pool
from handlers.operations import NEXT_PIECE, Operation
from server.loop import Loop
from server.poller import Readiness, open_poller
from statemachines.engine import Machine
from statemachines.upstream import State

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
        self.name = poller.name
        self.register, self.modify, self.unregister = poller.register, poller.modify, poller.unregister
        self.close = poller.close
        self._wait = poller.wait
        self.events: Readiness = []

    def wait(self, timeout: float | None, /) -> Readiness:
        self.events = self._wait(timeout)
        return self.events


class Asker:
    """Carries a coroutine out, as a connection does its handler. `waits` is what each operation said of itself."""

    def __init__(self, loop: Loop, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.loop = loop
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = False
        self.waits: list[str] = []
        self.operation: Operation | None = None
        self.wants_piece = False
        self._coroutine = coroutine
        self._step()

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:
        assert operation is self.operation, "an operation ends once, and not after it was cancelled"
        self.operation = None
        self._step(result, error)

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
        self._coroutine.close()

    def _step(self, result: object = None, error: BaseException | None = None) -> None:
        try:
            awaited = self._coroutine.send(result) if error is None else self._coroutine.throw(error)
        except StopIteration as stopped:
            self.result, self.done = stopped.value, True
        except StopAsyncIteration:
            self.done = True
        except Exception as raised:  # noqa: BLE001 - it is the test's to look at
            self.error, self.done = raised, True
        else:
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


class Bench:
    """A loop, upstream origins that listen, and askers."""

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

    def ask(self, method: str = "GET", target: str = "/", **how: Any) -> Asker:
        """Ask the upstream, and let the loop come to rest."""
        asker = Asker(self.loop, self.upstream.request(method, target, **how))
        self.settle()
        return asker

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Asker:
        asker = Asker(self.loop, coroutine)
        self.settle()
        return asker

    def accept(self, origin: int = 0) -> Far:
        """The upstream takes the next connection."""
        accepted, _ = self.listeners[origin].accept()
        far = Far(self, accepted)
        self.fars.append(far)
        return far

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


def asked(bench: Bench, method: str = "GET", **how: Any) -> tuple[Asker, Far]:
    """An asker that waits for its answer, and the upstream's end."""
    asker = bench.ask(method, **how)
    far = bench.accept()
    bench.settle()
    return asker, far


def error(asker: Asker) -> UpstreamError:
    """What the asker got instead of an answer."""
    assert asker.done
    assert isinstance(asker.error, UpstreamError), asker.error
    return asker.error


def fault(asker: Asker) -> tuple[int, str]:
    """Its status and cause."""
    return error(asker).status, error(asker).cause


def read(bench: Bench, asker: Asker) -> Asker:
    """Read the body of the answer that `asker` got."""
    assert asker.error is None, asker.error
    return bench.run(asker.result.read())
