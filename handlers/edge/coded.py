"""A body that is compressed while it is sent.

- A piece is compressed only when the socket has taken the one before: memory is one piece and the coder's window.
- The loop's thread compresses at most PIECE bytes in one turn of a response: then others are served (an empty piece
  asks for the next turn, server.connection.sender).
- A body that waits for its pieces, and has not said its length, is a stream that somebody reads as it comes: each piece
  is flushed, so that nothing is held back. One that has a length, or never waits, is not: it would only get longer.
"""

from collections.abc import AsyncIterable, Callable
from typing import Any

from clerestory.handlers.api.bodies import close_body
from clerestory.handlers.api.messages import WHOLE, Fields, File
from clerestory.handlers.edge.coders import Coder
from clerestory.handlers.edge.stepped import Stepped

PIECE = 32 * 1024
"""Bytes that are compressed in one go: about a millisecond with gzip, which is the slowest."""

_END = object()


class Coded:
    """The pieces of `body`, compressed by `coder`. `released` is called once, when it is closed."""

    __slots__ = ("_at", "_body", "_coder", "_ended", "_flushes", "_piece", "_pieces", "_released", "_spent", "_waits")

    def __init__(self, body: Any, coder: Coder, released: Callable[[], object], *, has_length: bool) -> None:
        self._body = body
        self._coder = coder
        self._released: Callable[[], object] | None = released
        self._waits = isinstance(body, AsyncIterable)
        self._flushes = self._waits and not has_length
        self._pieces: Any = None
        self._piece: Any = None  # what is being compressed
        self._at = 0  # how far that has come
        self._spent = 0  # bytes compressed since others were served
        self._ended = False

    def __aiter__(self) -> "Coded":
        return self

    async def __anext__(self) -> bytes:
        """The next piece for the client; an empty one lets others have their turn. Raises what the body raises."""
        if self._pieces is None:
            whole = isinstance(self._body, WHOLE)
            body: Any = (self._body,) if whole else self._body
            self._pieces = body.__aiter__() if self._waits else iter(body)
        while not self._ended:
            if self._spent >= PIECE:
                self._spent = 0
                return b""
            if self._piece is None:
                piece = await self._next()
                if piece is _END:
                    self._ended = True
                    return self._coder.finish()
                self._piece, self._at = piece, 0
            coded = self._code()
            if coded or self._waits:
                return coded
        raise StopAsyncIteration

    async def _next(self) -> Any:
        """The next piece of the body, or _END."""
        if not self._waits:
            return next(self._pieces, _END)
        try:
            return await Stepped(self._pieces.__anext__().__await__())
        except StopAsyncIteration:
            return _END

    def _code(self) -> bytes:
        """Compress the next stretch of the piece that is at hand."""
        piece = self._piece
        if isinstance(piece, File):
            stretch: Any = File(piece.descriptor, piece.offset, min(piece.count, PIECE), owned=False).read()
            if len(stretch) < min(piece.count, PIECE):
                raise OSError("the file is shorter than it was")
            piece.offset += len(stretch)
            piece.count -= len(stretch)
            left = piece.count
        elif isinstance(piece, bytes):
            stretch = memoryview(piece)[self._at : self._at + PIECE]
            self._at += len(stretch)
            left = len(piece) - self._at
        else:
            raise TypeError(f"a body's pieces are bytes or File, not {type(piece).__name__}")
        self._spent += len(stretch)
        coded = self._coder.code(stretch)
        if not left:
            close_body(piece)
            self._piece = None
            if self._flushes and stretch:
                coded += self._coder.flush()
        return coded

    def trailers(self) -> Fields:
        """The fields behind the body, where it has any."""
        tell = getattr(self._pieces, "trailers", None)
        fields: Fields = tell() if tell is not None else ()
        return fields

    def close(self) -> None:
        """Close the body, at its end or before."""
        released, self._released = self._released, None
        if released is None:
            return
        released()
        self._ended = True
        piece, self._piece = self._piece, None
        try:
            close_body(piece)
            if self._pieces is not self._body:
                close_body(self._pieces)
        finally:
            close_body(self._body)
