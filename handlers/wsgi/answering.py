"""The connection's side of a WSGI application's call: what the exchange steps, waits for, and takes the answer from.

To the exchange it is the handler (`send`, `throw`), the operation that the handler awaits, and the body of the answer,
piece by piece, as in handlers.asgi.answering. What is its own: a thread is dear, so a body that is small is read before
one is taken, but for a client that waits to be asked for it (Expect).
"""

from collections.abc import Iterator
from typing import Any

from clerestory.handlers.api.messages import WITHOUT_BODY, File, Response
from clerestory.handlers.api.operations import NEXT_PIECE, Executor, HalfClose, Operation
from clerestory.handlers.backends.threads.work import unavailable
from clerestory.handlers.wsgi.call import Call


class Answering(Operation):
    """`call`, for the exchange. With `reads_first`, the whole body is awaited before a thread is taken."""

    __slots__ = ("_answered", "_begun", "_executor", "_reading", "_reads_first", "call")

    def __init__(self, call: Call, *, reads_first: bool) -> None:
        self.call = call
        self._reads_first = reads_first
        self._executor: Executor | None = None
        self._begun = False
        self._answered = False
        self._reading = False
        call.answering = self

    # --- as the handler, and as what produces the answer's body

    def __aiter__(self) -> "Answering":
        return self

    def __anext__(self) -> "Answering":
        return self

    def __await__(self) -> Any:
        return self

    def send(self, value: Any) -> Any:
        """Go on: returns what is to be awaited, or raises StopIteration with the answer or its next piece."""
        call = self.call
        if self._reading:
            self._reading = False
            call.give_body(value, ended=call.request.body_ended)
        if not self._begun:
            if self._reads_first and not call.request.body_ended:
                self._reading = True
                return NEXT_PIECE
            self._begun = True
            refusal = call.begin()
            if refusal:
                call.answering = None
                raise unavailable(refusal)
            return self
        return self._next_piece() if self._answered else self._answer()

    def throw(self, error: BaseException, *_: Any) -> Any:
        """The exchange gives the handler up."""
        self._leave()
        raise error

    def _answer(self) -> Any:
        call = self.call
        if call.begun and (call.output or call.complete):
            self._answered = True
            response = answer_of(call, self)
            if response.body is not self:
                call.answering = None
            raise StopIteration(response)
        if call.failure is not None:
            raise self._failed(call.failure)
        return self._wait()

    def _next_piece(self) -> Any:
        call = self.call
        if call.output:
            raise StopIteration(call.take_output())
        if call.complete:
            raise StopAsyncIteration
        if call.failure is not None:
            raise self._failed(call.failure)
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
        if self.call.wants_body:
            self._reading = True
            return NEXT_PIECE
        return self

    # --- as the operation

    def start(self, executor: Executor) -> None:
        """As Operation.start."""
        self._executor = executor

    def cancel(self) -> None:
        """As Operation.cancel."""
        self._executor = None
        self._leave()

    def keeps_time(self) -> bool:
        """As Operation.keeps_time: the call's own states have deadlines."""
        return True

    def subject(self) -> str:
        """As Operation.subject."""
        return "application"

    def queued(self) -> tuple[str, float]:
        """As Operation.queued."""
        return f"a free {self.call.pool.label}", self.call.queued()

    @property
    def thread(self) -> int:
        """The identity of the thread that runs it. May be called from another thread."""
        return self.call.thread

    def client_closed(self) -> HalfClose:
        """As Operation.client_closed: an application cannot be told, and most answer soon."""
        return HalfClose.ANSWER

    def tell(self) -> None:
        """There is something for the connection: if it waits for that, it goes on."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.finished(self)

    def describe(self) -> str:
        """As Call.describe."""
        return self.call.describe()

    # --- the end

    def close(self) -> None:
        """The exchange has ended, whichever way."""
        self._leave()

    def _leave(self) -> None:
        call = self.call
        if not self._begun:
            call.answering = None
        elif call.answering is self:
            call.leave()


class _NoPieces:
    """The body of an answer to HEAD whose length is not known."""

    __slots__ = ()

    def __iter__(self) -> Iterator[bytes]:
        return iter(())


def answer_of(call: Call, answering: Answering) -> Response:
    """The answer that the application has given, or begun to give."""
    status, fields, length = call.status, call.fields, call.length
    if length is not None and status != 204 and status != 205:
        promised = (*fields, (b"content-length", b"%d" % length))
    else:
        promised = fields
    if status in WITHOUT_BODY or call.request.method == "HEAD":
        known = length is not None or status in WITHOUT_BODY
        return Response(b"" if known else _NoPieces(), status, promised, reason=call.reason)
    if call.complete and len(call.output) <= 1:
        size = call.size
        if length is None or length == size:
            body: bytes | File = call.take_output() if call.output else b""
            return Response(body, status, fields, reason=call.reason)
    return Response(answering, status, promised, reason=call.reason)
