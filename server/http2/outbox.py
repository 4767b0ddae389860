"""What of a response waits for the stream's turn, and for the client's window: a head, a body or a piece of one, and
trailers.

It is handed to the codec piece by piece. A file is read piece by piece: sendfile(2) cannot make frames.
"""

import os
from enum import Enum, auto

from clerestory.handlers.api.messages import File
from clerestory.handlers.wire.transport import FileUnreadableError
from clerestory.server.connection.sender import check_file, close_file
from clerestory.server.http2.codec import Codec
from clerestory.server.http2.heads import Headers, fields_of, response_fields


class Left(Enum):
    """What is left when a piece has been handed on."""

    NOTHING = auto()
    MORE = auto()
    NO_WINDOW = auto()


class Outbox:
    """One stream's. `sent` counts the bytes of the body that have been handed on."""

    __slots__ = ("_body", "_fields", "_file", "_trailers", "sent")

    def __init__(self) -> None:
        self._fields: Headers | None = None
        self._body: bytes | memoryview = b""
        self._file: File | None = None
        self._trailers = b""
        self.sent = 0

    @property
    def is_fresh(self) -> bool:
        """Whether the head is still to be sent."""
        return self._fields is not None

    def put(self, head: bytes, body: bytes | File, trailers: bytes) -> None:
        """Take what is to be sent next. `head` and `trailers` are as HTTP/1.1 has them, or empty. Raises
        FileUnreadableError, and has then taken nothing."""
        if isinstance(body, bytes):
            self._body = body
        elif body.count:
            check_file(body)
            self._file = body
        else:
            close_file(body)
        if head:
            self._fields = response_fields(head)
        self._trailers = trailers

    def emit(self, codec: Codec, stream: int, most: int, *, last: bool) -> Left:
        """Hand at most `most` bytes on; with `last`, what there is ends the stream. Raises FileUnreadableError."""
        size = self._file.count if self._file is not None else len(self._body)
        if self._fields is not None:
            fields, self._fields = self._fields, None
            ends = last and not size and not self._trailers
            codec.send_head(stream, fields, ends)
            if ends:
                return Left.NOTHING
        if size:
            count = min(codec.window(stream), most, codec.longest(), size)
            if count <= 0:
                return Left.NO_WINDOW
            ends = last and count == size and not self._trailers
            codec.send_data(stream, self._next(count), ends)
            self.sent += count
            if count < size:
                return Left.MORE
            if ends:
                return Left.NOTHING
        if last and self._trailers:
            codec.send_head(stream, fields_of(self._trailers.split(b"\r\n")), True)
        elif last:
            codec.send_data(stream, b"", True)
        return Left.NOTHING

    def _next(self, count: int) -> bytes:
        """The next `count` bytes."""
        file = self._file
        if file is None:
            body = self._body
            self._body = memoryview(body)[count:] if count < len(body) else b""
            return bytes(body[:count])
        try:
            data = os.pread(file.descriptor, count, file.offset)
        except OSError as error:
            raise FileUnreadableError(f"the file cannot be read: {error.strerror}") from error
        if len(data) < count:
            raise FileUnreadableError("the file is shorter than it was")
        file.offset += count
        file.count -= count
        if not file.count:
            close_file(file)
            self._file = None
        return data

    def clear(self) -> None:
        """It is not sent any more."""
        self._body = b""
        if self._file is not None:
            close_file(self._file)
            self._file = None
