"""The machine of one stream of HTTP/2: a request, the handler that answers it, and its response (RFC 9113 section 5).

    IDLE -> QUERYING_BACKEND -> SENDING_RESPONSE -> CLOSED

Its states are those of an exchange on a connection of HTTP/1.1, and mean the same (statemachines.connection); the
handler does not know which of the two carries it. What is different:

- *The head is there when the machine is made*; it leaves IDLE in the same turn. A stream serves one request, so there
  is no way back.
- *It has no descriptor.* The connection (statemachines.h2_connection) reads and writes for all of its streams, and
  tells each what that is for it: SENDING_RESPONSE waits for the stream's turn, a bounded piece at a time, so that none
  keeps the others waiting.
- *Flow control*: where the client's window is used up, of the stream or of the connection, it is AWAITING_WINDOW. That
  is the client's slowness, with the deadline and the rate of any response; one who gives a byte of window now and then
  does not put it off. In the other direction the client may send as much as its window says, and that is opened only as
  far as what came has been taken.
- *A request and its response at the same time*: as in HTTP/1.1, where an operation sends the request's body on, its
  pieces are given to that while the response is sent (EXCHANGING).
- *A refusal* is a response like any other, and may wait for the window: so it is the last row that says who ended the
  stream.
- *The end*: END_STREAM on the last frame. What of the request is still on its way is not wanted then: RST_STREAM with
  NO_ERROR says so. A response that has begun and cannot be ended as it was promised is cut: RST_STREAM, which nobody
  takes for a clean end, and which leaves the other streams alone.
- *A WebSocket* (RFC 8441): behind a CONNECT that has been accepted the stream is TUNNELLING, as a connection of
  HTTP/1.1 is behind a 101; END_STREAM is a half-close, and RST_STREAM a reset. It waits for two things at once.
- *A client that does not want it any more* resets the stream, or leaves altogether: both are PEER_RESET.
"""

from enum import auto
from typing import Protocol

from clerestory.statemachines.connection_deadlines import BACKEND, BODY, EXCHANGE, SEND, TUNNEL
from clerestory.statemachines.contract import Cause, HandsBack, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    IDLE = auto()
    READING_BODY = auto()
    QUERYING_BACKEND = auto()
    PRODUCING = auto()
    SENDING_RESPONSE = auto()
    AWAITING_WINDOW = auto()
    EXCHANGING = auto()
    TUNNELLING = auto()
    CLOSED = auto()


class Trigger(Name):
    HEAD_RECEIVED = auto()
    """The request's head is one that the gate has admitted."""
    HEAD_REFUSED = auto()
    """It is not a head that we accept."""
    BODY_REQUESTED = auto()
    """The handler, or what it awaits, takes the next piece of the request's body."""
    BODY_RECEIVED = auto()
    """A piece of the body, or its end, is there."""
    BODY_REFUSED = auto()
    """The body has another length than was said, or a greater one than it may have, or its trailers are malformed."""
    BACKEND_ANSWERED = auto()
    """The operation that the handler awaited has ended, well or ill."""
    BACKEND_FAILED = auto()
    """What the handler awaited has broken off in the middle of the response."""
    OUTPUT_READY = auto()
    """Bytes of the response are there to be sent."""
    OUTPUT_FLUSHED = auto()
    """The connection has taken all the bytes that there were."""
    WINDOW_EXHAUSTED = auto()
    """The client's window does not admit another byte."""
    WINDOW_OPENED = auto()
    """The client has opened it."""
    TUNNEL_ENDED = auto()
    """Both sides have ended, in order."""
    TUNNEL_BROKEN = auto()
    """The other side is gone."""
    RESPONSE_BROKEN = auto()
    """The response has begun and cannot be ended as it was promised."""
    PEER_RESET = auto()
    """The client has reset the stream, or the connection is gone."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """An operator wants this stream closed now."""


class Model(Protocol):
    """What the shell of a stream does. Guards ask; actions do one step and return the next trigger."""

    def has_more_output(self) -> bool:
        """Whether the response has further pieces to be produced."""

    def awaits_body(self) -> bool:
        """Whether a feed has a use for the request's body while the response is sent."""

    def has_begun_response(self) -> bool:
        """Whether the response's head has been composed."""

    def has_switched(self) -> bool:
        """Whether the response is one behind which there is a tunnel."""

    def peer_ended_first(self) -> bool:
        """Whether the client sent its last before the tunnel's other side did."""

    def has_ended_first(self) -> bool:
        """Whether our side of the tunnel has ended."""

    def is_hosted(self) -> bool:
        """Whether the tunnel's other side is an application in this process."""

    def is_refused(self) -> bool:
        """Whether the response says what was wrong with the request."""

    def is_late(self) -> bool:
        """Whether the response says that a deadline has passed."""

    def call_handler(self) -> Name | None:
        """Give the request to the application; OUTPUT_READY, BODY_REQUESTED, or None to wait for an operation."""

    def resume_handler(self) -> Name | None:
        """Go on with the handler, or with the body that it produces, after its operation ended."""

    def take_body(self) -> Name | None:
        """Take the body's next piece from what has come; BODY_RECEIVED, or say 100 (Continue) and wait."""

    def give_body(self) -> Name | None:
        """Go on with the handler, with the piece of body that came."""

    def take_aside(self) -> Name | None:
        """As take_body, while the response is sent."""

    def give_aside(self) -> Name | None:
        """Give what takes the request's body the piece that came, and take the next."""

    def queue_output(self) -> Name | None:
        """Wait for the stream's turn on the connection."""

    def produce_output(self) -> Name | None:
        """Get the response's next piece."""

    def begin_tunnel(self) -> Name | None:
        """Join the tunnel, and pass on what has come already; TUNNEL_ENDED, TUNNEL_BROKEN or PEER_RESET."""

    def pass_in(self) -> Name | None:
        """Pass on what has come; TUNNEL_ENDED or PEER_RESET."""

    def end_tunnel(self) -> Name | None:
        """End our side of the tunnel."""

    def refuse(self) -> Name | None:
        """Give up the handler and answer with the refusal's status and reason."""

    def refuse_late(self) -> Name | None:
        """Give up the handler and answer 408 or 504."""

    def complete(self) -> Name | None:
        """The response is complete: log it, and reset what of the request is still to come."""

    def cut(self) -> Name | None:
        """Reset the stream."""


S, T = State, Trigger

_NOTHING = Interest.NOTHING

SPECS = (
    Spec(
        S.IDLE,
        _NOTHING,
        Unbounded("it is left in the turn in which it was made"),
        "",
        "the head has come, and is given to the handler in this turn",
        awaits="its first step",
    ),
    Spec(S.READING_BODY, _NOTHING, BODY, "", "the handler wants body bytes that have not arrived", awaits="DATA"),
    Spec(
        S.QUERYING_BACKEND,
        _NOTHING,
        BACKEND,
        "",
        "the handler runs or waits for an operation",
        awaits="the application",
    ),
    Spec(
        S.PRODUCING,
        _NOTHING,
        BACKEND,
        "",
        "the response has begun; its next piece is awaited",
        awaits="the application",
    ),
    Spec(
        S.SENDING_RESPONSE,
        _NOTHING,
        SEND,
        "",
        "response bytes wait for the stream's turn on the connection",
        awaits="its turn on the connection",
    ),
    Spec(
        S.AWAITING_WINDOW,
        _NOTHING,
        SEND,
        "",
        "response bytes wait for the client to open its flow-control window",
        awaits="WINDOW_UPDATE",
    ),
    Spec(
        S.EXCHANGING,
        _NOTHING,
        EXCHANGE,
        "",
        "response bytes wait to be sent, and the request's body still comes",
        awaits="both sides",
    ),
    Spec(S.TUNNELLING, _NOTHING, TUNNEL, "", "upgraded: bytes pass both ways", awaits="both sides"),
    Spec(S.CLOSED, _NOTHING, Unbounded("it is final"), "", "neither side sends any more", final=True),
)

ROWS = (
    # --- the head is there
    Row(S.IDLE, T.HEAD_RECEIVED, S.QUERYING_BACKEND, action="call_handler", way=Way.HAPPY),
    Row(S.IDLE, T.HEAD_REFUSED, S.SENDING_RESPONSE, action="refuse", way=Way.FAULT),
    Row(S.IDLE, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.IDLE, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the body comes
    Row(S.READING_BODY, T.BODY_RECEIVED, S.PRODUCING, "has_begun_response", "give_body"),
    Row(S.READING_BODY, T.BODY_RECEIVED, S.QUERYING_BACKEND, "", "give_body"),
    Row(S.READING_BODY, T.BACKEND_ANSWERED, S.PRODUCING, "has_begun_response", "resume_handler"),
    Row(S.READING_BODY, T.BACKEND_ANSWERED, S.QUERYING_BACKEND, "", "resume_handler"),
    Row(S.READING_BODY, T.BODY_REFUSED, S.CLOSED, "has_begun_response", "cut", Way.FAULT, Cause.CLIENT),
    Row(S.READING_BODY, T.BODY_REFUSED, S.SENDING_RESPONSE, "", "refuse", Way.FAULT),
    Row(S.READING_BODY, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.READING_BODY, T.DEADLINE_PASSED, S.CLOSED, "has_begun_response", "cut", Way.FAULT, Cause.DEADLINE),
    Row(S.READING_BODY, T.DEADLINE_PASSED, S.SENDING_RESPONSE, "", "refuse_late", Way.FAULT),
    Row(S.READING_BODY, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the handler runs, or waits
    Row(S.QUERYING_BACKEND, T.OUTPUT_READY, S.SENDING_RESPONSE, action="queue_output", way=Way.HAPPY),
    Row(S.QUERYING_BACKEND, T.BACKEND_ANSWERED, S.QUERYING_BACKEND, action="resume_handler"),
    Row(S.QUERYING_BACKEND, T.BODY_REQUESTED, S.READING_BODY, action="take_body"),
    Row(S.QUERYING_BACKEND, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.QUERYING_BACKEND, T.DEADLINE_PASSED, S.SENDING_RESPONSE, "", "refuse_late", Way.FAULT),
    Row(S.QUERYING_BACKEND, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the response has begun
    Row(S.PRODUCING, T.OUTPUT_READY, S.SENDING_RESPONSE, action="queue_output"),
    Row(S.PRODUCING, T.BACKEND_ANSWERED, S.PRODUCING, action="resume_handler"),
    Row(S.PRODUCING, T.BODY_REQUESTED, S.READING_BODY, action="take_body"),
    Row(S.PRODUCING, T.RESPONSE_BROKEN, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.SERVER),
    Row(S.PRODUCING, T.BACKEND_FAILED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.PRODUCING, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.PRODUCING, T.DEADLINE_PASSED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.PRODUCING, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the response goes out
    Row(S.SENDING_RESPONSE, T.OUTPUT_FLUSHED, S.PRODUCING, "has_more_output", "produce_output"),
    Row(S.SENDING_RESPONSE, T.OUTPUT_FLUSHED, S.TUNNELLING, "has_switched", "begin_tunnel"),
    Row(S.SENDING_RESPONSE, T.OUTPUT_FLUSHED, S.CLOSED, "is_refused", "complete", Way.FAULT, Cause.CLIENT),
    Row(S.SENDING_RESPONSE, T.OUTPUT_FLUSHED, S.CLOSED, "is_late", "complete", Way.FAULT, Cause.DEADLINE),
    Row(S.SENDING_RESPONSE, T.OUTPUT_FLUSHED, S.CLOSED, "", "complete", Way.HAPPY, Cause.SERVER),
    Row(S.SENDING_RESPONSE, T.WINDOW_EXHAUSTED, S.EXCHANGING, "awaits_body", "take_aside"),
    Row(S.SENDING_RESPONSE, T.WINDOW_EXHAUSTED, S.AWAITING_WINDOW),
    Row(S.SENDING_RESPONSE, T.BODY_REQUESTED, S.EXCHANGING, action="take_aside"),
    Row(S.SENDING_RESPONSE, T.RESPONSE_BROKEN, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.SERVER),
    Row(S.SENDING_RESPONSE, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.SENDING_RESPONSE, T.DEADLINE_PASSED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.SENDING_RESPONSE, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the client's window is used up
    Row(S.AWAITING_WINDOW, T.WINDOW_OPENED, S.SENDING_RESPONSE, action="queue_output"),
    Row(S.AWAITING_WINDOW, T.BODY_REQUESTED, S.EXCHANGING, action="take_aside"),
    Row(S.AWAITING_WINDOW, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.AWAITING_WINDOW, T.DEADLINE_PASSED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.AWAITING_WINDOW, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the response goes out, and the request still comes
    Row(S.EXCHANGING, T.BODY_RECEIVED, S.EXCHANGING, action="give_aside"),
    Row(S.EXCHANGING, T.BODY_REQUESTED, S.EXCHANGING, action="take_aside"),
    Row(S.EXCHANGING, T.OUTPUT_FLUSHED, S.PRODUCING, "has_more_output", "produce_output"),
    Row(S.EXCHANGING, T.OUTPUT_FLUSHED, S.CLOSED, "", "complete", ends=Cause.SERVER),
    Row(S.EXCHANGING, T.WINDOW_OPENED, S.EXCHANGING, action="queue_output"),
    Row(S.EXCHANGING, T.BODY_REFUSED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.EXCHANGING, T.RESPONSE_BROKEN, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.SERVER),
    Row(S.EXCHANGING, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.EXCHANGING, T.DEADLINE_PASSED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.EXCHANGING, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- upgraded
    Row(S.TUNNELLING, T.BODY_RECEIVED, S.TUNNELLING, action="pass_in"),
    Row(S.TUNNELLING, T.WINDOW_OPENED, S.TUNNELLING, action="queue_output"),
    Row(S.TUNNELLING, T.TUNNEL_ENDED, S.CLOSED, "peer_ended_first", "end_tunnel", ends=Cause.CLIENT),
    Row(S.TUNNELLING, T.TUNNEL_ENDED, S.CLOSED, "is_hosted", "end_tunnel", ends=Cause.SERVER),
    Row(S.TUNNELLING, T.TUNNEL_ENDED, S.CLOSED, "", "end_tunnel", ends=Cause.UPSTREAM),
    Row(S.TUNNELLING, T.TUNNEL_BROKEN, S.CLOSED, "is_hosted", "cut", ends=Cause.SERVER),
    Row(S.TUNNELLING, T.TUNNEL_BROKEN, S.CLOSED, "", "cut", Way.FAULT, Cause.UPSTREAM),
    Row(S.TUNNELLING, T.PEER_RESET, S.CLOSED, "has_ended_first", ends=Cause.CLIENT),
    Row(S.TUNNELLING, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.TUNNELLING, T.DEADLINE_PASSED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.TUNNELLING, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
)

_STEPPED = (T.OUTPUT_READY, T.BODY_REQUESTED, T.DEADLINE_PASSED)
_BROKEN = (T.RESPONSE_BROKEN, T.BACKEND_FAILED)
_TAKEN = (T.BODY_RECEIVED, T.BODY_REFUSED)

HANDS_BACK: HandsBack = {
    "call_handler": (T.OUTPUT_READY, T.BODY_REQUESTED),
    "resume_handler": _STEPPED,
    (S.PRODUCING, "resume_handler"): (*_STEPPED, *_BROKEN),
    "give_body": (T.OUTPUT_READY, T.BODY_REQUESTED, T.BACKEND_ANSWERED),
    (S.PRODUCING, "give_body"): (T.OUTPUT_READY, T.BODY_REQUESTED, T.BACKEND_ANSWERED, *_BROKEN),
    "take_body": _TAKEN,
    "take_aside": _TAKEN,
    "give_aside": _TAKEN,
    "begin_tunnel": (T.TUNNEL_ENDED, T.TUNNEL_BROKEN, T.PEER_RESET),
    "pass_in": (T.TUNNEL_ENDED, T.PEER_RESET),
    "produce_output": (T.OUTPUT_READY, T.BODY_REQUESTED, *_BROKEN, T.DEADLINE_PASSED),
}

TABLE = Table(
    name="h2_stream",
    states=State,
    triggers=Trigger,
    initial=S.IDLE,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.PEER_RESET}),
    hands_back=HANDS_BACK,
)
