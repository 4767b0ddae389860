"""THE machine: one client connection of the HTTP/1.1 server.

    AWAITING_REQUEST -> QUERYING_BACKEND -> SENDING_RESPONSE -> AWAITING_REQUEST

is a request that comes in one segment, whose handler answers at once and whose answer the socket takes at once: three
transitions. READING_HEAD and READING_BODY are there for requests that come in pieces, LINGERING for its end.

What the table settles:

- *The handler is the program, the machine is its place in it.* While the handler runs or waits for an operation, the
  connection is QUERYING_BACKEND; while it waits for the request's body, READING_BODY; while its output waits for the
  socket, SENDING_RESPONSE. Once the response has begun, its next piece is waited for in PRODUCING: a streamed answer
  goes to and fro between these two. An error is another answer before that, and a cut afterwards.
- *Pipelining*: the next request is looked at only in AWAITING_REQUEST, so answers stay in order. Bytes that have come
  already lie in the connection's buffer, where epoll will not report them: the loop is asked to revisit.
- *An answer before the body was read*: nothing more is parsed; answer, half-close, linger.
- *The client's half-close while a handler or a piece is waited for*: a client that has sent its last request and one
  that has closed its tab look the same on the wire until something is sent to them. So the connection is HALF_CLOSED,
  and what is waited for says for how long it is still worth an answer (handlers.api.operations.HalfClose): until its
  own deadline, for a short while only (a silent stream; what holds a connection to an upstream), or not at all. What
  comes in time is sent: to a client that is there it is the whole answer, and from one that is not it brings a reset.
  While response bytes wait for the socket a half-close is not looked at, they show the same. A reset is reported by the
  kernel in any state.
- *Time*: each wait has its deadline; all the waiting for one answer to begin has a budget besides (`handler_total`),
  and a stream that hands out nothing is held against the time since its last byte. The sweep looks at those that rest;
  what has just been waited for is held against them by the action that goes on (DEADLINE_PASSED).
- *100 (Continue)* is sent when the handler wants the body. What of it, or of an interim response before it, the socket
  does not take goes out by way of SENDING_RESPONSE, as any other response does, and back. No body is read meanwhile,
  and what ends meanwhile is gone on with after it.
- *A request and its response at the same time*: where an operation sends the request's body on, its pieces are read
  while the operation is awaited (READING_BODY, which the operation's end leaves, too). Where the client takes no more
  of the response meanwhile, the connection is EXCHANGING: it waits for two things at once, since the client may read
  nothing before it has sent its request, or send nothing before it has read.
- *An error after the response began*: the connection is cut, so that the client cannot take the piece for the whole.
- *TLS*: where the listener speaks it, the connection is HANDSHAKING before its first request. It waits for the one
  thing that TLS asks for at the moment, to read or to write: nearly always to read. A client that has sent nothing may
  leave without a word: that is how load balancers look whether a port is open. What speaks plain HTTP here is answered,
  in plain HTTP; any other failure is told by TLS itself, and our side is shut behind that.
- *HTTP/2*: where it is chosen, which happens once and before the first request, this machine ends, and one of
  statemachines.h2_connection goes on with the descriptor.
- *An upgrade*: once 101 is sent the connection is TUNNELLING, one end of a tunnel whose other end is a connection to an
  upstream, or an application's WebSocket, whose deadlines are its own machine's. It, too, waits for two things at once:
  bytes from the peer, and room for bytes to it. Which of them are asked of the poller depends on what waits to be
  passed on (handlers.proxy.tunnel).
- Every row into CLOSED, or into the farewell, says who ended the connection.
"""

from enum import auto

from clerestory.statemachines.connection_deadlines import (
    BACKEND,
    BODY,
    EXCHANGE,
    HALF_CLOSE,
    HANDSHAKE,
    HEAD,
    KEEP_ALIVE,
    LINGER,
    SEND,
    TUNNEL,
)
from clerestory.statemachines.connection_model import Model
from clerestory.statemachines.contract import (
    Cause,
    HandsBack,
    Interest,
    Name,
    Row,
    Spec,
    Table,
    Unbounded,
    Way,
)

__all__ = ["BACKEND", "BODY", "EXCHANGE", "HALF_CLOSE", "HANDSHAKE", "HEAD", "KEEP_ALIVE", "LINGER", "SEND", "TUNNEL"]
__all__ += ["HANDS_BACK", "ROWS", "SPECS", "TABLE", "Model", "State", "Trigger"]


class State(Name):
    AWAITING_REQUEST = auto()
    HANDSHAKING = auto()
    READING_HEAD = auto()
    READING_BODY = auto()
    QUERYING_BACKEND = auto()
    PRODUCING = auto()
    HALF_CLOSED = auto()
    SENDING_RESPONSE = auto()
    EXCHANGING = auto()
    TUNNELLING = auto()
    LINGERING = auto()
    CLOSED = auto()


class Trigger(Name):
    TLS_EXPECTED = auto()
    """The connection was accepted by a listener that speaks TLS."""
    HANDSHAKE_ENDED = auto()
    """The TLS handshake is complete."""
    HANDSHAKE_FAILED = auto()
    """The TLS handshake failed: one of the two does not accept what the other offers."""
    PLAIN_HTTP_RECEIVED = auto()
    """The client speaks HTTP without TLS."""
    HTTP2_CHOSEN = auto()
    """The client speaks HTTP/2: that was negotiated in the TLS handshake, or its first bytes say so."""
    HEAD_STARTED = auto()
    """Part of a head has come."""
    HEAD_RECEIVED = auto()
    """A whole head has come, and the gate has admitted it."""
    HEAD_REFUSED = auto()
    """What came is not, or can no longer become, a head that we accept."""
    BODY_REQUESTED = auto()
    """The handler, or what it awaits, takes the next piece of the request's body."""
    CONTINUE_HELD_UP = auto()
    """The socket has not taken all of the 100 (Continue)."""
    BODY_RECEIVED = auto()
    """A piece of the body, or its end, is there."""
    BODY_REFUSED = auto()
    """The body is malformed, cut short, or longer than it may be."""
    BACKEND_ANSWERED = auto()
    """The operation that the handler awaited has ended, well or ill."""
    BACKEND_FAILED = auto()
    """What the handler awaited has broken off in the middle of the response."""
    OUTPUT_READY = auto()
    """Bytes of the response are there for the socket."""
    OUTPUT_FLUSHED = auto()
    """The socket has taken all the bytes that there were."""
    RESPONSE_BROKEN = auto()
    """The response has begun and cannot be ended as it was promised."""
    TUNNEL_ENDED = auto()
    """Both ends of the tunnel have sent their last, and all of it has been passed on."""
    TUNNEL_BROKEN = auto()
    """The other end of the tunnel is gone."""
    PEER_CLOSED = auto()
    """The peer has shut down its sending side."""
    PEER_RESET = auto()
    """The connection is gone: the peer reset it, or closed it altogether."""
    DEADLINE_PASSED = auto()
    LINGER_EXHAUSTED = auto()
    """The peer has sent more after our farewell than we are willing to discard."""
    DRAIN_STARTED = auto()
    """The process finishes what is in flight, and wants no new requests."""
    ROOM_WANTED = auto()
    """As many connections are open as there may be; of the idle ones, this has been so longest, and nothing has come
    on it."""
    CLOSE_ORDERED = auto()
    """An operator, or the end of the drain, wants this connection closed now."""


S, T = State, Trigger

SPECS = (
    Spec(S.AWAITING_REQUEST, Interest.READABLE, KEEP_ALIVE, "read_head", "no byte of the next request has arrived"),
    Spec(
        S.HANDSHAKING,
        Interest.READABLE | Interest.WRITABLE,
        HANDSHAKE,
        "shake_hands",
        "the TLS handshake is under way",
    ),
    Spec(S.READING_HEAD, Interest.READABLE, HEAD, "read_head", "part of a head has arrived"),
    Spec(S.READING_BODY, Interest.READABLE, BODY, "read_body", "the handler wants body bytes that have not arrived"),
    Spec(
        S.QUERYING_BACKEND,
        Interest.HALF_CLOSE,
        BACKEND,
        "notice_hang_up",
        "the handler runs or waits for an operation",
        awaits="the application",
    ),
    Spec(
        S.PRODUCING,
        Interest.HALF_CLOSE,
        BACKEND,
        "notice_hang_up",
        "the response has begun; its next piece is awaited",
        awaits="the application",
    ),
    Spec(
        S.HALF_CLOSED,
        Interest.HANG_UP,
        HALF_CLOSE,
        "notice_hang_up",
        "the client has shut down its sending side; an operation is still awaited",
        awaits="the application",
    ),
    Spec(S.SENDING_RESPONSE, Interest.WRITABLE, SEND, "write", "response bytes wait for the socket"),
    Spec(
        S.EXCHANGING,
        Interest.READABLE | Interest.WRITABLE,
        EXCHANGE,
        "send_and_read",
        "response bytes wait for the socket, and the request's body still comes",
        awaits="both sides",
    ),
    Spec(
        S.TUNNELLING,
        Interest.READABLE | Interest.WRITABLE,
        TUNNEL,
        "pass_on",
        "upgraded: bytes pass both ways",
        awaits="both sides",
    ),
    Spec(S.LINGERING, Interest.READABLE, LINGER, "discard", "our side is shut; the peer may still be sending"),
    Spec(S.CLOSED, Interest.NOTHING, Unbounded("it is final"), "", "the descriptor is given back, or on", final=True),
)

ROWS = (
    # --- waiting for a request
    Row(S.AWAITING_REQUEST, T.HEAD_RECEIVED, S.QUERYING_BACKEND, action="call_handler", way=Way.HAPPY),
    Row(S.AWAITING_REQUEST, T.HEAD_STARTED, S.READING_HEAD),
    Row(
        S.AWAITING_REQUEST,
        T.HEAD_REFUSED,
        S.SENDING_RESPONSE,
        action="refuse",
        way=Way.FAULT,
        ends=Cause.CLIENT,
    ),
    Row(S.AWAITING_REQUEST, T.PEER_CLOSED, S.CLOSED, ends=Cause.CLIENT),
    Row(S.AWAITING_REQUEST, T.PEER_RESET, S.CLOSED, ends=Cause.CLIENT),
    Row(S.AWAITING_REQUEST, T.DEADLINE_PASSED, S.LINGERING, action="half_close", ends=Cause.DEADLINE),
    Row(S.AWAITING_REQUEST, T.DRAIN_STARTED, S.LINGERING, action="half_close", ends=Cause.OPERATOR),
    Row(S.AWAITING_REQUEST, T.ROOM_WANTED, S.CLOSED, ends=Cause.SERVER),
    Row(S.AWAITING_REQUEST, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.OPERATOR),
    Row(S.AWAITING_REQUEST, T.TLS_EXPECTED, S.HANDSHAKING, action="begin_handshake"),
    Row(S.AWAITING_REQUEST, T.HTTP2_CHOSEN, S.CLOSED, ends=Cause.SERVER),
    # --- the TLS handshake is complete
    Row(S.HANDSHAKING, T.HANDSHAKE_ENDED, S.AWAITING_REQUEST, action="end_handshake"),
    Row(S.HANDSHAKING, T.HTTP2_CHOSEN, S.CLOSED, ends=Cause.SERVER),
    Row(S.HANDSHAKING, T.PLAIN_HTTP_RECEIVED, S.SENDING_RESPONSE, action="refuse", way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.HANDSHAKING, T.HANDSHAKE_FAILED, S.LINGERING, action="half_close", way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.HANDSHAKING, T.PEER_CLOSED, S.CLOSED, "has_sent_nothing", ends=Cause.CLIENT),
    Row(S.HANDSHAKING, T.PEER_CLOSED, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.HANDSHAKING, T.PEER_RESET, S.CLOSED, "has_sent_nothing", ends=Cause.CLIENT),
    Row(S.HANDSHAKING, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.HANDSHAKING, T.DEADLINE_PASSED, S.CLOSED, way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.HANDSHAKING, T.ROOM_WANTED, S.CLOSED, ends=Cause.SERVER),
    Row(S.HANDSHAKING, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the head comes in pieces
    Row(S.READING_HEAD, T.HEAD_RECEIVED, S.QUERYING_BACKEND, action="call_handler"),
    Row(S.READING_HEAD, T.HEAD_REFUSED, S.SENDING_RESPONSE, action="refuse", way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.READING_HEAD, T.PEER_CLOSED, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.READING_HEAD, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(
        S.READING_HEAD,
        T.DEADLINE_PASSED,
        S.SENDING_RESPONSE,
        action="refuse_late",
        way=Way.FAULT,
        ends=Cause.DEADLINE,
    ),
    Row(S.READING_HEAD, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    Row(S.READING_HEAD, T.HTTP2_CHOSEN, S.CLOSED, ends=Cause.SERVER),
    # --- the handler runs, or waits
    Row(S.QUERYING_BACKEND, T.OUTPUT_READY, S.SENDING_RESPONSE, action="queue_output", way=Way.HAPPY),
    Row(S.QUERYING_BACKEND, T.BACKEND_ANSWERED, S.QUERYING_BACKEND, action="resume_handler"),
    Row(S.QUERYING_BACKEND, T.BODY_REQUESTED, S.READING_BODY, action="take_body"),
    Row(S.QUERYING_BACKEND, T.PEER_CLOSED, S.HALF_CLOSED, "is_worth_answering"),
    Row(S.QUERYING_BACKEND, T.PEER_CLOSED, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.QUERYING_BACKEND, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(
        S.QUERYING_BACKEND,
        T.DEADLINE_PASSED,
        S.SENDING_RESPONSE,
        action="refuse_late",
        way=Way.FAULT,
        ends=Cause.DEADLINE,
    ),
    Row(S.QUERYING_BACKEND, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the response has begun
    Row(S.PRODUCING, T.OUTPUT_READY, S.SENDING_RESPONSE, action="queue_output"),
    Row(S.PRODUCING, T.BACKEND_ANSWERED, S.PRODUCING, action="resume_handler"),
    Row(S.PRODUCING, T.BODY_REQUESTED, S.READING_BODY, action="take_body"),
    Row(S.PRODUCING, T.RESPONSE_BROKEN, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.SERVER),
    Row(S.PRODUCING, T.BACKEND_FAILED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.PRODUCING, T.PEER_CLOSED, S.HALF_CLOSED, "is_worth_answering"),
    Row(S.PRODUCING, T.PEER_CLOSED, S.CLOSED, "", "cut", Way.FAULT, Cause.CLIENT),
    Row(S.PRODUCING, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.PRODUCING, T.DEADLINE_PASSED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.PRODUCING, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the client has shut its side
    Row(S.HALF_CLOSED, T.BACKEND_ANSWERED, S.PRODUCING, "has_begun_response", "resume_handler"),
    Row(S.HALF_CLOSED, T.BACKEND_ANSWERED, S.QUERYING_BACKEND, "", "resume_handler"),
    Row(S.HALF_CLOSED, T.BODY_REQUESTED, S.READING_BODY, action="take_body"),
    Row(S.HALF_CLOSED, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.HALF_CLOSED, T.DEADLINE_PASSED, S.CLOSED, "has_begun_response", "cut", Way.FAULT, Cause.CLIENT),
    Row(S.HALF_CLOSED, T.DEADLINE_PASSED, S.SENDING_RESPONSE, "", "refuse_late", Way.FAULT, Cause.CLIENT),
    Row(S.HALF_CLOSED, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the body comes
    Row(S.READING_BODY, T.BODY_RECEIVED, S.PRODUCING, "has_begun_response", "give_body"),
    Row(S.READING_BODY, T.BODY_RECEIVED, S.QUERYING_BACKEND, "", "give_body"),
    Row(S.READING_BODY, T.BACKEND_ANSWERED, S.PRODUCING, "has_begun_response", "resume_handler"),
    Row(S.READING_BODY, T.BACKEND_ANSWERED, S.QUERYING_BACKEND, "", "resume_handler"),
    Row(S.READING_BODY, T.CONTINUE_HELD_UP, S.SENDING_RESPONSE, action="queue_output"),
    Row(S.READING_BODY, T.BODY_REFUSED, S.CLOSED, "has_begun_response", "cut", Way.FAULT, Cause.CLIENT),
    Row(S.READING_BODY, T.BODY_REFUSED, S.SENDING_RESPONSE, "", "refuse", Way.FAULT, Cause.CLIENT),
    Row(S.READING_BODY, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.READING_BODY, T.DEADLINE_PASSED, S.CLOSED, "has_begun_response", "cut", Way.FAULT, Cause.DEADLINE),
    Row(S.READING_BODY, T.DEADLINE_PASSED, S.SENDING_RESPONSE, "", "refuse_late", Way.FAULT, Cause.DEADLINE),
    Row(S.READING_BODY, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the response goes out
    Row(S.SENDING_RESPONSE, T.OUTPUT_FLUSHED, S.PRODUCING, "has_more_output", "produce_output"),
    Row(S.SENDING_RESPONSE, T.OUTPUT_FLUSHED, S.AWAITING_REQUEST, "may_keep_alive", "renew", Way.HAPPY),
    Row(S.SENDING_RESPONSE, T.OUTPUT_FLUSHED, S.TUNNELLING, "has_switched", "begin_tunnel"),
    Row(S.SENDING_RESPONSE, T.OUTPUT_FLUSHED, S.READING_BODY, "awaits_body", "await_body"),
    Row(S.SENDING_RESPONSE, T.OUTPUT_FLUSHED, S.CLOSED, "peer_is_done", ends=Cause.CLIENT),
    Row(S.SENDING_RESPONSE, T.OUTPUT_FLUSHED, S.LINGERING, "", "half_close", ends=Cause.SERVER),
    Row(S.SENDING_RESPONSE, T.BODY_REQUESTED, S.EXCHANGING, "body_is_taken", "take_aside"),
    Row(S.SENDING_RESPONSE, T.BODY_REQUESTED, S.CLOSED, "", "cut", Way.FAULT, Cause.SERVER),
    Row(S.SENDING_RESPONSE, T.RESPONSE_BROKEN, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.SERVER),
    Row(S.SENDING_RESPONSE, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.SENDING_RESPONSE, T.DEADLINE_PASSED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.SENDING_RESPONSE, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the response goes out, and the request still comes
    Row(S.EXCHANGING, T.BODY_RECEIVED, S.SENDING_RESPONSE, action="give_aside"),
    Row(S.EXCHANGING, T.OUTPUT_FLUSHED, S.PRODUCING, "has_more_output", "produce_output"),
    Row(S.EXCHANGING, T.OUTPUT_FLUSHED, S.LINGERING, "", "half_close", ends=Cause.SERVER),
    Row(S.EXCHANGING, T.BODY_REFUSED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.EXCHANGING, T.RESPONSE_BROKEN, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.SERVER),
    Row(S.EXCHANGING, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.EXCHANGING, T.DEADLINE_PASSED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.EXCHANGING, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- upgraded
    Row(S.TUNNELLING, T.TUNNEL_ENDED, S.CLOSED, "peer_ended_first", ends=Cause.CLIENT),
    Row(S.TUNNELLING, T.TUNNEL_ENDED, S.CLOSED, "is_hosted", ends=Cause.SERVER),
    Row(S.TUNNELLING, T.TUNNEL_ENDED, S.CLOSED, ends=Cause.UPSTREAM),
    Row(S.TUNNELLING, T.TUNNEL_BROKEN, S.CLOSED, "is_hosted", "cut", ends=Cause.SERVER),
    Row(S.TUNNELLING, T.TUNNEL_BROKEN, S.CLOSED, "", "cut", Way.FAULT, Cause.UPSTREAM),
    Row(S.TUNNELLING, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.TUNNELLING, T.DEADLINE_PASSED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.TUNNELLING, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the farewell
    Row(S.LINGERING, T.PEER_CLOSED, S.CLOSED, ends=Cause.CLIENT),
    Row(S.LINGERING, T.PEER_RESET, S.CLOSED, ends=Cause.CLIENT),
    Row(S.LINGERING, T.LINGER_EXHAUSTED, S.CLOSED, ends=Cause.SERVER),
    Row(S.LINGERING, T.DEADLINE_PASSED, S.CLOSED, ends=Cause.DEADLINE),
    Row(S.LINGERING, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.OPERATOR),
)

_WRITTEN = (T.OUTPUT_FLUSHED, T.RESPONSE_BROKEN, T.PEER_RESET, T.BODY_REQUESTED)
_STEPPED = (T.OUTPUT_READY, T.BODY_REQUESTED, T.DEADLINE_PASSED)

HANDS_BACK: HandsBack = {
    "read_head": (T.HEAD_STARTED, T.HEAD_RECEIVED, T.HEAD_REFUSED, T.HTTP2_CHOSEN, T.PEER_CLOSED, T.PEER_RESET),
    (S.READING_HEAD, "read_head"): (T.HEAD_RECEIVED, T.HEAD_REFUSED, T.HTTP2_CHOSEN, T.PEER_CLOSED, T.PEER_RESET),
    "shake_hands": (
        T.HANDSHAKE_ENDED,
        T.HTTP2_CHOSEN,
        T.HANDSHAKE_FAILED,
        T.PLAIN_HTTP_RECEIVED,
        T.PEER_CLOSED,
        T.PEER_RESET,
    ),
    "read_body": (T.BODY_RECEIVED, T.BODY_REFUSED, T.PEER_RESET),
    "notice_hang_up": (T.PEER_CLOSED, T.PEER_RESET),
    (S.HALF_CLOSED, "notice_hang_up"): (T.PEER_RESET,),
    "write": _WRITTEN,
    "send_and_read": (T.OUTPUT_FLUSHED, T.BODY_RECEIVED, T.BODY_REFUSED, T.RESPONSE_BROKEN, T.PEER_RESET),
    "pass_on": (T.TUNNEL_ENDED, T.PEER_RESET),
    "discard": (T.PEER_CLOSED, T.PEER_RESET, T.LINGER_EXHAUSTED),
    "call_handler": (T.OUTPUT_READY, T.BODY_REQUESTED),
    "resume_handler": _STEPPED,
    (S.PRODUCING, "resume_handler"): (*_STEPPED, T.RESPONSE_BROKEN, T.BACKEND_FAILED),
    "give_body": (T.OUTPUT_READY, T.BODY_REQUESTED, T.BACKEND_ANSWERED),
    (S.PRODUCING, "give_body"): (
        T.OUTPUT_READY,
        T.BODY_REQUESTED,
        T.BACKEND_ANSWERED,
        T.RESPONSE_BROKEN,
        T.BACKEND_FAILED,
    ),
    "give_aside": (T.BODY_REQUESTED,),
    "take_body": (T.BODY_RECEIVED, T.BODY_REFUSED, T.CONTINUE_HELD_UP, T.PEER_RESET),
    "take_aside": (T.BODY_RECEIVED, T.BODY_REFUSED),
    "await_body": (T.BACKEND_ANSWERED,),
    "queue_output": _WRITTEN,
    "produce_output": (T.OUTPUT_READY, T.BODY_REQUESTED, T.RESPONSE_BROKEN, T.BACKEND_FAILED, T.DEADLINE_PASSED),
    "refuse": (T.OUTPUT_FLUSHED, T.RESPONSE_BROKEN, T.PEER_RESET),
    "refuse_late": (T.OUTPUT_FLUSHED, T.RESPONSE_BROKEN, T.PEER_RESET),
    "begin_tunnel": (T.TUNNEL_ENDED, T.TUNNEL_BROKEN, T.PEER_RESET),
    "half_close": (T.PEER_RESET,),
}

TABLE = Table(
    name="connection",
    states=State,
    triggers=Trigger,
    initial=S.AWAITING_REQUEST,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.PEER_CLOSED, T.PEER_RESET}),
    hands_back=HANDS_BACK,
)
