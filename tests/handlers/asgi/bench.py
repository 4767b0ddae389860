"""An application's calls without a socket: a loop of machines, a carrier, and an asyncio loop that is stepped."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.api.operations import NEXT_PIECE
from clerestory.handlers.asgi.answering import Answering
from clerestory.handlers.asgi.application import ASGI
from clerestory.handlers.asgi.tasks import Starter
from clerestory.server.loop.nested import loop_factory
from clerestory.statemachines.engine import Machine
from tests.handlers.running import FakeLoop


class Loop(FakeLoop):
    """As FakeLoop; calls that are due are made when the test says so."""

    def __init__(self, **limits: float) -> None:
        super().__init__(**limits)
        self.due: list[Callable[[], None]] = []

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        self.due.append(callback)

    def make_calls(self) -> None:
        due, self.due = self.due, []
        for call in due:
            call()


class Carrier:
    """An exchange's part: it steps what an application answers by, and keeps what comes of it."""

    def __init__(self, loop: Loop, request: Request) -> None:
        self.loop: Any = loop
        self.request = request
        self.input = b""
        self.answer: Response | None = None
        self.pieces: list[Any] = []
        self.ended = False
        self.error: BaseException | None = None
        self.reading = False
        self.steps: Any = None
        self.interims: list[Any] = []
        self.feed: Any = None
        """What the request's body is given to, beside what is awaited."""

    def request_id(self) -> str:
        return "7-1"

    def ends(self) -> tuple[str, Any]:
        return "192.0.2.1:4711", ("192.0.2.2", 80)

    def has_input(self) -> bool:
        return bool(self.input)

    def interim(self, status: int, reason: str, fields: Any) -> None:
        self.interims.append((status, reason, fields))

    def begin(self, asgi: ASGI) -> "Carrier":
        answer = asgi.begin(self.request, self)
        if isinstance(answer, Response):
            self.answer, self.ended = answer, True
        else:
            self.steps = answer
            self.step()
        return self

    def step(self, value: Any = None) -> None:
        self.reading = False
        try:
            awaited = self.steps.send(value)
        except StopIteration as stop:
            if isinstance(stop.value, Response):
                self.answer = stop.value
                self.ended = not isinstance(stop.value.body, Answering)
                if not self.ended:
                    self.step()
            else:
                self.pieces.append(stop.value)
        except StopAsyncIteration:
            self.ended = True
        except BaseException as error:  # noqa: BLE001 - what an exchange answers with 500
            self.error = error
        else:
            self.feed = None
            self.reading = awaited is NEXT_PIECE
            if not self.reading:
                awaited.start(self)

    def feed_from_body(self, feed: Any) -> None:
        self.feed, self.reading = feed, feed.wants

    def give(self, piece: bytes, *, last: bool) -> None:
        assert self.reading
        self.request.body_ended = last
        if self.feed is None:
            self.step(piece)
        else:
            self.feed.give(piece, last=last)
            self.reading = self.feed is not None and self.feed.wants

    def finished(self, operation: object, result: object = None, error: BaseException | None = None) -> None:
        self.step(result)


class Bench:
    """An application, bound to a loop."""

    def __init__(
        self, called: Callable[..., Any], outer: asyncio.AbstractEventLoop, max_output: int, **how: Any
    ) -> None:
        self.outer = outer
        self.loop = Loop()
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.asgi = ASGI(called, **how)
        loop: Any = self.loop
        self.hosting = self.asgi.bind(loop, Starter(outer), self._tell, max_output)

    def _tell(self, level: str, event: str, **fields: Any) -> None:
        self.told.append((level, event, fields))

    def events(self) -> list[str]:
        return [event for _, event, _ in self.told]

    def ask(
        self, method: str = "GET", target: str = "/", length: int | None = 0, begun: bytes = b"", fields: Any = ()
    ) -> Carrier:
        carrier = Carrier(self.loop, Request(method, target, fields, content_length=length))
        carrier.input = begun
        failed: list[BaseException] = []

        def begin() -> None:
            try:
                carrier.begin(self.asgi)
            except Exception as error:  # noqa: BLE001 - it is raised again below
                failed.append(error)

        self.outer.call_soon(begin)
        self.turn(1)
        for error in failed:
            raise error
        return carrier

    def turn(self, times: int = 6) -> None:
        """Let the asyncio loop run what is ready."""
        for _ in range(times):
            self.outer.call_soon(self.outer.stop)
            self.outer.run_forever()

    @property
    def runs(self) -> list[Machine]:
        return list(self.loop.machines.values())

    def states(self) -> list[str]:
        return [str(machine.node.state) for machine in self.runs]


@contextmanager
def outer_loop() -> Iterator[asyncio.AbstractEventLoop]:
    with asyncio.Runner(loop_factory=loop_factory("asyncio")) as runner:
        yield runner.get_loop()


@contextmanager
def bench_of(called: Callable[..., Any], max_output: int = 1000, **how: Any) -> Iterator[Bench]:
    with outer_loop() as outer:
        yield Bench(called, outer, max_output, **how)


async def start(send: Any, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def give(send: Any, body: bytes = b"", *, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})
