"""What comes on a connection of HTTP/2: bytes are cut into frames, counted, decoded, and given to the streams.

Nothing is told to a stream's machine before all that was read has been taken: so each is told once, of all of it.

Flow control: the connection's window is opened as bytes come, as long as fewer than `http2_max_unread` of them were not
taken; a stream's window is opened as its bytes are taken. So a stream that is not read stalls itself alone.
"""

from collections.abc import Callable

from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    SettingsAcknowledged,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)

from clerestory.server.config import Limits
from clerestory.server.http.gate import Refusal
from clerestory.server.http.reading import HeadReader
from clerestory.server.http2.bounds import Bounds
from clerestory.server.http2.codec import WINDOW, Codec, list_size
from clerestory.server.http2.frames import (
    END_STREAM,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEADERS,
    NO_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
    Frames,
    Violation,
)
from clerestory.server.http2.heads import Headers, Heads, check_trailers
from clerestory.server.http2.stream import Stream
from clerestory.statemachines.h2_stream import Trigger as T

Told = list[tuple[Stream, T]]


class Intake:
    """One connection's. `streams` are those that are open, by their numbers; `make` makes one. `last` is the number of
    the latest that is served, `requests` how many have been.

    `violation` is what has ended the connection; `has_begun` says that the client's preface has come, with its
    settings; `is_acknowledged` that it knows ours; `client_leaves` that it has sent GOAWAY; `has_said_last` that we
    have, so that no further stream is served.
    """

    __slots__ = (
        "_frames",
        "_heads",
        "_limits",
        "_make",
        "_told",
        "_touched",
        "_unopened",
        "bounds",
        "client_leaves",
        "codec",
        "has_begun",
        "has_said_last",
        "is_acknowledged",
        "last",
        "reader",
        "requests",
        "streams",
        "unread",
        "violation",
        "window_moved",
    )

    def __init__(
        self, limits: Limits, reader: HeadReader, make: Callable[[int], Stream], *, connects: bool = False
    ) -> None:
        self._limits = limits
        self._make = make
        self.codec = Codec(limits, connects=connects)
        self.bounds = Bounds(limits, 2 * list_size(limits))
        self.reader = reader
        self._frames = Frames()
        self._heads = Heads(reader, connects=connects)
        self.streams: dict[int, Stream] = {}
        self.last = self.requests = 0
        self.violation: Violation | None = None
        self.has_begun = self.is_acknowledged = self.client_leaves = self.has_said_last = False
        self.window_moved = False
        """Whether a window of the client's has been opened, since that was last looked at."""
        self._told: Told = []
        self._touched: dict[int, Stream] = {}
        """The streams for which something came in this read."""
        self.unread = self._unopened = 0
        """Bytes of bodies that were not taken; bytes that have come by which the window was not opened yet."""

    def take(self, data: bytes, now: float) -> Told:
        """Take what came: whole frames, one after the other, until one offends. What the streams are to be told."""
        try:
            for frame in self._frames.feed(data):
                if not self.has_begun and frame.kind != SETTINGS:
                    raise Violation(PROTOCOL_ERROR, "The preface is not followed by SETTINGS.")
                self.bounds.count(frame, now)
                kind = frame.kind
                if kind == HEADERS and (fields := self.codec.begun(frame)) is not None:
                    self._open(frame.stream, fields, bool(frame.flags & END_STREAM), frame.size, now)
                    continue
                if kind == WINDOW_UPDATE and self.codec.widened(frame):
                    self.window_moved = True
                    continue
                if kind == GOAWAY:
                    self._take_goaway(frame)
                    continue
                for event in self.codec.receive(frame.data):
                    self._note(event, frame, now)
        except Violation as violation:
            self.violation = violation
        told, self._told = self._told, []
        touched, self._touched = self._touched, {}
        for stream in touched.values():
            fact = stream.look()
            if fact is not None:
                told.append((stream, fact))
        return told

    def _take_goaway(self, frame: Frame) -> None:
        """The client opens no more streams; those that are open go on (RFC 9113 section 6.8)."""
        if frame.stream:
            raise Violation(PROTOCOL_ERROR, "GOAWAY on a stream.")
        if frame.size < 8:
            raise Violation(FRAME_SIZE_ERROR, "GOAWAY is shorter than 8 bytes.")
        self.client_leaves = True

    def _note(self, event: Event, frame: Frame, now: float) -> None:
        """Note what the codec says of a frame."""
        if isinstance(event, RequestReceived):
            self._open(event.stream_id or 0, event.headers or (), event.stream_ended is not None, frame.size, now)
        elif isinstance(event, DataReceived):
            self._take_data(event)
        elif isinstance(event, TrailersReceived):
            self._end(event.stream_id, _offence_of(event))
        elif isinstance(event, StreamEnded):
            self._end(event.stream_id, None)
        elif isinstance(event, StreamReset):
            if not event.remote_reset:
                self.bounds.count_reset(now)
            stream = self.streams.get(event.stream_id or 0)
            if stream is not None:
                self._told.append((stream, T.PEER_RESET))
        elif isinstance(event, RemoteSettingsChanged):
            self.has_begun = self.window_moved = True
        elif isinstance(event, WindowUpdated):
            self.window_moved = True
        elif isinstance(event, SettingsAcknowledged):
            self.is_acknowledged = True

    def _open(self, number: int, fields: Headers, ended: bool, size: int, now: float) -> None:
        """A request has come, in a frame of so many bytes."""
        if self.has_said_last or len(self.streams) >= self._limits.http2_max_streams:
            self.codec.reset(number, REFUSED_STREAM)
            if not self.has_said_last:
                self.bounds.count_reset(now)
            return
        self.last = number
        self.requests += 1
        self.streams[number] = stream = self._make(number)
        try:
            request = self._heads.request(fields, ended)
        except Refusal as refusal:
            stream.refused(refusal, ended)
            self._told.append((stream, T.HEAD_REFUSED))
        else:
            stream.begin(request, ended, size)
            self._told.append((stream, T.HEAD_RECEIVED))

    def _take_data(self, event: DataReceived) -> None:
        """DATA. What nobody will take is as good as taken."""
        size = event.flow_controlled_length or 0
        stream = self.streams.get(event.stream_id or 0)
        self._unopened += size
        if stream is not None and stream.takes_data():
            self.unread += size
            stream.arrived(event.data or b"", size)
            self._touched[stream.id] = stream
        self._open_window()

    def _end(self, number: int | None, offence: Refusal | None) -> None:
        stream = self.streams.get(number or 0)
        if stream is not None:
            stream.request_ended(offence)
            self._touched[stream.id] = stream

    # --- flow control

    def was_taken(self, stream: Stream, size: int, opens: int) -> None:
        """As Carrying.was_taken."""
        self.unread -= size
        if opens:
            self.codec.open_window(stream.id, opens)
        self._open_window()

    def _open_window(self) -> None:
        """Open the connection's window by what has come and was taken, a part of it at a time: what may still come, and
        what was not taken, are no more than the bound together."""
        size = self._unopened - self.unread
        if size >= max(WINDOW, self._limits.http2_max_unread) // 4:
            self._unopened -= size
            self.codec.open_window(0, size)

    # --- the end

    def forget(self, stream: Stream) -> None:
        """It has ended."""
        if self.streams.pop(stream.id, None) is not None:
            self.unread -= stream.unread()
            self._open_window()

    def say_last(self, code: int = NO_ERROR, reason: str = "") -> None:
        """GOAWAY: no stream behind the latest is served."""
        self.has_said_last = True
        self.codec.goaway(self.last, code, reason)


def _offence_of(event: TrailersReceived) -> Refusal | None:
    """What is wrong with trailers, if anything is."""
    try:
        check_trailers(event.headers or ())
    except Refusal as refusal:
        return refusal
    return None
