"""One call of a WSGI application: the machine that the loop moves by what its thread has noted.

The table (statemachines.wsgi) says what happens when. The application's thread runs `run`, and gives and takes by the
methods of giving.py. The loop's thread moves the machine, takes what was given, and gives what was asked for. The
thread has the loop call `look`, once for all that it notes until the loop looks.
"""

from contextlib import suppress
from threading import get_ident
from typing import Any, Protocol

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import File, Request
from clerestory.handlers.api.operations import span
from clerestory.handlers.asgi.events import is_departure, size_of
from clerestory.handlers.backends.threads.job import Job
from clerestory.handlers.backends.threads.work import unavailable
from clerestory.handlers.wsgi.giving import Giving
from clerestory.handlers.wsgi.hosting import Hosting
from clerestory.handlers.wsgi.invocation import perform
from clerestory.handlers.wsgi.place import with_place
from clerestory.statemachines.wsgi import State as S
from clerestory.statemachines.wsgi import Trigger as T

_BODY_REQUESTED, _CALL_ENDED, _PIECE_GIVEN = T.BODY_REQUESTED, T.CALL_ENDED, T.PIECE_GIVEN


class Connected(Protocol):
    """The connection's side of a call (handlers.wsgi.answering)."""

    def tell(self) -> None:
        """There is something for the connection."""


class Call(Giving):
    """One call. `answering` is the connection's side of it, while that has not let go."""

    __slots__ = (
        "_ended",
        "_ends",
        "_following",
        "_late",
        "answering",
        "failure",
        "thread",
    )

    def __init__(self, hosting: Hosting, request: Request, name: str, ends: tuple[str, Any]) -> None:
        super().__init__(hosting, request, name)
        self._ends = ends
        self.answering: Connected | None = None
        self.thread = 0
        """The identity of the thread that runs it."""
        self._following: Job | None = None
        self._ended = False
        self.failure: BaseException | None = None
        """What the connection is to be told instead of the rest of the answer."""
        self._late: BaseException | None = None
        """What the application has raised when there was nobody left to be told."""

    # --- on the application's thread

    def run(self) -> None:
        """As Job.run: call the application."""
        self.thread = get_ident()
        error: BaseException | None = None
        try:
            if not self.gone:
                perform(self, self._hosting, self._ends)
        except Exception as raised:  # noqa: BLE001 - it is the connection's to be told
            error = raised
        except BaseException as raised:  # noqa: BLE001 - sys.exit() in a thread ends neither the thread nor the process
            error = RuntimeError(f"the application raised {type(raised).__name__}")
            error.__cause__ = raised
        if error is not None:
            with self._lock:
                if self.complete or self.gone or self.failure is not None:
                    self._late = error
                else:
                    self.failure = error
        self.thread = 0

    def tell_end(self, following: Any) -> None:
        """As Job.tell_end."""
        with suppress(Exception):
            if following is not None and following.loop is not self.loop:
                following.loop.call_from_thread(following.taken)
                following = None
            with self._lock:
                self._ended, self._following = True, following
                notes = self._notes()
            if notes:
                self.loop.call_from_thread(self.look)

    # --- on the loop's thread

    def begin(self) -> str:
        """Have a thread call the application, now or later; why that cannot be, or an empty reason."""
        refusal, given = self.pool.submit(self)
        if refusal:
            return refusal
        self.loop.add(self)
        self._hosting.runs.add(self)
        if given:
            self.loop.tell(self, T.THREAD_GIVEN)
        return ""

    def taken(self) -> None:
        """As Job.taken."""
        self.loop.tell(self, T.THREAD_GIVEN)

    def look(self) -> None:
        """See what the thread has noted: move the machine, and tell the connection."""
        with self._lock:
            self._noted = False
            ended, complete, wants_body = self._ended, self.complete, self.wants_body
            wants_room, waiting = self._wants_room, bool(self.output)
            following, self._following = self._following, None
        if following is not None:
            following.taken()
        answering = self.answering
        if ended:
            self._end()
        elif complete:
            self.loop.tell(self, T.ANSWER_ENDED)
        elif wants_room:
            self.loop.tell(self, T.ROOM_WANTED)
        elif wants_body:
            self.loop.tell(self, _BODY_REQUESTED)
        elif waiting:
            self.loop.tell(self, _PIECE_GIVEN)
        if answering is not None:
            answering.tell()

    def _end(self) -> None:
        """The call has ended: what it has raised too late to be answered is for the log."""
        late, self._late = self._late, None
        if late is not None and not ((self.gone or self.complete) and is_departure(late)):
            self._hosting.tell("error", "application_failed", **self.about(), exc_info=late)
        self.loop.tell(self, _CALL_ENDED)
        self._hosting.call_ended(self)

    # --- the machine's

    def has_begun(self) -> bool:
        """As Model.has_begun."""
        return self.begun

    def withdraw(self) -> T | None:
        """As Model.withdraw."""
        self.gone = True
        if not self.pool.withdraw(self):
            return None
        self._hosting.call_ended(self)
        return T.WITHDRAWN

    def tell_leaving(self) -> None:
        """As Model.tell_leaving."""
        with self._lock:
            self.gone = True
            self._wake_up()

    def refuse(self) -> None:
        """As Model.refuse."""
        if self.failure is None:
            self.failure = self._refusal("The application did not answer in time.", 504)
        self.tell_leaving()
        if self.answering is not None:
            self.answering.tell()

    def refuse_queued(self) -> T | None:
        """As Model.refuse_queued."""
        self.failure = self._refusal("No thread became free in time.", 503)
        if self.answering is not None:
            self.answering.tell()
        return self.withdraw()

    def _refusal(self, late: str, status: int) -> HTTPError:
        """Why there is no answer, by what has just happened; `late` and `status` where a deadline has passed."""
        trigger = self.history[-1][1].trigger
        if trigger == T.DEADLINE_PASSED:
            return HTTPError(status, late) if status == 504 else unavailable(late)
        if trigger == T.DRAIN_STARTED:
            return unavailable("The server is shutting down.")
        return unavailable("The operation was cancelled by an operator.")

    def facts(self) -> tuple[Any, ...]:
        """As Machine.facts: contract.Facts."""
        return (-self.descriptor, self.name, self.born, 0, self.given, 0, self.request)

    def describe(self) -> str:
        """As Job.describe: `application RUNNING 1.2 s at shop/db.py:41 fetch_order`."""
        text = f"application {self.node.state} {span(self.loop.clock() - self.since)}"
        return f"{text} <- {self.pool.describe()}" if self.node.state is S.QUEUED else with_place(text, self.thread)

    def ended(self) -> None:
        """As Machine.ended: what is still in the queue when the loop itself ends never runs."""
        if not self.node.final:
            self.pool.withdraw(self)

    # --- the connection's side

    def leave(self) -> None:
        """The connection wants no more of the answer."""
        with self._lock:
            self.answering = None
            self.gone = self.gone or not self.complete
            output, self.output, self.size = self.output, [], 0
            self._wake_up()
        for piece in output:
            if isinstance(piece, File):
                piece.close()
        self.loop.tell(self, T.CLIENT_LEFT)

    def shut_out(self, detail: str) -> None:
        """As Job.shut_out."""
        self.failure = unavailable(detail)
        if self.answering is not None:
            self.answering.tell()

    def give_body(self, piece: bytes, *, ended: bool) -> None:
        """A piece of the request's body has come, or its end."""
        with self._lock:
            if piece:
                self._body.append(piece)
            self._body_ended = ended
            self.wants_body = False
            self._wake_up()
        self.loop.tell(self, T.BODY_GIVEN)

    def take_output(self) -> bytes | File:
        """The answer's next piece: what has gathered, up to a file."""
        with self._lock:
            output = self.output
            if len(output) == 1 or isinstance(output[0], File):
                piece = output.pop(0)
            else:
                count = next((place for place, one in enumerate(output) if isinstance(one, File)), len(output))
                piece = b"".join(output[:count])  # type: ignore[arg-type]
                del output[:count]
            self.size -= size_of(piece)
            made = self._wants_room and self.size <= self._hosting.max_output
            if made:
                self._wants_room = False
                self._wake_up()
        if made and self.node.state is S.AWAITING_ROOM:
            self.loop.tell(self, T.ROOM_MADE)
        return piece
