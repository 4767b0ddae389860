"""HTTP/2's frames (RFC 9113 section 4.1), cut from what was received before anything else looks at them.

The library that knows the protocol is given one whole frame at a time: so a frame's length is judged by its header,
before its bytes have come; what is wrong with a frame has no influence on those before it, however they were cut on
their way; and frames are counted (server.http2.bounds) before they cost anything.
"""

from collections.abc import Iterator
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client begins with (section 3.4)."""

HEADER = 9
LONGEST = 16 * 1024
"""Bytes in a frame's payload: SETTINGS_MAX_FRAME_SIZE at its least, which is what we accept (section 4.2)."""

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4

# Section 7.
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED = range(6)
FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(6, 12)


class Violation(Exception):
    """What came ends the connection. `code` is the error code for GOAWAY; `reason` is one sentence, safe to print."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Frame(NamedTuple):
    """One whole frame: `data` with its header, `size` of its payload."""

    kind: int
    flags: int
    stream: int
    size: int
    data: bytes

    @property
    def payload(self) -> bytes:
        """What stands behind the header."""
        return self.data[HEADER:]


class Frames:
    """What was received on one connection, cut into frames. `begun` says that the client's preface has come."""

    __slots__ = ("_buffer", "begun")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.begun = False

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data`, all of it new, completes. Raises Violation where what came is none."""
        buffer = self._buffer
        buffer += data
        at, size = 0, len(buffer)
        try:
            if not self.begun:
                if buffer[: len(PREFACE)] != PREFACE[:size]:
                    raise Violation(PROTOCOL_ERROR, "What came first is not the preface of HTTP/2.")
                if size < len(PREFACE):
                    return
                self.begun = True
                at = len(PREFACE)
            while size - at >= HEADER:
                length = int.from_bytes(buffer[at : at + 3], "big")
                if length > LONGEST:
                    raise Violation(FRAME_SIZE_ERROR, f"A frame is longer than {LONGEST} bytes.")
                end = at + HEADER + length
                if end > size:
                    break
                stream = int.from_bytes(buffer[at + 5 : at + 9], "big") & 0x7FFF_FFFF
                frame = Frame(buffer[at + 3], buffer[at + 4], stream, length, bytes(buffer[at:end]))
                at = end
                yield frame
        finally:
            del buffer[:at]
