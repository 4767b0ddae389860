"""The connection's side of an application's call: what the exchange steps, waits for, and takes the answer from.

To the exchange it is the handler (`send`, `throw`), the operation that the handler awaits, and the body of the answer,
piece by piece. All three say the same: what the run has for the connection now, or that there is nothing yet.
"""

from collections.abc import Iterator
from typing import Any, cast

from clerestory.handlers.api.messages import WITHOUT_BODY, Fields, File, Response
from clerestory.handlers.api.operations import NEXT_PIECE, Executor, HalfClose, Operation, Relay, span
from clerestory.handlers.asgi.run import Run
from clerestory.handlers.asgi.stack import waits_at
from clerestory.statemachines.application import State as S


class Answering(Operation):
    """`run`, for the exchange. With `begins`, the first piece of the body is awaited before the application is called:
    it has come already."""

    __slots__ = ("_answered", "_executor", "_reading", "_scope", "run")

    def __init__(self, run: Run, begins: dict[str, Any] | None = None) -> None:
        self.run = run
        self._scope = begins
        self._executor: Executor | None = None
        self._answered = False
        self._reading = False
        run.answering = self

    # --- as the handler, and as what produces the answer's body

    def __aiter__(self) -> "Answering":
        return self

    def __anext__(self) -> "Answering":
        return self

    def __await__(self) -> Any:
        return self

    def send(self, value: Any) -> Any:
        """Go on: returns what is to be awaited, or raises StopIteration with the answer or its next piece."""
        run = self.run
        if self._reading:
            self._reading = False
            run.take_piece(value)
            if self._scope is not None:
                scope, self._scope = self._scope, None
                run.begin(scope)
        elif self._scope is not None:
            self._reading = True
            return NEXT_PIECE
        return self._next_piece() if self._answered else self._answer()

    def throw(self, error: BaseException, *_: Any) -> Any:
        """The exchange gives the handler up."""
        self._leave()
        raise error

    def _answer(self) -> Any:
        run = self.run
        if run.output or run.complete:
            self._answered = True
            if run.link is not None:
                run.answering = None
            raise StopIteration(answer_of(run, self))
        if run.failure is not None:
            raise self._failed(run.failure)
        return self._wait()

    def _next_piece(self) -> Any:
        run = self.run
        if run.output:
            raise StopIteration(run.take_output())
        if run.complete:
            raise StopAsyncIteration
        if run.failure is not None:
            raise self._failed(run.failure)
        return self._wait()

    def _failed(self, error: BaseException) -> BaseException:
        """What the exchange is to be told: no StopIteration of the application's is to be taken for its answer."""
        self._leave()
        if isinstance(error, StopIteration | StopAsyncIteration | GeneratorExit):
            failed = RuntimeError(f"the application raised {type(error).__name__}")
            failed.__cause__ = error
            return failed
        return error

    def _wait(self) -> Any:
        return self

    # --- as the operation

    def start(self, executor: Executor) -> None:
        """As Operation.start. The body that the application asks for is read meanwhile: it may answer before that has
        come, when it does not wait for it any longer."""
        self._executor = executor
        if self.run.wants_body:
            cast("Relay", executor).feed_from_body(self)

    def cancel(self) -> None:
        """As Operation.cancel."""
        self._executor = None
        self._leave()

    def keeps_time(self) -> bool:
        """As Operation.keeps_time: the run's own states have deadlines."""
        return True

    def timed_by(self) -> Run:
        """As Operation.timed_by."""
        return self.run

    def stack(self) -> list[tuple[str, int, str]]:
        """As Operation.stack: the awaits of the application's task."""
        return self.run.stack()

    def subject(self) -> str:
        """As Operation.subject."""
        return "application"

    def client_closed(self) -> HalfClose:
        """As Operation.client_closed: the application is told; how long it is waited for is its own deadline."""
        self.run.half_closed()
        return HalfClose.ANSWER

    def tell(self) -> None:
        """There is something for the connection: if it waits for that, it goes on."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.finished(self)

    def describe(self) -> str:
        """As Operation.describe."""
        return describe(self.run)

    # --- as what the request's body is given to

    @property
    def wants(self) -> bool:
        """As Feed.wants."""
        return self.run.wants_body and self.run.answering is self

    @property
    def has_stopped(self) -> bool:
        """As Feed.has_stopped: nothing is read behind the answer's end."""
        return self.run.complete or self.run.answering is not self

    def give(self, piece: bytes, *, last: bool) -> None:
        """As Feed.give."""
        if self.has_stopped:
            self.run.told = True  # what is discarded is not there to be received
        elif piece or last:
            self.run.take_piece(piece)

    # --- the end

    def trailers(self) -> Fields:
        """The fields that go behind the body."""
        trailers = self.run.trailers
        return tuple(trailers.fields) if trailers is not None else ()

    def close(self) -> None:
        """The exchange has ended, whichever way."""
        self._leave()

    def _leave(self) -> None:
        if self.run.answering is self:
            self.run.leave()


class _NoPieces:
    """The body of an answer to HEAD whose length is not known."""

    __slots__ = ()

    def __iter__(self) -> Iterator[bytes]:
        return iter(())


def describe(run: Run) -> str:
    """For an operator: `application RUNNING 1.2 s at shop/db.py:41 fetch_order <- sleep`."""
    state, stay = run.node.state, span(run.loop.clock() - run.since)
    said = f"application {state} {stay}"
    task = run.task
    if task is None or state in (S.AWAITING_BODY, S.DONE):
        return said
    where = waits_at(task)
    if not where:
        return said
    return f"{said} {where}" if where.startswith("at ") else f"{said} <- {where}"


def is_whole(run: Run) -> bool:
    """Whether the answer is there, and in one piece."""
    return run.complete and len(run.output) <= 1 and (run.trailers is None or not run.trailers.fields)


def answer_of(run: Run, answering: Answering | None) -> Response:
    """The answer that the application has given, or begun to give."""
    status, fields, length = run.status, run.fields, run.length
    if run.link is not None:
        return Response(run.link, 101, fields)
    if status in WITHOUT_BODY or run.request.method == "HEAD":
        run.output = []
        if status == 204 or status == 205:
            return Response(b"", status, fields)
        if length is not None:
            return Response(b"", status, (*fields, (b"content-length", b"%d" % length)))
        return Response(b"" if status == 304 else _length_of(run), status, fields)
    if is_whole(run):
        body = run.take_output() if run.output else b""
        size = body.count if isinstance(body, File) else len(body)
        if length is not None and length != size:
            fields = (*fields, (b"content-length", b"%d" % length))
        return Response(body, status, fields)
    if length is not None:
        fields = (*fields, (b"content-length", b"%d" % length))
    assert answering is not None
    return Response(answering, status, fields)


def _length_of(run: Run) -> Any:
    """A body of which only the length is sent, where that is known."""
    if run.complete:
        return bytes(run.given)
    return _NoPieces()
