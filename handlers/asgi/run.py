"""One call of an application: its task, its `receive` and `send`, and the machine beside it.

The table (statemachines.application) says what happens when. Two programs meet here, on one thread: the application's
task, which calls `receive` and `send`; and the connection, which takes pieces of the answer (`handlers.asgi.answering`)
and gives pieces of the request's body. Laws:

- `receive()` gives the body, then blocks until the client leaves or the answer ends, then says http.disconnect, always.
- `send()` returns at once while fewer bytes wait than `max_output`; beyond that it waits until they have been taken.
- The start goes with the first piece of the body: until then a 500 can take its place.
- `send()` raises for an ill-formed event, and ClientDisconnected, an OSError, when the client has gone.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Protocol

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import WITHOUT_BODY, Fields, File, Request
from clerestory.handlers.asgi.errors import ClientDisconnected, EventError, incomplete
from clerestory.handlers.asgi.events import (
    body_event,
    bytes_of,
    disconnect,
    is_departure,
    size_of,
    status_of,
)
from clerestory.handlers.asgi.extensions import Trailers, send_extension, takes_trailers
from clerestory.handlers.asgi.hosting import Hosted, Hosting
from clerestory.handlers.asgi.outcomes import first_step_of, outcome_of
from clerestory.handlers.asgi.pieces import discard, next_of, shortened
from clerestory.handlers.asgi.routes import route_of
from clerestory.handlers.asgi.stack import stack_of
from clerestory.handlers.asgi.waits import SENT, Sent, given, pause, wait_for_event, wait_for_room
from clerestory.statemachines.application import Trigger as T
from clerestory.statemachines.engine import Engine


class Connected(Protocol):
    """The connection's side of a call (handlers.asgi.answering)."""

    def tell(self) -> None:
        """There is something for the connection."""


class Run(Hosted):
    """One call. `answering` is the connection's side of it, while that has not let go."""

    __slots__ = (
        "_beginning",
        "_listeners",
        "_listens",
        "_piece",
        "_room",
        "answering",
        "born",
        "carrier",
        "complete",
        "conversation",
        "failure",
        "fields",
        "given",
        "gone",
        "headed",
        "hosting",
        "left",
        "link",
        "loop",
        "output",
        "scope",
        "size",
        "status",
        "task",
        "told",
        "trailers",
        "wants_body",
    )

    def __init__(self, engine: Engine, hosting: Hosting, request: Request, name: str) -> None:
        super().__init__(engine, request, name)
        self.hosting = hosting
        self.loop = hosting.loop
        self.born = self.since
        self.task: asyncio.Task[Any] | None = None
        self.answering: Connected | None = None
        self.carrier: Any = None  # what carries the request, until the answer starts: it sends early hints
        self.trailers: Trailers | None = None  # that the answer's start has announced
        self.status = 0
        """The answer's, once it was started."""
        self.fields: Any = ()
        self.output: list[bytes | File] = []
        """Pieces of the answer that the connection has not taken, of `size` bytes."""
        self.size = 0
        self.given = 0  # bytes of the answer that were given in all
        self.complete = False  # whether the last piece of the answer was given
        self.wants_body = False
        self.headed = False  # whether the head of an answer without a body has been given
        self.gone = False  # whether the client has gone
        self.scope: dict[str, Any] | None = None  # until the answer starts: the framework notes its route there
        self.left = False  # whether the client has shut down its sending side, while that was waited for
        self.told = False  # whether it has been told to end, or need not be told any more
        self.failure: BaseException | None = None  # what the connection is told instead of the rest of the answer
        self.conversation: Any = None  # of a WebSocket's call: its receive and send (handlers.asgi.websocket)
        self.link: Any = None  # what the connection becomes, once the WebSocket was accepted
        self._piece: bytes | None = None
        self._listens = False
        self._listeners: list[asyncio.Future[None]] | None = None  # who has asked since something was last told
        self._room: asyncio.Future[None] | None = None
        self._beginning = False

    # --- its life

    def begin(self, scope: dict[str, Any]) -> None:
        """Call the application, and let it take its first step."""
        hosting = self.hosting
        self._beginning, self.scope = True, scope
        face = self if self.conversation is None else self.conversation
        try:
            self.task = task = hosting.starter.start(hosting.application(scope, face.receive, face.send), self.name)
        finally:
            self._beginning = False
        if task.done():  # it has never been among the loop's machines; the row has no action
            self._note_end(task)
            self.engine.enter(self, self.node.edges[T.TASK_ENDED])
            return
        task.add_done_callback(self._task_ended)
        hosting.runs.add(self)
        hosting.loop.add(self)
        for trigger in first_step_of(self, room_wanted=self._room is not None, listens=self._listeners is not None):
            self._pass(trigger)

    def _task_ended(self, task: "asyncio.Task[Any]") -> None:
        self._note_end(task)
        answering, hosting = self.answering, self.hosting
        self._pass(T.TASK_ENDED)
        if answering is not None:
            answering.tell()
        hosting.run_ended(self)

    def _note_end(self, task: "asyncio.Task[Any]") -> None:
        """How the task has ended: what is wrong with that is for the connection to be told, or for the log."""
        self.task = None
        error = outcome_of(task, expected=self.told or self.complete)
        if (self.gone or self.complete) and error is not None and not (self.gone and is_departure(error)):
            self.hosting.tell_failure(self, error)
        if not self.complete and not self.gone and self.failure is None:  # its traceback holds this run
            self.failure = error if error is not None else incomplete(begun=self.given > 0, told=self.told)
        if self.conversation is not None:
            self.conversation.ended(error)
        self._listen_no_more()

    def _pass(self, trigger: T) -> None:
        """Move, when the step that is under way has ended."""
        self.loop.tell(self, trigger)

    def note(self, trigger: T) -> None:
        """The application has done something: `begin` sees to what it does in its first step."""
        if not self._beginning:
            self._pass(trigger)

    # --- the machine's

    def tell_leaving(self) -> None:
        """Let `receive()` say disconnect; what waits for room raises when the client has gone."""
        self.told = True
        if self.conversation is not None:
            self.conversation.tell_leaving()
        self._listen_no_more()
        if self.gone:
            self._make_room()

    def refuse_late(self) -> None:
        """Answer 504; or cut, when the answer has begun."""
        self.tell_leaving()
        self.failure = HTTPError(504, "The application did not answer in time.")
        if self.answering is not None:
            self.answering.tell()

    def cancel(self) -> None:
        """Cancel the task."""
        self.tell_leaving()
        self.hosting.tell_cancelled(self)
        if self.task is not None:
            self.task.cancel()

    def abandon(self) -> None:
        """Say that the task does not end."""
        self.hosting.tell_stuck(self)

    def facts(self) -> tuple[Any, ...]:
        """As Machine.facts: contract.Facts."""
        return (-self.descriptor, self.name, self.born, 0, self.given, 0, self.request)

    def stack(self) -> list[tuple[str, int, str]]:
        """As Operation.stack: where the task waits."""
        return stack_of(self.task) if self.task is not None else []

    # --- the connection's side

    def leave(self) -> None:
        """The connection wants no more of the answer."""
        self.answering = self.carrier = None
        if not self.complete or self.link is not None:
            self.gone = True
        if self.link is not None:
            self.link.cancel()
        discard(self.output)
        self.size = 0
        self._pass(T.CLIENT_LEFT)

    def half_closed(self) -> None:
        """The client has sent its last: a `receive()` that waits behind the body is told, the answer goes on."""
        if self.request.body_ended and self._listeners is not None:
            self.left = True
            self._listen_no_more()

    def take_piece(self, piece: bytes) -> None:
        """A piece of the request's body has come, or its end."""
        self._piece = piece
        self.wants_body = False
        if self._listeners is not None:
            self._listens = False
            self._pass(T.BODY_GIVEN)
            self._listen_no_more()

    def take_output(self) -> bytes | File:
        """The answer's next piece: what has gathered, up to a file."""
        piece = next_of(self.output)
        self.size -= size_of(piece)
        self._make_room()
        return piece

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            self._pass(T.ROOM_MADE)
            if not room.done():
                room.set_result(None)

    def _listen_no_more(self) -> None:
        listeners, self._listeners = self._listeners, None
        for listener in listeners or ():
            if not listener.done():
                listener.set_result(None)

    # --- the application's side

    def receive(self) -> Any:
        """The next event of the request."""
        return given(self.next_event()) if self.has_event() else wait_for_event(self)

    def has_event(self) -> bool:
        """Whether there is an event to be told: a piece of the body or its end, or that it is over."""
        if self._piece is not None or self.told or self.complete or self.gone or self.left:
            return True
        return self.request.body_ended and not self._listens

    def listen(self) -> "asyncio.Future[None]":
        """A future that is done when there is an event to be told. Each who asks has one of its own: who is cancelled
        while it waits takes nothing from the others. All are woken, so that what the first does not take is theirs."""
        listener: asyncio.Future[None] = self.hosting.starter.loop.create_future()
        waiting = [one for one in self._listeners or () if not one.done()]
        self._listeners = [*waiting, listener]
        if not waiting:
            self.wants_body = not self.request.body_ended
            self.note(T.BODY_REQUESTED if self.wants_body else T.DISCONNECT_WANTED)
            if self.wants_body and not self._beginning and self.answering is not None:
                self.answering.tell()
        return listener

    def next_event(self) -> dict[str, Any]:
        """What `receive()` says now."""
        piece = self._piece
        if piece is not None:
            self._piece = None
            more = not self.request.body_ended
            self._listens = not more
            return body_event(piece, more)
        if self.request.body_ended and not self._listens and not self.told:
            self._listens = True
            return body_event(b"", False)
        return disconnect()

    def send(self, event: Any) -> Any:
        """An event of the answer."""
        kind = event["type"]
        if kind == "http.response.body":
            return self.send_body(event)
        if kind == "http.response.start":
            return self.send_start(event)
        return send_extension(self, event)

    def send_start(self, event: Any) -> Sent:
        """The answer begins."""
        if self.status:
            raise EventError("http.response.start was sent before")
        if self.gone:
            raise ClientDisconnected("the client has gone")
        status = status_of(event)
        fields, length = self.check_fields(event)
        self.status, self.fields, self.length = status, fields, length
        self.carrier = None
        if event.get("trailers"):
            self.trailers = Trailers(takes_trailers(self.request) and length is None and not self._is_bare())
        if self.scope is not None:
            self.request.route, self.scope = route_of(self.scope), None
        return SENT

    def check_fields(self, event: Any) -> tuple[Fields, int | None]:
        """The fields of an event, and the content length among them. Raises EventError."""
        return self.hosting.checker.check(event.get("headers", ()))

    def interim(self, status: int, fields: Fields) -> None:
        """Send an interim response, unless nothing carries the request any more."""
        if self.carrier is not None:
            self.carrier.interim(status, HTTPStatus(status).phrase, fields)

    def send_body(self, event: Any) -> Any:
        """A piece of the answer, or its end."""
        body = bytes_of(event)
        return self.give(body, len(body), bool(event.get("more_body", False)))

    def give(self, piece: bytes | File, size: int, more: bool) -> Any:
        """Take a piece of the answer: tell the connection, and wait where there is no room."""
        if self.gone:
            raise ClientDisconnected("the client has gone")
        if not self.status:
            raise EventError("a body was sent before http.response.start")
        if self.complete:
            raise EventError("a body was sent behind the answer's end")
        if self.trailers is not None:
            more = self.trailers.follow(more)
        if self._is_bare():
            return self._give_nothing(piece, size, more)
        if size or (more and not self.given):
            self._gather(piece, size)
        if not more:
            self.complete = True
            self._listen_no_more()
        if self._beginning:
            if more and self.size > self.hosting.max_output:
                return wait_for_room(self)
            return SENT
        self._pass(T.PIECE_GIVEN if more else T.ANSWER_ENDED)
        answering = self.answering
        if answering is not None:
            answering.tell()
        if more and self.size > self.hosting.max_output:
            self._pass(T.ROOM_WANTED)
            return wait_for_room(self)
        return SENT

    def _is_bare(self) -> bool:
        """Whether the answer has no body."""
        return self.request.method == "HEAD" or self.status in WITHOUT_BODY

    def end(self) -> None:
        """The last of the answer, behind its body, has been given."""
        self.complete = True
        self._listen_no_more()
        self.note(T.ANSWER_ENDED)
        if not self._beginning and self.answering is not None:
            self.answering.tell()

    def _give_nothing(self, piece: bytes | File, size: int, more: bool) -> Any:
        """Take a piece of a body that is not sent: the head goes out with the first, and others take their turns."""
        if isinstance(piece, File):
            piece.close()
        first, self.headed = not self.headed, True
        self.given += size
        if not more:
            self.complete = True
            self._listen_no_more()
        elif first:
            self.output.append(b"")
        if not self._beginning:
            self._pass(T.PIECE_GIVEN if more else T.ANSWER_ENDED)
            if self.answering is not None:
                self.answering.tell()
        return pause() if more else SENT

    def _gather(self, piece: bytes | File, size: int) -> None:
        """Keep a piece for the connection; of one that is longer than was promised, what was promised."""
        length = self.length
        if length is not None and self.given + size > length:
            self.hosting.tell_too_long(self)
            size = max(0, length - self.given)
            piece = shortened(piece, size)
        self.given += size
        self.output.append(piece)
        self.size += size

    def room(self) -> "asyncio.Future[None] | None":
        """A future that is done when there is room; None when there is."""
        if self.size <= self.hosting.max_output or self.gone:
            return None
        if self._room is None or self._room.done():
            self._room = self.hosting.starter.loop.create_future()
        return self._room
