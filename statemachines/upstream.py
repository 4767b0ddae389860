"""The machine of a connection to an upstream: we are the HTTP/1.1 client, and ask for somebody who waits.

    CONNECTING -> SENDING_REQUEST -> AWAITING_RESPONSE -> IDLE -> SENDING_REQUEST -> ...

is a new connection, a request that the socket takes at once, an answer that comes in one segment, and the next request
on the same connection; over TLS it is HANDSHAKING in between. Who asks is a handler, for which this machine is the
*operation* that it awaits.

What the table settles:

- *One connection, one address, one attempt.* When it fails to connect, the machine ends; the next address is another
  machine's.
- *Nothing is asked before the upstream has shown who it is*: over TLS the request goes out behind HANDSHAKING, which
  ends well only with a certificate that was verified, for this host.
- *Backpressure, both ways.* A request's body is asked for piece by piece (AWAITING_PIECE) and only when the socket has
  taken the piece before; an answer's body is read (READING_BODY) while there is room for it, as fast as the upstream
  sends, so that a slow reader occupies a buffer and not a connection. Where the buffer is full, the rest is left in the
  kernel's buffer (HOLDING_BODY), and the upstream feels it.
- *Early answers.* A request is sent and its answer is read at the same time. Three states wait for two things, and
  have to: an upstream may answer whenever it likes, and may read no more until its answer has been read.
  SENDING_REQUEST (the socket, or an answer), AWAITING_PIECE (the caller's next piece, or an answer), and EXCHANGING:
  the answer has begun and the request has not ended, so that both go on. Of what EXCHANGING may wait for, it asks the
  poller for what it has a use for: writable while request bytes wait, readable while there is room for the answer.
- *An answer that makes the rest of its request pointless* (an error or a redirect) stops the sending, and so does the
  end of any answer. The rest of the request is not sent, and the connection is closed.
- *A request is sent on a quiet connection.* Directly before its first byte the connection is looked at. What has come
  by then is no answer to it: the connection is closed, and the pool gives the request to another one.
- *Pooled only after a complete, exact exchange*: the request sent to its end, the answer read to its end, and not a
  byte beyond it. A byte that comes while the connection is IDLE was not asked for: were it kept, it would be taken for
  the answer to the next request (response-queue poisoning).
- *The caller may leave at any moment*: the connection is cut, since what is still to come on it is nobody's. By a
  reset, for a close is a half-close to the upstream: it would go on working for nobody.
- *An upgrade that was asked for*: with its 101 the connection is TUNNELLING, the far end of a tunnel
  (handlers.proxy.tunnel), and waits for two things at once, as the client's does. It is used for nothing else any
  more. While both ends are there the client's keeps the deadline for both.
- *A connection that is wanted is not held by who does not need it.* While others wait for one, a client that hands its
  request over (AWAITING_PIECE) or takes its answer (HOLDING_BODY) must do so at a minimum rate.
- Every row into CLOSED says who ended the connection.
"""

from enum import auto

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
from clerestory.statemachines.upstream_model import Model


class State(Name):
    CONNECTING = auto()
    HANDSHAKING = auto()
    SENDING_REQUEST = auto()
    AWAITING_CONTINUE = auto()
    AWAITING_PIECE = auto()
    AWAITING_RESPONSE = auto()
    EXCHANGING = auto()
    TUNNELLING = auto()
    HOLDING_BODY = auto()
    READING_BODY = auto()
    IDLE = auto()
    CLOSED = auto()


class Trigger(Name):
    CONNECTED = auto()
    """The kernel has shaken hands with the upstream."""
    CONNECT_FAILED = auto()
    """Nobody listens at this address, or there is no way to it."""
    HANDSHAKE_ENDED = auto()
    """The TLS handshake is complete, and the upstream's certificate is verified."""
    HANDSHAKE_FAILED = auto()
    """The certificate is not accepted, or there is no TLS that both speak."""
    REQUEST_GIVEN = auto()
    """Somebody wants a request to be sent."""
    OUTPUT_FLUSHED = auto()
    """The socket has taken all the bytes that there were."""
    CONTINUE_RECEIVED = auto()
    """100: the upstream wants the request's body."""
    PIECE_GIVEN = auto()
    """The caller has handed over the next piece of the request's body, or its end."""
    SENDING_FAILED = auto()
    """The upstream takes no more of the request; what it has answered can still be read."""
    HEAD_RECEIVED = auto()
    """A whole head of a final answer has come, and the gate has admitted it; its body goes on."""
    PIECE_REQUESTED = auto()
    """The caller has taken a piece of the answer's body: there is room for more."""
    PIECE_RECEIVED = auto()
    """A piece of the answer's body has come."""
    ANSWER_ENDED = auto()
    """The answer has come to its end."""
    ANSWER_REFUSED = auto()
    """What came is no answer that we accept."""
    UPGRADED = auto()
    """101: the upstream speaks the protocol that was asked for from here on."""
    TUNNEL_ENDED = auto()
    """Both ends of the tunnel have sent their last, and all of it has been passed on."""
    UNEXPECTED_BYTES_RECEIVED = auto()
    """Something came that answers no request."""
    CONNECTION_STALE = auto()
    """Before the first byte of a request was sent, something had come on a connection that was used before: bytes, or
    its end."""
    UPSTREAM_CLOSED = auto()
    """The upstream has shut down its sending side, and left something unsaid."""
    UPSTREAM_RESET = auto()
    """The connection is gone."""
    CALLER_LEFT = auto()
    """The caller does not want the answer any more."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """An operator, or the end of the process, wants this connection closed now."""


S, T = State, Trigger

CONNECT = Deadline(
    "connect", "upstream_connect_timeout", 5.0, "for one address to accept; enough for a few lost packets"
)
HANDSHAKE = Deadline("handshake", "upstream_handshake_timeout", 10.0, "for the TLS handshake; it is a few round trips")
SEND = Deadline(
    "send",
    "upstream_send_timeout",
    30.0,
    "without the upstream taking a byte of the request",
    min_rate=240,
    rate_why="an upstream must take a request at, after the grace; as we ask of our own clients",
    grace=5.0,
    grace_why="waiting for the socket before its rate counts",
)
CONTINUE = Deadline(
    "continue",
    "upstream_continue_timeout",
    1.0,
    "for 100 (Continue) before the body is sent anyway (RFC 9110 section 10.1.1: a client does not wait indefinitely)",
)
PIECE = Deadline(
    "piece",
    "upstream_piece_timeout",
    60.0,
    "for the caller to provide the next piece of the request body; longer than our own client may take for one",
    min_rate=8 * 1024,
    rate_why="a request must move at while others wait for its connection, after the grace; a slow line has more",
    grace=5.0,
    grace_why="waiting for pieces of a request before its rate counts",
)
RESPONSE = Deadline(
    "response",
    "upstream_response_timeout",
    25.0,
    "for the head of an answer; shorter than a handler's time, so that the error names the upstream",
)
EXCHANGE = Deadline(
    "exchange",
    "upstream_exchange_timeout",
    300.0,
    "without a byte either way while an answer comes before its request has ended; as for taking one",
    idle=True,
)
TAKE = Deadline(
    "take",
    "upstream_take_timeout",
    300.0,
    "for the client to consume a piece of the response; what 64 KiB take at the minimum client rate",
    min_rate=8 * 1024,
    rate_why="an answer must be taken at while others wait for its connection, after the grace; a slow line has more",
    grace=5.0,
    grace_why="waiting for pieces of an answer to be taken before its rate counts",
)
BODY = Deadline(
    "body",
    "upstream_body_timeout",
    25.0,
    "for the next piece of the response body; without a minimum rate: an event stream may be slow",
)
TUNNEL = Deadline(
    "tunnel",
    "upstream_tunnel_timeout",
    30.0,
    "for the client to receive the upgrade; then its own tunnel's deadline counts for both",
)
IDLE = Deadline(
    "idle", "upstream_idle_timeout", 10.0, "in the pool; shorter than most servers keep a connection themselves"
)

SPECS = (
    Spec(S.CONNECTING, Interest.WRITABLE, CONNECT, "finish_connect", "the upstream has not accepted yet"),
    Spec(S.HANDSHAKING, Interest.READABLE, HANDSHAKE, "shake_hands", "the TLS handshake is in progress"),
    Spec(
        S.SENDING_REQUEST,
        Interest.READABLE | Interest.WRITABLE,
        SEND,
        "write",
        "request bytes wait for the socket; an early answer is looked at",
    ),
    Spec(
        S.AWAITING_CONTINUE,
        Interest.READABLE,
        CONTINUE,
        "read_continue",
        "the head is sent; the upstream may refuse the body before it is",
    ),
    Spec(
        S.AWAITING_PIECE,
        Interest.READABLE,
        PIECE,
        "read_early",
        "the next piece of the request body has not been provided; a response may arrive before it",
    ),
    Spec(
        S.AWAITING_RESPONSE,
        Interest.READABLE,
        RESPONSE,
        "read_head",
        "the request is sent; no complete head has arrived",
    ),
    Spec(
        S.EXCHANGING,
        Interest.READABLE | Interest.WRITABLE,
        EXCHANGE,
        "exchange",
        "the response has begun before the request has ended: both continue",
    ),
    Spec(
        S.TUNNELLING,
        Interest.READABLE | Interest.WRITABLE,
        TUNNEL,
        "pass_on",
        "upgraded: bytes pass both ways",
        awaits="both sides",
    ),
    Spec(
        S.HOLDING_BODY,
        Interest.HANG_UP,
        TAKE,
        "notice_hang_up",
        "the buffer for the response body is full",
        awaits="room in the buffer",
    ),
    Spec(S.READING_BODY, Interest.READABLE, BODY, "read_body", "more of the response body is to arrive"),
    Spec(S.IDLE, Interest.READABLE, IDLE, "notice_end", "in the pool; nothing has been asked"),
    Spec(S.CLOSED, Interest.NOTHING, Unbounded("it is final"), "", "the descriptor is given back", final=True),
)

ROWS = (
    # --- reaching the upstream
    Row(S.CONNECTING, T.CONNECTED, S.HANDSHAKING, "is_secret", "begin_handshake"),
    Row(S.CONNECTING, T.CONNECTED, S.SENDING_REQUEST, "", "send_request", Way.HAPPY),
    Row(S.CONNECTING, T.CONNECT_FAILED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.CONNECTING, T.DEADLINE_PASSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.CONNECTING, T.CALLER_LEFT, S.CLOSED, ends=Cause.CLIENT),
    Row(S.CONNECTING, T.CLOSE_ORDERED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the TLS handshake is complete
    Row(S.HANDSHAKING, T.HANDSHAKE_ENDED, S.SENDING_REQUEST, action="send_request"),
    Row(S.HANDSHAKING, T.HANDSHAKE_FAILED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.HANDSHAKING, T.UPSTREAM_CLOSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.HANDSHAKING, T.UPSTREAM_RESET, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.HANDSHAKING, T.DEADLINE_PASSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.HANDSHAKING, T.CALLER_LEFT, S.CLOSED, action="cut", ends=Cause.CLIENT),
    Row(S.HANDSHAKING, T.CLOSE_ORDERED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the request goes out
    Row(S.SENDING_REQUEST, T.OUTPUT_FLUSHED, S.AWAITING_CONTINUE, "awaits_continue"),
    Row(S.SENDING_REQUEST, T.OUTPUT_FLUSHED, S.AWAITING_PIECE, "has_more_request", "ask_for_piece"),
    Row(S.SENDING_REQUEST, T.OUTPUT_FLUSHED, S.AWAITING_RESPONSE, "", "look_at_input", Way.HAPPY),
    Row(S.SENDING_REQUEST, T.HEAD_RECEIVED, S.EXCHANGING, "goes_on_sending", "deliver_early"),
    Row(S.SENDING_REQUEST, T.HEAD_RECEIVED, S.READING_BODY, "", "stop_sending"),
    Row(S.SENDING_REQUEST, T.ANSWER_ENDED, S.CLOSED, action="deliver_end", ends=Cause.UPSTREAM),
    Row(S.SENDING_REQUEST, T.CONNECTION_STALE, S.CLOSED, action="hand_back", ends=Cause.UPSTREAM),
    Row(S.SENDING_REQUEST, T.ANSWER_REFUSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.SENDING_REQUEST, T.UPSTREAM_CLOSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.SENDING_REQUEST, T.UPSTREAM_RESET, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.SENDING_REQUEST, T.DEADLINE_PASSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.SENDING_REQUEST, T.CALLER_LEFT, S.CLOSED, action="cut", ends=Cause.CLIENT),
    Row(S.SENDING_REQUEST, T.CLOSE_ORDERED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- its body is expected, or not
    Row(S.AWAITING_CONTINUE, T.CONTINUE_RECEIVED, S.AWAITING_PIECE, action="ask_for_piece", way=Way.HAPPY),
    Row(S.AWAITING_CONTINUE, T.DEADLINE_PASSED, S.AWAITING_PIECE, action="ask_for_piece"),
    Row(S.AWAITING_CONTINUE, T.HEAD_RECEIVED, S.READING_BODY, action="stop_sending"),
    Row(S.AWAITING_CONTINUE, T.ANSWER_ENDED, S.CLOSED, action="deliver_end", ends=Cause.UPSTREAM),
    Row(S.AWAITING_CONTINUE, T.ANSWER_REFUSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_CONTINUE, T.UPSTREAM_CLOSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_CONTINUE, T.UPSTREAM_RESET, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_CONTINUE, T.CALLER_LEFT, S.CLOSED, action="cut", ends=Cause.CLIENT),
    Row(S.AWAITING_CONTINUE, T.CLOSE_ORDERED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- its body is handed over piece by piece
    Row(S.AWAITING_PIECE, T.PIECE_GIVEN, S.SENDING_REQUEST, action="send_piece", way=Way.HAPPY),
    Row(S.AWAITING_PIECE, T.HEAD_RECEIVED, S.EXCHANGING, "goes_on_sending", "deliver_early"),
    Row(S.AWAITING_PIECE, T.HEAD_RECEIVED, S.READING_BODY, "", "stop_sending"),
    Row(S.AWAITING_PIECE, T.ANSWER_ENDED, S.CLOSED, action="deliver_end", ends=Cause.UPSTREAM),
    Row(S.AWAITING_PIECE, T.ANSWER_REFUSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_PIECE, T.UPSTREAM_CLOSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_PIECE, T.UPSTREAM_RESET, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_PIECE, T.DEADLINE_PASSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.AWAITING_PIECE, T.CALLER_LEFT, S.CLOSED, action="cut", ends=Cause.CLIENT),
    Row(S.AWAITING_PIECE, T.CLOSE_ORDERED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the upstream thinks
    Row(S.AWAITING_RESPONSE, T.ANSWER_ENDED, S.IDLE, "may_be_pooled", "return_to_pool", Way.HAPPY),
    Row(S.AWAITING_RESPONSE, T.ANSWER_ENDED, S.CLOSED, "", "deliver_end", ends=Cause.UPSTREAM),
    Row(S.AWAITING_RESPONSE, T.HEAD_RECEIVED, S.HOLDING_BODY, "is_full", "deliver_head"),
    Row(S.AWAITING_RESPONSE, T.HEAD_RECEIVED, S.READING_BODY, "", "deliver_head"),
    Row(S.AWAITING_RESPONSE, T.UPGRADED, S.TUNNELLING, action="deliver_tunnel"),
    Row(S.AWAITING_RESPONSE, T.ANSWER_REFUSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_RESPONSE, T.UPSTREAM_CLOSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_RESPONSE, T.UPSTREAM_RESET, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_RESPONSE, T.DEADLINE_PASSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.AWAITING_RESPONSE, T.CALLER_LEFT, S.CLOSED, action="cut", ends=Cause.CLIENT),
    Row(S.AWAITING_RESPONSE, T.CLOSE_ORDERED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the answer has begun, the request has not ended
    Row(S.EXCHANGING, T.OUTPUT_FLUSHED, S.EXCHANGING, "has_more_request", "ask_beside"),
    Row(S.EXCHANGING, T.OUTPUT_FLUSHED, S.READING_BODY, "", "read_on", Way.HAPPY),
    Row(S.EXCHANGING, T.PIECE_GIVEN, S.EXCHANGING, action="send_beside"),
    Row(S.EXCHANGING, T.PIECE_REQUESTED, S.EXCHANGING, action="make_room"),
    Row(S.EXCHANGING, T.PIECE_RECEIVED, S.EXCHANGING, action="deliver_beside"),
    Row(S.EXCHANGING, T.SENDING_FAILED, S.READING_BODY, action="read_on"),
    Row(S.EXCHANGING, T.ANSWER_ENDED, S.CLOSED, action="deliver_end", ends=Cause.UPSTREAM),
    Row(S.EXCHANGING, T.ANSWER_REFUSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.EXCHANGING, T.UPSTREAM_CLOSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.EXCHANGING, T.UPSTREAM_RESET, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.EXCHANGING, T.DEADLINE_PASSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.EXCHANGING, T.CALLER_LEFT, S.CLOSED, action="cut", ends=Cause.CLIENT),
    Row(S.EXCHANGING, T.CLOSE_ORDERED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- upgraded
    Row(S.TUNNELLING, T.TUNNEL_ENDED, S.CLOSED, "caller_ended_first", ends=Cause.CLIENT),
    Row(S.TUNNELLING, T.TUNNEL_ENDED, S.CLOSED, ends=Cause.UPSTREAM),
    Row(S.TUNNELLING, T.UPSTREAM_RESET, S.CLOSED, action="break_tunnel", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.TUNNELLING, T.DEADLINE_PASSED, S.CLOSED, action="break_tunnel", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.TUNNELLING, T.CALLER_LEFT, S.CLOSED, action="cut", ends=Cause.CLIENT),
    Row(S.TUNNELLING, T.CLOSE_ORDERED, S.CLOSED, action="break_tunnel", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the answer's body waits for its reader
    Row(S.HOLDING_BODY, T.PIECE_REQUESTED, S.READING_BODY, way=Way.HAPPY),
    Row(S.HOLDING_BODY, T.UPSTREAM_RESET, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.HOLDING_BODY, T.DEADLINE_PASSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.HOLDING_BODY, T.CALLER_LEFT, S.CLOSED, action="cut", ends=Cause.CLIENT),
    Row(S.HOLDING_BODY, T.CLOSE_ORDERED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the answer's body comes
    Row(S.READING_BODY, T.PIECE_RECEIVED, S.HOLDING_BODY, "is_full", "deliver_piece"),
    Row(S.READING_BODY, T.PIECE_RECEIVED, S.READING_BODY, "", "deliver_piece", Way.HAPPY),
    Row(S.READING_BODY, T.ANSWER_ENDED, S.IDLE, "may_be_pooled", "return_to_pool", Way.HAPPY),
    Row(S.READING_BODY, T.ANSWER_ENDED, S.CLOSED, "", "deliver_end", ends=Cause.UPSTREAM),
    Row(S.READING_BODY, T.ANSWER_REFUSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.READING_BODY, T.UPSTREAM_CLOSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.READING_BODY, T.UPSTREAM_RESET, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.READING_BODY, T.DEADLINE_PASSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.READING_BODY, T.CALLER_LEFT, S.CLOSED, action="cut", ends=Cause.CLIENT),
    Row(S.READING_BODY, T.CLOSE_ORDERED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- in the pool
    Row(S.IDLE, T.REQUEST_GIVEN, S.SENDING_REQUEST, action="send_request", way=Way.HAPPY),
    Row(S.IDLE, T.UNEXPECTED_BYTES_RECEIVED, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.IDLE, T.UPSTREAM_CLOSED, S.CLOSED, ends=Cause.UPSTREAM),
    Row(S.IDLE, T.UPSTREAM_RESET, S.CLOSED, ends=Cause.UPSTREAM),
    Row(S.IDLE, T.DEADLINE_PASSED, S.CLOSED, ends=Cause.DEADLINE),
    Row(S.IDLE, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.OPERATOR),
)

_ENDS = (T.ANSWER_REFUSED, T.UPSTREAM_CLOSED, T.UPSTREAM_RESET)
_EARLY = (T.HEAD_RECEIVED, T.ANSWER_ENDED, *_ENDS)

HANDS_BACK: HandsBack = {
    "finish_connect": (T.CONNECTED, T.CONNECT_FAILED),
    "shake_hands": (T.HANDSHAKE_ENDED, T.HANDSHAKE_FAILED, T.UPSTREAM_CLOSED, T.UPSTREAM_RESET),
    "begin_handshake": (T.UPSTREAM_RESET,),
    "write": (T.OUTPUT_FLUSHED, T.CONNECTION_STALE, *_EARLY),
    "send_piece": (T.OUTPUT_FLUSHED, *_EARLY),
    "read_early": _EARLY,
    "read_continue": (T.CONTINUE_RECEIVED, *_EARLY),
    "read_head": (T.UPGRADED, *_EARLY),
    "look_at_input": (T.UPGRADED, T.HEAD_RECEIVED, T.ANSWER_ENDED, T.ANSWER_REFUSED, T.UPSTREAM_CLOSED),
    "exchange": (T.PIECE_RECEIVED, T.ANSWER_ENDED, T.OUTPUT_FLUSHED, T.SENDING_FAILED, *_ENDS),
    "send_beside": (T.OUTPUT_FLUSHED, T.SENDING_FAILED),
    "read_body": (T.PIECE_RECEIVED, T.ANSWER_ENDED, *_ENDS),
    "notice_hang_up": (T.UPSTREAM_RESET,),
    "notice_end": (T.UPSTREAM_CLOSED, T.UPSTREAM_RESET, T.UNEXPECTED_BYTES_RECEIVED),
    "pass_on": (T.TUNNEL_ENDED, T.UPSTREAM_RESET),
    "return_to_pool": (T.REQUEST_GIVEN,),
}

TABLE = Table(
    name="upstream",
    states=State,
    triggers=Trigger,
    initial=S.CONNECTING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.CONNECT_FAILED, T.UPSTREAM_CLOSED, T.UPSTREAM_RESET}),
    hands_back=HANDS_BACK,
)

__all__ = ["TABLE", "Model", "State", "Trigger"]
