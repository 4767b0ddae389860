"""The machine of a client's connection that speaks HTTP/2 (RFC 9113): it carries streams, each a machine of its own.

    AWAITING_PREFACE -> NEGOTIATING -> AWAITING_REQUEST -> SERVING -> SENDING -> AWAITING_REQUEST

It takes the descriptor over from a machine of statemachines.connection: behind the TLS handshake that has negotiated
h2 (ALPN), or from the first bytes of a client that knows beforehand that we speak it. What the table settles:

- *Requests and responses are the streams' (statemachines.h2_stream).* What the connection itself waits for is frames,
  and room for frames in the socket. While a request is being answered it is SERVING; it has no deadline then, since
  each of its streams has one for whatever that waits for.
- *It reads while it sends.* In SENDING it waits for two things at once: a client's window updates, resets and pings are
  to be seen although the socket takes no more of our bytes. What comes is bounded by flow control, and what is not
  (control frames) by counts.
- *Our SETTINGS* are sent at once, and are to be acknowledged. Requests are served meanwhile.
- *A violation* of the protocol, or of a bound on frames, ends the connection: GOAWAY says why, and our side is shut
  behind that. What is wrong with one request ends that stream alone.
- *The drain*: GOAWAY says which is the last stream that is served, and the connection is DRAINING until its streams
  have ended. So it is after GOAWAY of the client's, and when as many streams have been served as one connection may
  have.
- *The client's half-close* ends it: nothing can be said any more of windows, and no client of HTTP/2 goes on after it.
- Every row into CLOSED, or into the farewell, says who ended the connection.
"""

from enum import auto
from typing import Protocol

from clerestory.statemachines.connection_deadlines import HANDSHAKE, KEEP_ALIVE, LINGER
from clerestory.statemachines.contract import (
    Cause,
    Deadline,
    HandsBack,
    Interest,
    Name,
    Row,
    Spec,
    Table,
    Unbounded,
    Way,
)


class State(Name):
    AWAITING_PREFACE = auto()
    NEGOTIATING = auto()
    AWAITING_REQUEST = auto()
    SERVING = auto()
    SENDING = auto()
    DRAINING = auto()
    LINGERING = auto()
    CLOSED = auto()


class Trigger(Name):
    PREFACE_RECEIVED = auto()
    """The client's preface has come, with its SETTINGS."""
    SETTINGS_ACKNOWLEDGED = auto()
    """The client has acknowledged our SETTINGS."""
    STREAM_OPENED = auto()
    """A request has come, on a connection that had none."""
    STREAMS_ENDED = auto()
    """No stream is open any more."""
    OUTPUT_READY = auto()
    """Frames are there for the socket."""
    OUTPUT_FLUSHED = auto()
    """The socket has taken all the frames that there were."""
    PROTOCOL_VIOLATED = auto()
    """What came is not HTTP/2, or more than a bound allows."""
    STREAMS_EXHAUSTED = auto()
    """As many requests have come as one connection may have."""
    GOAWAY_RECEIVED = auto()
    """The client opens no more streams."""
    PEER_CLOSED = auto()
    """The peer has shut down its sending side."""
    PEER_RESET = auto()
    """The connection is gone."""
    DEADLINE_PASSED = auto()
    LINGER_EXHAUSTED = auto()
    """The peer has sent more after our farewell than we are willing to discard."""
    DRAIN_STARTED = auto()
    """The process finishes what is in flight, and wants no new requests."""
    ROOM_WANTED = auto()
    """As many connections are open as there may be; of the idle ones, this has been so longest."""
    CLOSE_ORDERED = auto()
    """An operator, or the end of the drain, wants this connection closed now."""


class Model(Protocol):
    """What the shell of such a connection does."""

    def read(self, ready: int) -> Name | None:
        """Read once, and give streams what is theirs; the trigger that names what that is for the connection."""

    def read_and_write(self, ready: int) -> Name | None:
        """Read once, or write what the socket takes, up to a bound."""

    def discard(self, ready: int) -> Name | None:
        """Read once and forget; PEER_CLOSED, PEER_RESET or LINGER_EXHAUSTED."""

    def awaits_settings(self) -> bool:
        """Whether the client has not acknowledged our SETTINGS."""

    def is_draining(self) -> bool:
        """Whether one of the two has sent GOAWAY."""

    def has_streams(self) -> bool:
        """Whether streams are open."""

    def client_leaves(self) -> bool:
        """Whether it was the client that has sent GOAWAY."""

    def is_ordered(self) -> bool:
        """Whether the process drains."""

    def go_on(self) -> Name | None:
        """Look what else has become true by what was read: the next trigger, if there is one."""

    def send_later(self) -> Name | None:
        """Let the frames go out at the turn's end, with what others send."""

    def send_goaway(self) -> Name | None:
        """Say which is the last stream that is served."""

    def say_goodbye(self) -> Name | None:
        """End the streams, say GOAWAY with the reason, and shut down our sending side."""

    def half_close(self) -> Name | None:
        """Shut down our sending side."""

    def cut(self) -> Name | None:
        """Make the close a reset."""


S, T = State, Trigger

SETTINGS = Deadline(
    "settings",
    "http2_settings_timeout",
    10.0,
    "for a client of HTTP/2 to acknowledge our settings: one round trip",
)
STALL = Deadline(
    "stall",
    "http2_stall_timeout",
    30.0,
    "without the socket of an HTTP/2 connection taking a byte; its streams have deadlines of their own besides",
    idle=True,
)

_STREAMS = Unbounded("each of its streams has deadlines of its own")

SPECS = (
    Spec(
        S.AWAITING_PREFACE,
        Interest.READABLE,
        HANDSHAKE,
        "read",
        "the client has not begun with its preface and its settings",
    ),
    Spec(
        S.NEGOTIATING,
        Interest.READABLE,
        SETTINGS,
        "read",
        "our settings have not been acknowledged; requests are served meanwhile",
    ),
    Spec(S.AWAITING_REQUEST, Interest.READABLE, KEEP_ALIVE, "read", "no stream is open"),
    Spec(S.SERVING, Interest.READABLE, _STREAMS, "read", "streams are open; frames of the client are awaited"),
    Spec(
        S.SENDING,
        Interest.READABLE | Interest.WRITABLE,
        STALL,
        "read_and_write",
        "frames wait for the socket, and the client's frames are read meanwhile",
        awaits="both sides",
    ),
    Spec(S.DRAINING, Interest.READABLE, _STREAMS, "read", "GOAWAY has been said; the streams that are open finish"),
    Spec(S.LINGERING, Interest.READABLE, LINGER, "discard", "our side is shut; the peer may still be sending"),
    Spec(S.CLOSED, Interest.NOTHING, Unbounded("it is final"), "", "the descriptor is given back", final=True),
)

ROWS = (
    # --- the client has not begun
    Row(S.AWAITING_PREFACE, T.PREFACE_RECEIVED, S.NEGOTIATING, action="go_on", way=Way.HAPPY),
    Row(S.AWAITING_PREFACE, T.PROTOCOL_VIOLATED, S.LINGERING, "", "say_goodbye", Way.FAULT, Cause.CLIENT),
    Row(S.AWAITING_PREFACE, T.PEER_CLOSED, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.AWAITING_PREFACE, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.AWAITING_PREFACE, T.DEADLINE_PASSED, S.LINGERING, "", "say_goodbye", Way.FAULT, Cause.DEADLINE),
    Row(S.AWAITING_PREFACE, T.DRAIN_STARTED, S.LINGERING, "", "say_goodbye", ends=Cause.OPERATOR),
    Row(S.AWAITING_PREFACE, T.ROOM_WANTED, S.CLOSED, ends=Cause.SERVER),
    Row(S.AWAITING_PREFACE, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- our settings are to be acknowledged
    Row(S.NEGOTIATING, T.SETTINGS_ACKNOWLEDGED, S.SERVING, "has_streams", "go_on"),
    Row(S.NEGOTIATING, T.SETTINGS_ACKNOWLEDGED, S.AWAITING_REQUEST, "", "go_on", Way.HAPPY),
    Row(S.NEGOTIATING, T.OUTPUT_READY, S.SENDING, action="send_later"),
    Row(S.NEGOTIATING, T.PROTOCOL_VIOLATED, S.LINGERING, "", "say_goodbye", Way.FAULT, Cause.CLIENT),
    Row(S.NEGOTIATING, T.STREAMS_EXHAUSTED, S.DRAINING, action="send_goaway"),
    Row(S.NEGOTIATING, T.GOAWAY_RECEIVED, S.DRAINING, action="go_on"),
    Row(S.NEGOTIATING, T.PEER_CLOSED, S.CLOSED, "has_streams", "", Way.FAULT, Cause.CLIENT),
    Row(S.NEGOTIATING, T.PEER_CLOSED, S.CLOSED, ends=Cause.CLIENT),
    Row(S.NEGOTIATING, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.NEGOTIATING, T.DEADLINE_PASSED, S.LINGERING, "", "say_goodbye", Way.FAULT, Cause.DEADLINE),
    Row(S.NEGOTIATING, T.DRAIN_STARTED, S.DRAINING, action="send_goaway"),
    Row(S.NEGOTIATING, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- no stream is open
    Row(S.AWAITING_REQUEST, T.STREAM_OPENED, S.SERVING, action="go_on", way=Way.HAPPY),
    Row(S.AWAITING_REQUEST, T.OUTPUT_READY, S.SENDING, action="send_later"),
    Row(S.AWAITING_REQUEST, T.PROTOCOL_VIOLATED, S.LINGERING, "", "say_goodbye", Way.FAULT, Cause.CLIENT),
    Row(S.AWAITING_REQUEST, T.GOAWAY_RECEIVED, S.LINGERING, action="half_close", ends=Cause.CLIENT),
    Row(S.AWAITING_REQUEST, T.PEER_CLOSED, S.CLOSED, ends=Cause.CLIENT),
    Row(S.AWAITING_REQUEST, T.PEER_RESET, S.CLOSED, ends=Cause.CLIENT),
    Row(S.AWAITING_REQUEST, T.DEADLINE_PASSED, S.LINGERING, "", "say_goodbye", ends=Cause.DEADLINE),
    Row(S.AWAITING_REQUEST, T.DRAIN_STARTED, S.LINGERING, "", "say_goodbye", ends=Cause.OPERATOR),
    Row(S.AWAITING_REQUEST, T.ROOM_WANTED, S.CLOSED, "", "say_goodbye", ends=Cause.SERVER),
    Row(S.AWAITING_REQUEST, T.CLOSE_ORDERED, S.CLOSED, "", "say_goodbye", ends=Cause.OPERATOR),
    # --- streams are open
    Row(S.SERVING, T.OUTPUT_READY, S.SENDING, action="send_later", way=Way.HAPPY),
    Row(S.SERVING, T.STREAMS_ENDED, S.AWAITING_REQUEST),
    Row(S.SERVING, T.PROTOCOL_VIOLATED, S.LINGERING, "", "say_goodbye", Way.FAULT, Cause.CLIENT),
    Row(S.SERVING, T.STREAMS_EXHAUSTED, S.DRAINING, action="send_goaway"),
    Row(S.SERVING, T.GOAWAY_RECEIVED, S.DRAINING, action="go_on"),
    Row(S.SERVING, T.PEER_CLOSED, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.SERVING, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.SERVING, T.DRAIN_STARTED, S.DRAINING, action="send_goaway"),
    Row(S.SERVING, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- frames wait for the socket
    Row(S.SENDING, T.OUTPUT_FLUSHED, S.DRAINING, "is_draining", "go_on"),
    Row(S.SENDING, T.OUTPUT_FLUSHED, S.NEGOTIATING, "awaits_settings"),
    Row(S.SENDING, T.OUTPUT_FLUSHED, S.SERVING, "has_streams"),
    Row(S.SENDING, T.OUTPUT_FLUSHED, S.AWAITING_REQUEST, way=Way.HAPPY),
    Row(S.SENDING, T.PROTOCOL_VIOLATED, S.LINGERING, "", "say_goodbye", Way.FAULT, Cause.CLIENT),
    Row(S.SENDING, T.STREAMS_EXHAUSTED, S.SENDING, action="send_goaway"),
    Row(S.SENDING, T.PEER_CLOSED, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.SENDING, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.SENDING, T.DEADLINE_PASSED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.SENDING, T.DRAIN_STARTED, S.SENDING, action="send_goaway"),
    Row(S.SENDING, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- GOAWAY has been said
    Row(S.DRAINING, T.OUTPUT_READY, S.SENDING, action="send_later"),
    Row(S.DRAINING, T.STREAMS_ENDED, S.LINGERING, "client_leaves", "half_close", ends=Cause.CLIENT),
    Row(S.DRAINING, T.STREAMS_ENDED, S.LINGERING, "is_ordered", "half_close", ends=Cause.OPERATOR),
    Row(S.DRAINING, T.STREAMS_ENDED, S.LINGERING, "", "half_close", ends=Cause.SERVER),
    Row(S.DRAINING, T.PROTOCOL_VIOLATED, S.LINGERING, "", "say_goodbye", Way.FAULT, Cause.CLIENT),
    Row(S.DRAINING, T.PEER_CLOSED, S.CLOSED, "has_streams", "", Way.FAULT, Cause.CLIENT),
    Row(S.DRAINING, T.PEER_CLOSED, S.CLOSED, ends=Cause.CLIENT),
    Row(S.DRAINING, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.DRAINING, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the farewell
    Row(S.LINGERING, T.PEER_CLOSED, S.CLOSED, ends=Cause.CLIENT),
    Row(S.LINGERING, T.PEER_RESET, S.CLOSED, ends=Cause.CLIENT),
    Row(S.LINGERING, T.LINGER_EXHAUSTED, S.CLOSED, ends=Cause.SERVER),
    Row(S.LINGERING, T.DEADLINE_PASSED, S.CLOSED, ends=Cause.DEADLINE),
    Row(S.LINGERING, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.OPERATOR),
)

_GONE = (T.PEER_CLOSED, T.PEER_RESET)
_READ = (T.PROTOCOL_VIOLATED, T.OUTPUT_READY, *_GONE)

HANDS_BACK: HandsBack = {
    (S.AWAITING_PREFACE, "read"): (T.PREFACE_RECEIVED, T.PROTOCOL_VIOLATED, *_GONE),
    (S.NEGOTIATING, "read"): (*_READ, T.SETTINGS_ACKNOWLEDGED, T.STREAMS_EXHAUSTED, T.GOAWAY_RECEIVED),
    (S.AWAITING_REQUEST, "read"): (*_READ, T.STREAM_OPENED, T.GOAWAY_RECEIVED),
    (S.SERVING, "read"): (*_READ, T.STREAMS_EXHAUSTED, T.GOAWAY_RECEIVED, T.STREAMS_ENDED),
    (S.DRAINING, "read"): (*_READ, T.STREAMS_ENDED),
    "read_and_write": (T.OUTPUT_FLUSHED, T.PROTOCOL_VIOLATED, T.STREAMS_EXHAUSTED, *_GONE),
    "discard": (*_GONE, T.LINGER_EXHAUSTED),
    (S.NEGOTIATING, "go_on"): (
        T.PROTOCOL_VIOLATED,
        T.OUTPUT_READY,
        T.SETTINGS_ACKNOWLEDGED,
        T.STREAMS_EXHAUSTED,
        T.GOAWAY_RECEIVED,
    ),
    (S.AWAITING_REQUEST, "go_on"): (T.PROTOCOL_VIOLATED, T.OUTPUT_READY, T.STREAM_OPENED, T.GOAWAY_RECEIVED),
    (S.SERVING, "go_on"): (
        T.PROTOCOL_VIOLATED,
        T.OUTPUT_READY,
        T.STREAMS_EXHAUSTED,
        T.GOAWAY_RECEIVED,
        T.STREAMS_ENDED,
    ),
    (S.DRAINING, "go_on"): (T.PROTOCOL_VIOLATED, T.OUTPUT_READY, T.STREAMS_ENDED),
    (S.DRAINING, "send_goaway"): (T.PROTOCOL_VIOLATED, T.OUTPUT_READY, T.STREAMS_ENDED),
    (S.LINGERING, "say_goodbye"): (T.PEER_RESET,),
    "half_close": (T.PEER_RESET,),
}

TABLE = Table(
    name="h2_connection",
    states=State,
    triggers=Trigger,
    initial=S.AWAITING_PREFACE,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.PEER_CLOSED, T.PEER_RESET}),
    hands_back=HANDS_BACK,
)
