"""A WSGI application's calls without a socket: a loop of machines, real threads, and a carrier that steps them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.api.operations import NEXT_PIECE
from clerestory.handlers.backends.journal import JOURNAL
from clerestory.handlers.wsgi.answering import Answering
from clerestory.handlers.wsgi.application import WSGI
from clerestory.handlers.wsgi.call import Call
from tests.handlers.running import FakeLoop


class Loop(FakeLoop):
    """As FakeLoop; calls that are due are made in the next turn."""

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        self.callbacks.put(callback)


class Log:
    """What is told of a loop's calls."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []

    def event(self, level: str, name: str, **fields: Any) -> None:
        self.events.append((level, name, fields))

    def names(self) -> list[str]:
        return [name for _, name, _ in self.events]


class Carrier:
    """An exchange's part: it steps what an application answers by, and keeps what comes of it."""

    def __init__(self, loop: Loop, request: Request, application: WSGI) -> None:
        self.loop: Any = loop
        self.request = request
        self.answer: Response | None = None
        self.pieces: list[Any] = []
        self.ended = False
        self.error: BaseException | None = None
        self.reading = False
        self.steps = application.begin(request, self)
        self.step()

    @property
    def call(self) -> Call:
        return self.steps.call

    def request_id(self) -> str:
        return "7-1"

    def ends(self) -> tuple[str, Any]:
        return "192.0.2.1:4711", ("192.0.2.2", 80)

    def interim(self, status: int, reason: str, fields: Any) -> None:
        raise AssertionError("WSGI has no interim answers")

    def has_input(self) -> bool:
        return False

    def step(self, value: Any = None) -> None:
        self.reading = False
        try:
            awaited = self.steps.send(value)
        except StopIteration as stop:
            if isinstance(stop.value, Response):
                self.answer = stop.value
                self.ended = not isinstance(stop.value.body, Answering)
            else:
                self.pieces.append(stop.value)
        except StopAsyncIteration:
            self.ended = True
        except BaseException as error:  # noqa: BLE001 - what an exchange answers with 500
            self.error = error
        else:
            self.reading = awaited is NEXT_PIECE
            if not self.reading:
                awaited.start(self)

    def give(self, piece: bytes, *, last: bool) -> None:
        assert self.reading
        self.request.body_ended = last
        self.step(piece)

    def finished(self, operation: object, result: object = None, error: BaseException | None = None) -> None:
        self.step(result)

    def whole(self) -> bytes:
        """Turn the loop until the answer has ended; its body."""
        while not self.ended and self.error is None:
            if self.answer is not None:
                before = len(self.pieces)
                self.step()
                if len(self.pieces) > before or self.ended:
                    continue
            self.loop.turn()
        if self.error is not None:
            raise self.error
        assert self.answer is not None
        return self.answer.body if isinstance(self.answer.body, bytes) else b"".join(self.pieces)


class Bench:
    """An application, bound to a loop."""

    def __init__(self, called: Callable[..., Any], **limits: float) -> None:
        self.loop = Loop(**limits)
        self.log = Log()
        self.loop.registry[JOURNAL] = self.log
        self.application = WSGI(called)
        loop: Any = self.loop
        self.hosting = self.application.bind(loop)

    def ask(self, method: str = "GET", length: int | None = 0, **about: Any) -> Carrier:
        return Carrier(self.loop, Request(method, "/", (), content_length=length, **about), self.application)

    def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.loop.turn()

    def rest(self) -> None:
        """Turn until no call is under way."""
        self.until(lambda: not self.hosting.runs)


@contextmanager
def bench_of(called: Callable[..., Any], **limits: float) -> Iterator[Bench]:
    bench = Bench(called, **limits)
    try:
        yield bench
    finally:
        assert bench.hosting.pool.close(20.0) == []
