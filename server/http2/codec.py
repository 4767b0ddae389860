"""The library `h2` as the codec of one connection: a whole frame in, events out; and frames to be sent.

What it is used for is what it knows best: field compression, the states of streams, flow control. What it does not do
as we want is done beside it:

- It ends the connection for one request's malformed field or wrong length: these are judged by us (server.http2.heads,
  server.http2.stream), and end their stream alone.
- It ends the connection for one stream too many, and reads nothing more after GOAWAY: both are ours, too.
- It makes several objects for a frame, and describes each for a log that there is not. What comes and goes most often
  (a request's HEADERS, WINDOW_UPDATE, a response's HEADERS and DATA), in a state in which nothing is wrong with it, is
  read and written here, with the same effect on the library's state; whatever else is left to the library.

With server.http2.blocks the only module that imports the library, and imported only where HTTP/2 is spoken.
"""

from contextlib import suppress
from struct import Struct
from typing import Any

from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection, _decode_headers
from h2.events import Event
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from h2.stream import H2Stream, StreamInputs, StreamState
from hyperframe.frame import GoAwayFrame, SettingsFrame

from clerestory.server.config import Limits
from clerestory.server.http2.blocks import Fields, Read, Table, Written
from clerestory.server.http2.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREFACE,
    Frame,
    Violation,
)

WINDOW = 65_535
"""The window that a connection and each of its streams begins with (RFC 9113 section 6.9.2)."""

NO_RFC7540_PRIORITIES = 0x9
"""RFC 9218 section 2.1: we heed no priorities of the old kind."""

REMEMBERED = 256
"""Streams that have ended of which the library remembers how."""

LOOKED_AT = 64
"""Streams that the library holds, below which it does not look for those that have ended."""

WIDEST = 2**31 - 1
"""Bytes in a window at most (section 6.9.1)."""

SLACK = 1 << 20
"""Streams beyond ours that the library lets be open: it is we who refuse one too many, and that stream alone."""

_CONFIGURATION = H2Configuration(
    client_side=False,
    header_encoding=None,
    validate_inbound_headers=False,
    normalize_inbound_headers=False,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)


_header = Struct(">HBBBI").pack
"""A frame's header (section 4.1): its length in 24 bits, its kind, its flags, its stream."""
_OPEN = ConnectionState.SERVER_OPEN
_SENDS = frozenset({StreamState.OPEN, StreamState.HALF_CLOSED_REMOTE})
"""In which we may send on a stream."""
_OPENS = _SENDS | {StreamState.HALF_CLOSED_LOCAL}
"""In which a client may open a stream's window."""


class _Stream(H2Stream):
    """Holds no Content-Length against the data: we do, and end the stream alone."""

    def _initialize_content_length(self, headers: object) -> None:
        """Expect nothing."""


class _Connection(H2Connection):
    MAX_CLOSED_STREAMS = REMEMBERED
    _looked_at = LOOKED_AT

    @property
    def open_inbound_streams(self) -> int:
        """The library counts all streams for each that begins, and forgets those that have ended. Too many are ours to
        refuse, so they are looked through only when there are twice as many as were open the last time."""
        if len(self.streams) < self._looked_at:
            return 0
        count: int = self._open_streams(1)
        self._looked_at = max(LOOKED_AT, 2 * count)
        return count

    def _begin_new_stream(self, *arguments: Any, **named: Any) -> H2Stream:
        stream = super()._begin_new_stream(*arguments, **named)
        stream.__class__ = _Stream
        return stream

    def begin_inbound(self, number: int) -> H2Stream:
        """A stream that the client begins, which it may."""
        sizes = self.local_settings.initial_window_size, self.remote_settings.initial_window_size
        self.streams[number] = stream = _Stream(number, self.config, *sizes)
        stream.max_outbound_frame_size = self.max_outbound_frame_size
        self.highest_inbound_stream_id = number
        return stream


class Codec:
    """The codec of one connection. `output` are the frames that are to be sent."""

    __slots__ = ("_connects", "_library", "_list_size", "_read", "_written", "output")

    def __init__(self, limits: Limits, *, connects: bool = False) -> None:
        """With `connects`, the client is told that a CONNECT may ask for a WebSocket (RFC 8441 section 3)."""
        self._connects = connects
        self._library = library = _Connection(_CONFIGURATION)
        self._list_size = list_size(limits)
        library.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: limits.http2_max_streams + SLACK,
                SettingCodes.INITIAL_WINDOW_SIZE: max(WINDOW, limits.http2_window),
                SettingCodes.MAX_HEADER_LIST_SIZE: 2 * self._list_size,
            },
        )
        library.decoder.max_header_list_size = 2 * self._list_size
        library.decoder.header_table, library.encoder.header_table = theirs, ours = Table(), Table()
        self._read = Read(theirs, self._decode)
        self._written = Written(ours, library.encoder.encode)
        self.output = bytearray()

    def begin(self, limits: Limits) -> None:
        """Say our settings, and open the connection's window as far as it goes."""
        library = self._library
        library.initiate_connection()
        library.receive_data(PREFACE)  # it has been taken from what the client sends (server.http2.frames)
        library.clear_outbound_data_buffer()
        frame = SettingsFrame(0)
        frame.settings = {
            int(SettingCodes.MAX_CONCURRENT_STREAMS): limits.http2_max_streams,
            int(SettingCodes.INITIAL_WINDOW_SIZE): max(WINDOW, limits.http2_window),
            int(SettingCodes.MAX_HEADER_LIST_SIZE): self._list_size,
            NO_RFC7540_PRIORITIES: 1,
        }
        if self._connects:
            frame.settings[int(SettingCodes.ENABLE_CONNECT_PROTOCOL)] = 1
        self.output += frame.serialize()
        if limits.http2_max_unread > WINDOW:
            self.open_window(0, limits.http2_max_unread - WINDOW)

    def receive(self, frame: bytes) -> list[Event]:
        """What a whole frame says. Raises Violation."""
        library = self._library
        try:
            events = library.receive_data(frame)
        except ProtocolError as error:
            library.clear_outbound_data_buffer()
            raise _violation(error) from error
        self._gather()
        return events

    def begun(self, frame: Frame) -> Fields | None:
        """The fields of a HEADERS that begins a stream, where that is all that it does; None where it is for `receive`
        to say. Raises Violation."""
        library, number = self._library, frame.stream
        if (
            frame.flags | END_STREAM != END_STREAM | END_HEADERS  # it has padding, a priority, or is not all of it
            or number <= library.highest_inbound_stream_id
            or not number & 1
            or library.state_machine.state is not _OPEN
            or library.incoming_buffer._headers_buffer  # noqa: SLF001 - CONTINUATION is due
        ):
            return None
        library.open_inbound_streams  # noqa: B018 - forgets those that have ended
        fields = self._read.fields(frame.payload)
        stream = library.begin_inbound(number)
        state = StreamState.HALF_CLOSED_REMOTE if frame.flags & END_STREAM else StreamState.OPEN
        # The library's state, which is not one of ours: as two of its inputs would leave it.
        vars(stream.state_machine).update(client=False, headers_received=True, state=state)
        return fields

    def _decode(self, block: bytes) -> Fields:
        library = self._library
        try:
            return _decode_headers(library.decoder, block)
        except ProtocolError as error:
            library._terminate_connection(error.error_code)  # noqa: SLF001 - as it does itself
            library.clear_outbound_data_buffer()
            raise _violation(error) from error

    def widened(self, frame: Frame) -> bool:
        """Whether a WINDOW_UPDATE has done nothing but open a window; else it is for `receive` to say."""
        library, number = self._library, frame.stream
        size = int.from_bytes(frame.payload, "big") & WIDEST
        if (
            frame.size != 4
            or not size
            or library.state_machine.state is not _OPEN
            or library.incoming_buffer._headers_buffer  # noqa: SLF001
        ):
            return False
        found: Any = library if not number else library.streams.get(number)
        if (
            found is None
            or (number and found.state_machine.state not in _OPENS)
            or found.outbound_flow_control_window + size > WIDEST
        ):
            return False
        found.outbound_flow_control_window += size
        return True

    def _gather(self) -> None:
        self.output += self._library.data_to_send()

    def take(self) -> bytes:
        """The frames that are to be sent, which are forgotten."""
        output, self.output = self.output, bytearray()
        return bytes(output)

    # --- what is sent

    def send_head(self, stream: int, fields: Fields, ended: bool) -> None:
        """A field section: of a response, an interim response, or trailers."""
        library = self._library
        found = library.streams.get(stream)
        if found is None:  # it has ended, and is forgotten
            return
        if (
            library.state_machine.state is not _OPEN
            or found.state_machine.state not in _SENDS
            or found.state_machine.headers_sent
            or not isinstance(fields, tuple)
            or fields[0][1][:1] == b"1"
        ):
            with suppress(ProtocolError):  # the client has reset it, and its machine is told next
                library.send_headers(stream, fields, end_stream=ended)
            self._gather()
            return
        found.state_machine.headers_sent = True
        block, most = self._written.block(fields), library.max_outbound_frame_size
        kind, flags = HEADERS, END_STREAM if ended else 0
        while len(block) > most:
            self.output += _header(most >> 8, most & 0xFF, kind, flags, stream) + block[:most]
            block, kind, flags = block[most:], CONTINUATION, 0
        size = len(block)
        self.output += _header(size >> 8, size & 0xFF, kind, flags | END_HEADERS, stream) + block
        if ended:
            found.state_machine.process_input(StreamInputs.SEND_END_STREAM)

    def send_data(self, stream: int, data: bytes, ended: bool) -> None:
        """A piece of a body, no longer than its windows and a frame admit."""
        library, size = self._library, len(data)
        found = library.streams.get(stream)
        if found is None:
            return
        if (
            library.state_machine.state is not _OPEN
            or found.state_machine.state not in _SENDS
            or size > library.outbound_flow_control_window
            or size > found.outbound_flow_control_window
            or size > library.max_outbound_frame_size
        ):
            with suppress(ProtocolError):
                library.send_data(stream, data, end_stream=ended)
            self._gather()
            return
        library.outbound_flow_control_window -= size
        found.outbound_flow_control_window -= size
        self.output += _header(size >> 8, size & 0xFF, DATA, END_STREAM if ended else 0, stream)
        self.output += data
        if ended:
            found.state_machine.process_input(StreamInputs.SEND_END_STREAM)

    def reset(self, stream: int, code: int) -> None:
        """End a stream, unless it has ended."""
        with suppress(ProtocolError):
            self._library.reset_stream(stream, code)
        self._gather()

    def goaway(self, last: int, code: int, reason: str = "") -> None:
        """Say that no stream behind `last` is served. The library is not told: it would say nothing more."""
        self.output += GoAwayFrame(
            0, last_stream_id=last, error_code=code, additional_data=reason.encode("ascii", "replace")
        ).serialize()

    # --- flow control

    def window(self, stream: int) -> int:
        """How many bytes the client admits, of this stream and of the connection."""
        library = self._library
        found = library.streams.get(stream)
        if found is None:  # it has ended
            return 0
        return min(library.outbound_flow_control_window, found.outbound_flow_control_window)

    def window_of(self, stream: int) -> int:
        """How many bytes the client admits of this stream, whatever it admits of the connection."""
        found = self._library.streams.get(stream)
        return int(found.outbound_flow_control_window) if found is not None else 0

    def connection_window(self) -> int:
        """How many bytes the client admits of the connection."""
        return self._library.outbound_flow_control_window

    def received_window(self, stream: int) -> int:
        """How many bytes of this stream we admit."""
        try:
            return self._library.remote_flow_control_window(stream)
        except ProtocolError:  # it has ended
            return 0

    def longest(self) -> int:
        """Bytes of DATA in one frame."""
        return self._library.max_outbound_frame_size

    def open_window(self, stream: int, size: int) -> None:
        """Admit so many bytes more of a stream, unless it has ended; of the connection where it is 0."""
        if stream and stream not in self._library.streams:
            return
        with suppress(ProtocolError):
            self._library.increment_flow_control_window(size, stream or None)
        self._gather()


def _violation(error: ProtocolError) -> Violation:
    return Violation(int(error.error_code), f"{str(error).rstrip('.')}.")


def list_size(limits: Limits) -> int:
    """How long a field section may be, as RFC 9113 section 6.5.2 counts, and HTTP/1.1's limits admit."""
    return limits.max_head + 32 * limits.max_fields
