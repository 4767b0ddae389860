"""What a call of a WSGI application has given so far, and what it waits for: where its thread and the loop's meet.

Under `_lock`: the application's thread gives pieces of the answer, takes pieces of the body, and waits for either; the
loop's thread takes what was given, and gives what was asked for (handlers.wsgi.call). Laws:

- the head goes with the first piece that is not empty, or with the end: until then an error is a 500;
- a piece is handed over as soon as it is there; beyond `max_output` bytes the thread waits until they have been taken;
- where the client has gone, the next piece, write() or read raises ClientDisconnected, an OSError;
- so does a read of the body behind a whole answer: nothing of it is read from the client any more.
"""

from abc import ABC, abstractmethod
from collections import deque
from threading import Lock
from typing import Any

from clerestory.handlers.api.messages import File, Request
from clerestory.handlers.asgi.errors import ClientDisconnected
from clerestory.handlers.asgi.events import size_of
from clerestory.handlers.backends.threads.job import Job
from clerestory.handlers.wsgi.hosting import Hosting


class Giving(Job, ABC):
    """A call, as its thread knows it. `name` is the request's id."""

    __slots__ = (
        "_body",
        "_body_ended",
        "_cut",
        "_hosting",
        "_lock",
        "_noted",
        "_waits",
        "_wake",
        "_wants_room",
        "begun",
        "bodiless",
        "complete",
        "fields",
        "given",
        "gone",
        "length",
        "name",
        "output",
        "reason",
        "request",
        "size",
        "started",
        "status",
        "wants_body",
    )

    def __init__(self, hosting: Hosting, request: Request, name: str) -> None:
        super().__init__(hosting.engine, hosting.pool, hosting.loop)
        self._hosting = hosting
        self.request = request
        self.name = name
        self._lock = Lock()
        self._wake: Lock | None = None
        """What the thread waits for while `_waits`."""
        self._waits = False
        self._noted = False
        """Whether the loop will look, and has not yet."""
        self.started = False
        self.status = 0
        self.reason: str | None = None
        self.fields: Any = ()
        self.length: int | None = None
        """The content length that is promised."""
        self.begun = False
        """Whether the head is out: nothing can take its place."""
        self.output: list[bytes | File] = []
        """Pieces that the connection has not taken, of `size` bytes."""
        self.size = 0
        self.given = 0
        """Bytes that were given in all."""
        self.complete = False
        """Whether no more comes."""
        self._cut = False
        """Whether more than was promised was given."""
        self.bodiless = request.method == "HEAD"
        """Whether nothing but the head is sent."""
        self._wants_room = False
        self.wants_body = False
        self._body: deque[bytes] = deque()
        self._body_ended = request.body_ended
        self.gone = False
        """Whether nobody wants the rest of the answer."""

    @abstractmethod
    def look(self) -> None:
        """On the loop's thread: see what was noted."""

    # --- on the application's thread

    def give(self, piece: bytes | File, *, last: bool = False) -> None:
        """Take a piece of the answer for the connection; wait where there is no room."""
        size = size_of(piece)
        cut = False
        with self._lock:
            if self.gone and isinstance(piece, File):
                piece.close()
            self._demand_client()
            length = self.length
            if self.bodiless:
                piece, size, last = b"", 0, True
            elif length is not None:
                if self.given + size > length:
                    cut, self._cut = not self._cut, True
                    size = max(0, length - self.given)
                    if isinstance(piece, bytes):
                        piece = piece[:size]
                last = last or self.given + size == length
            if self.complete:
                notes = False
            else:
                self.begun = True
                if size:
                    self.output.append(piece)
                    self.given += size
                    self.size += size
                elif isinstance(piece, File):
                    piece.close()
                self.complete = last
                self._wants_room = not last and self.size > self._hosting.max_output
                notes = self._notes()
        if cut:
            self._hosting.tell("warning", "body_too_long", **self.about(), content_length=length)
        if notes:
            self.loop.call_from_thread(self.look)
        if self._wants_room:
            self._wait()
            self._demand_client()

    def take_body(self) -> bytes:
        """The next piece of the request's body, b"" at its end."""
        with self._lock:
            if self._body or self._body_ended:
                return self._body.popleft() if self._body else b""
            self._demand_client()
            if self.complete:
                raise ClientDisconnected("the answer was whole: the rest of the body is not read")
            self.wants_body = True
            notes = self._notes()
        if notes:
            self.loop.call_from_thread(self.look)
        self._wait()
        with self._lock:
            if not self._body and not self._body_ended:
                self._demand_client()
            return self._body.popleft() if self._body else b""

    def _demand_client(self) -> None:
        if self.gone:
            raise ClientDisconnected("the client has gone, or is not answered any more")

    def _notes(self) -> bool:
        """Under the lock: whether the loop is to be told that there is something to be seen."""
        if self._noted:
            return False
        self._noted = True
        return True

    def _wait(self) -> None:
        """Until the loop has given room, or a piece of the body, or says that nobody waits."""
        with self._lock:
            if self.gone or not (self._wants_room or self.wants_body):
                return
            wake = self._wake
            if wake is None:
                wake = self._wake = Lock()
                wake.acquire()
            self._waits = True
        wake.acquire()

    # --- on either

    def _wake_up(self) -> None:
        """Under the lock: let the thread go on."""
        if self._waits:
            self._waits = False
            self._wake.release()  # type: ignore[union-attr]

    def about(self) -> dict[str, Any]:
        """What the log says of it."""
        return {"id": self.name, "method": self.request.method, "target": self.request.target}
