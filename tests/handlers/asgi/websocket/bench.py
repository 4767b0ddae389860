"""A WebSocket without a socket: an application, the library at the client's end, and a connection in between."""

import base64
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.protocol import State
from websockets.uri import parse_uri

from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.proxy.tunnel import READABLE, WRITABLE, GoneError
from clerestory.handlers.websocket.link import Link
from clerestory.handlers.websocket.session import Session
from clerestory.statemachines.engine import Machine
from tests.handlers.asgi.bench import Bench, Carrier, outer_loop

KEY = base64.b64encode(bytes(16))
FIELDS = (
    (b"host", b"example.org"),
    (b"connection", b"keep-alive, Upgrade"),
    (b"upgrade", b"websocket"),
    (b"sec-websocket-key", KEY),
    (b"sec-websocket-version", b"13"),
)


def asking(*more: tuple[bytes, bytes], method: str = "GET", leave_out: bytes = b"") -> Request:
    """The request for a WebSocket."""
    return Request(method, "/chat", (*(field for field in FIELDS if field[0] != leave_out), *more))


class Near:
    """The connection: it gives the bytes of `input`, and takes `room` bytes at most."""

    gone, over, broken = "gone", "over", "broken"

    def __init__(self) -> None:
        self.input: deque[bytes] = deque()
        self.room = 1 << 30
        self.output = b""
        self.finished = self.is_gone = False

    def take(self) -> bytes | None:
        if self.is_gone:
            raise GoneError(self)  # type: ignore[arg-type]
        return self.input.popleft() if self.input else None

    def put(self, data: bytes | memoryview) -> int:
        if self.is_gone:
            raise GoneError(self)  # type: ignore[arg-type]
        taken = min(len(data), self.room)
        self.output += bytes(data[:taken])
        self.room -= taken
        return taken

    def finish(self) -> None:
        self.finished = True


class Talk:
    """A WebSocket of `bench`, from the client's side."""

    def __init__(self, bench: Bench, *more: tuple[bytes, bytes]) -> None:
        self.bench = bench
        self.near = Near()
        self.client = ClientProtocol(parse_uri("ws://example.org/chat"), state=State.OPEN, max_size=None)
        self.carrier = Carrier(bench.loop, asking(*more))
        self.ended: str | None = None
        bench.outer.call_soon(lambda: self.carrier.begin(bench.asgi))
        loop: Any = bench.loop
        loop.set_interest = lambda _, interest: self.interests.append(interest)
        loop.defer_write = lambda _: self.deferred.append(True)
        loop.tell, self._fire = self.tell, loop.fire
        loop.fire = self.fire
        self._told: deque[tuple[Any, Any]] = deque()
        self._stepping = False
        self.interests: list[int | None] = []
        self.deferred: list[bool] = []
        self.turn()

    @property
    def answer(self) -> Response:
        assert self.carrier.answer is not None
        return self.carrier.answer

    @property
    def link(self) -> Link:
        assert isinstance(self.answer.body, Link)
        return self.answer.body

    @property
    def session(self) -> Session:
        return self.link.session

    @property
    def state(self) -> str:
        return str(self.session.node.state)

    def turn(self) -> None:
        """Let the application go on, and what it has sent leave."""
        for _ in range(4):
            self.bench.turn(3)
            if self.deferred:
                self.deferred.clear()
                self.ready(WRITABLE)

    def join(self, early: bytes = b"") -> "Talk":
        """The 101 has been sent."""
        with self.step():
            self._note(self.link.join(self.near, early))
        self.turn()
        return self

    def ready(self, bits: int) -> None:
        """The connection is ready."""
        if self.ended is None:
            with self.step():
                self._note(self.link.pass_on(self.near, bits))

    # --- the loop's: what is told in a step is told behind it

    @contextmanager
    def step(self) -> Iterator[None]:
        outer, self._stepping = self._stepping, True
        yield
        self._stepping = outer
        while self._told and not self._stepping:
            machine, trigger = self._told.popleft()
            with self.step():
                if machine is self.near:
                    self._note(trigger)
                elif machine.accepts(trigger):
                    self._fire(machine, trigger)

    def tell(self, machine: Any, trigger: Any) -> None:
        with self.step():
            self._told.append((machine, trigger))

    def fire(self, machine: Any, trigger: Any) -> None:
        with self.step():
            self._fire(machine, trigger)

    def _note(self, trigger: Any) -> None:
        if trigger is not None:
            self.ended = trigger
            self.link.cancel()

    def raw(self, data: bytes) -> None:
        """Bytes come from the client, or b"" for its end."""
        self.near.input.append(data)
        self.ready(READABLE)
        self.turn()

    def say(self, *frames: Frame) -> None:
        """The client sends frames, in one piece."""
        self.raw(b"".join(frame.serialize(mask=True) for frame in frames))

    def text(self, *texts: str) -> None:
        from websockets.frames import Opcode

        self.say(*(Frame(Opcode.TEXT, text.encode()) for text in texts))

    def heard(self) -> list[Any]:
        """What the client has received since it was last asked: texts, bytes, and control frames."""
        data, self.near.output = self.near.output, b""
        if data:
            self.client.receive_data(data)
        return [told_of(event) for event in self.client.events_received() if isinstance(event, Frame)]


def told_of(frame: Frame) -> Any:
    from websockets.frames import Close, Opcode

    if frame.opcode is Opcode.TEXT:
        return bytes(frame.data).decode()
    if frame.opcode is Opcode.BINARY:
        return bytes(frame.data)
    if frame.opcode is Opcode.CLOSE:
        close = Close.parse(bytes(frame.data))
        return int(close.code), close.reason
    return frame.opcode.name.lower()


@contextmanager
def talking(
    called: Callable[..., Any], *more: tuple[bytes, bytes], joined: bool = True, **limits: float
) -> Iterator[Talk]:
    """A conversation with `called`, whose 101 has been sent if `joined`."""
    with outer_loop() as outer:
        bench = Bench(called, outer, 1000)
        bench.loop.limits = limits
        talk = Talk(bench, *more)
        yield talk.join() if joined else talk


def machines_of(bench: Bench, name: str) -> list[Machine]:
    return [machine for machine in bench.runs if machine.engine.table.name == name]


class Script:
    """An application that accepts, keeps what it is told in `told`, and sends what `answers` gives for it."""

    def __init__(self, answers: Callable[[Any], Any] | None = None, **accept: Any) -> None:
        self.told: list[Any] = []
        self.answers = answers
        self.accept = accept
        self.failed: list[BaseException] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept", **self.accept})
        while True:
            event = await receive()
            self.told.append(event)
            if event["type"] == "websocket.disconnect":
                return
            if self.answers is not None:
                try:
                    await send(self.answers(event))
                except Exception as error:
                    self.failed.append(error)
                    raise

    @property
    def texts(self) -> list[str]:
        return [event["text"] for event in self.told if event["type"] == "websocket.receive"]

    @property
    def end(self) -> tuple[int, str]:
        return self.told[-1]["code"], self.told[-1]["reason"]


def echo(event: Any) -> Any:
    return {"type": "websocket.send", "text": event["text"], "bytes": event["bytes"]}
