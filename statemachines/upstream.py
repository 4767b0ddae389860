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
  taken the piece before; an answer's body is read (READING_BODY) only when its reader wants a piece, else it is left
  in the kernel's buffer (HOLDING_BODY), where the upstream feels it.
- *Early answers.* While a request is being sent its answer is looked at. One that ends the matter (an error, a
  redirect, or a close) stops the sending: such a connection is never used again.
- *Pooled only after a complete, exact exchange*: the request sent to its end, the answer read to its end, and not a
  byte beyond it. A byte that comes while the connection is IDLE was not asked for: were it kept, it would be taken for
  the answer to the next request (response-queue poisoning).
- *Whoever asked may leave at any moment*: the connection is cut, since what is still to come on it is nobody's. By a
  reset, for a close is a half-close to the upstream: it would go on working for nobody.
- *An upgrade that was asked for*: with its 101 the connection is TUNNELLING, the far end of a tunnel (handlers.tunnel),
  and waits for two things at once, as the client's does. It is used for nothing else any more. While both ends are
  there the client's keeps the deadline for both.
- Every row into CLOSED says who ended the connection.
"""

from enum import auto
from typing import Protocol

from statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    CONNECTING = auto()
    HANDSHAKING = auto()
    SENDING_REQUEST = auto()
    AWAITING_CONTINUE = auto()
    AWAITING_PIECE = auto()
    AWAITING_RESPONSE = auto()
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
    """TLS is agreed upon, and the upstream's certificate is verified."""
    HANDSHAKE_FAILED = auto()
    """The certificate is not accepted, or there is no TLS that both speak."""
    REQUEST_GIVEN = auto()
    """Somebody wants a request to be sent."""
    OUTPUT_FLUSHED = auto()
    """The socket has taken all the bytes that there were."""
    CONTINUE_RECEIVED = auto()
    """100: the upstream wants the request's body."""
    PIECE_GIVEN = auto()
    """Whoever asks has handed over the next piece of the request's body, or its end."""
    HEAD_RECEIVED = auto()
    """A whole head of a final answer has come, and the gate has admitted it; its body goes on."""
    PIECE_WANTED = auto()
    """Whoever asked wants the next piece of the answer's body."""
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
    BYTES_UNASKED = auto()
    """Something came that answers no request."""
    UPSTREAM_CLOSED = auto()
    """The upstream has shut down its sending side, and left something unsaid."""
    UPSTREAM_RESET = auto()
    """The connection is gone."""
    ASKER_LEFT = auto()
    """Whoever asked does not want the answer any more."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """An operator, or the end of the process, wants this connection closed now."""


class Model(Protocol):
    """What the shell of an upstream's connection does. An action that tells whoever asked does so as its last step."""

    def finish_connect(self, ready: int) -> Name | None:
        """CONNECTED or CONNECT_FAILED, by what the kernel says of the attempt."""

    def shake_hands(self, ready: int) -> Name | None:
        """Read once and answer; HANDSHAKE_ENDED, HANDSHAKE_FAILED, UPSTREAM_CLOSED or UPSTREAM_RESET."""

    def write(self, ready: int) -> Name | None:
        """Look for an early answer, then write what the socket takes; as send_request."""

    def look_behind(self, ready: int) -> Name | None:
        """When the connection is gone: ANSWER_ENDED when a whole answer came before that, else UPSTREAM_RESET."""

    def notice_hang_up(self, ready: int) -> Name | None:
        """UPSTREAM_RESET when the connection is gone. Nothing is read."""

    def read_continue(self, ready: int) -> Name | None:
        """Read once; CONTINUE_RECEIVED, or as read_head."""

    def read_head(self, ready: int) -> Name | None:
        """Read once; HEAD_RECEIVED, UPGRADED, ANSWER_ENDED, ANSWER_REFUSED, UPSTREAM_CLOSED or UPSTREAM_RESET."""

    def read_body(self, ready: int) -> Name | None:
        """Read once; PIECE_RECEIVED, ANSWER_ENDED, ANSWER_REFUSED, UPSTREAM_CLOSED or UPSTREAM_RESET."""

    def pass_on(self, ready: int) -> Name | None:
        """Pass bytes on, a bounded read and a write; TUNNEL_ENDED or UPSTREAM_RESET."""

    def notice_end(self, ready: int) -> Name | None:
        """While idle; UPSTREAM_CLOSED, UPSTREAM_RESET or BYTES_UNASKED."""

    def is_secret(self) -> bool:
        """Whether TLS is spoken with this upstream."""

    def may_be_pooled(self) -> bool:
        """Whether the exchange was complete and exact, and the upstream keeps the connection."""

    def asker_ended_first(self) -> bool:
        """Whether of the tunnel's two ends it was the other that sent its last first."""

    def awaits_continue(self) -> bool:
        """Whether the request's head asks the upstream for 100 before its body is sent, and none has come yet."""

    def has_more_request(self) -> bool:
        """Whether the request's body has further pieces."""

    def begin_handshake(self) -> Name | None:
        """Send TLS's first message; as shake_hands."""

    def send_request(self) -> Name | None:
        """Begin the exchange. The request goes out at the turn's end, with what others send."""

    def send_piece(self) -> Name | None:
        """Write the piece that was handed over; as send_request."""

    def ask_for_piece(self) -> Name | None:
        """Tell whoever asks that the next piece of the request's body can be sent."""

    def look_at_input(self) -> Name | None:
        """The request is sent; look at what came of its answer meanwhile, as read_head."""

    def deliver_head(self) -> Name | None:
        """Tell whoever asked that the answer has begun."""

    def deliver_tunnel(self) -> Name | None:
        """Tell whoever asked that there is a tunnel, and give the slot in the pool back."""

    def deliver_piece(self) -> Name | None:
        """Hand over the piece that came."""

    def deliver_end(self) -> Name | None:
        """Tell whoever asked that the answer is complete; the connection is not used again."""

    def return_to_pool(self) -> Name | None:
        """The same, and take the next request: REQUEST_GIVEN when one waits for a connection."""

    def cut(self) -> Name | None:
        """Make the close a reset."""

    def break_tunnel(self) -> Name | None:
        """Break the other end off, too."""

    def give_up(self) -> Name | None:
        """Tell whoever asked why there will be no answer, or no more of it; cut the connection."""


S, T = State, Trigger

CONNECT = Deadline("connect", "upstream_connect_timeout", 5.0, "for one address to accept; a few lost packets")
HANDSHAKE = Deadline(
    "handshake", "upstream_handshake_timeout", 10.0, "for TLS to be agreed upon; a handshake is a few round trips"
)
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
    "for 100 before the body is sent all the same (RFC 9110 section 10.1.1: a client waits for no indefinite time)",
)
PIECE = Deadline(
    "piece",
    "upstream_piece_timeout",
    60.0,
    "for whoever asks to hand over the next piece of its body; longer than our own client may take for one",
)
RESPONSE = Deadline(
    "response",
    "upstream_response_timeout",
    25.0,
    "for the head of an answer; shorter than a handler's time, so that the error names the upstream",
)
TAKE = Deadline(
    "take",
    "upstream_take_timeout",
    300.0,
    "for a piece of the answer to be taken; what 64 KiB need at the least rate we allow our own client",
)
BODY = Deadline(
    "body",
    "upstream_body_timeout",
    25.0,
    "for the next piece of the answer's body; no rate besides: an event stream is lawfully slow",
)
TUNNEL = Deadline(
    "tunnel",
    "upstream_tunnel_timeout",
    30.0,
    "for the client to be told of an upgrade; then its own tunnel's deadline counts for both",
)
IDLE = Deadline(
    "idle", "upstream_idle_timeout", 10.0, "in the pool; shorter than most servers keep a connection themselves"
)

SPECS = (
    Spec(S.CONNECTING, Interest.WRITABLE, CONNECT, "finish_connect", "the upstream has not accepted yet"),
    Spec(S.HANDSHAKING, Interest.READABLE, HANDSHAKE, "shake_hands", "TLS is being agreed upon"),
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
        Interest.HANG_UP,
        PIECE,
        "look_behind",
        "the next piece of the request's body has not been handed over",
    ),
    Spec(S.AWAITING_RESPONSE, Interest.READABLE, RESPONSE, "read_head", "the request is sent; no whole head has come"),
    Spec(S.TUNNELLING, Interest.READABLE | Interest.WRITABLE, TUNNEL, "pass_on", "upgraded: bytes pass both ways"),
    Spec(S.HOLDING_BODY, Interest.HANG_UP, TAKE, "notice_hang_up", "nobody wants more of the answer's body just now"),
    Spec(S.READING_BODY, Interest.READABLE, BODY, "read_body", "body is wanted that has not come"),
    Spec(S.IDLE, Interest.READABLE, IDLE, "notice_end", "in the pool; nothing has been asked"),
    Spec(S.CLOSED, Interest.NOTHING, Unbounded("it is final"), "", "the descriptor is given back", final=True),
)

ROWS = (
    # --- reaching the upstream
    Row(S.CONNECTING, T.CONNECTED, S.HANDSHAKING, "is_secret", "begin_handshake"),
    Row(S.CONNECTING, T.CONNECTED, S.SENDING_REQUEST, "", "send_request", Way.HAPPY),
    Row(S.CONNECTING, T.CONNECT_FAILED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.CONNECTING, T.DEADLINE_PASSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.CONNECTING, T.ASKER_LEFT, S.CLOSED, ends=Cause.CLIENT),
    Row(S.CONNECTING, T.CLOSE_ORDERED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- TLS is agreed upon
    Row(S.HANDSHAKING, T.HANDSHAKE_ENDED, S.SENDING_REQUEST, action="send_request"),
    Row(S.HANDSHAKING, T.HANDSHAKE_FAILED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.HANDSHAKING, T.UPSTREAM_CLOSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.HANDSHAKING, T.UPSTREAM_RESET, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.HANDSHAKING, T.DEADLINE_PASSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.HANDSHAKING, T.ASKER_LEFT, S.CLOSED, action="cut", ends=Cause.CLIENT),
    Row(S.HANDSHAKING, T.CLOSE_ORDERED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the request goes out
    Row(S.SENDING_REQUEST, T.OUTPUT_FLUSHED, S.AWAITING_CONTINUE, "awaits_continue"),
    Row(S.SENDING_REQUEST, T.OUTPUT_FLUSHED, S.AWAITING_PIECE, "has_more_request", "ask_for_piece"),
    Row(S.SENDING_REQUEST, T.OUTPUT_FLUSHED, S.AWAITING_RESPONSE, "", "look_at_input", Way.HAPPY),
    Row(S.SENDING_REQUEST, T.HEAD_RECEIVED, S.HOLDING_BODY, action="deliver_head"),
    Row(S.SENDING_REQUEST, T.ANSWER_ENDED, S.CLOSED, action="deliver_end", ends=Cause.UPSTREAM),
    Row(S.SENDING_REQUEST, T.ANSWER_REFUSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.SENDING_REQUEST, T.UPSTREAM_CLOSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.SENDING_REQUEST, T.UPSTREAM_RESET, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.SENDING_REQUEST, T.DEADLINE_PASSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.SENDING_REQUEST, T.ASKER_LEFT, S.CLOSED, action="cut", ends=Cause.CLIENT),
    Row(S.SENDING_REQUEST, T.CLOSE_ORDERED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- its body is expected, or not
    Row(S.AWAITING_CONTINUE, T.CONTINUE_RECEIVED, S.AWAITING_PIECE, action="ask_for_piece", way=Way.HAPPY),
    Row(S.AWAITING_CONTINUE, T.DEADLINE_PASSED, S.AWAITING_PIECE, action="ask_for_piece"),
    Row(S.AWAITING_CONTINUE, T.HEAD_RECEIVED, S.HOLDING_BODY, action="deliver_head"),
    Row(S.AWAITING_CONTINUE, T.ANSWER_ENDED, S.CLOSED, action="deliver_end", ends=Cause.UPSTREAM),
    Row(S.AWAITING_CONTINUE, T.ANSWER_REFUSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_CONTINUE, T.UPSTREAM_CLOSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_CONTINUE, T.UPSTREAM_RESET, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_CONTINUE, T.ASKER_LEFT, S.CLOSED, action="cut", ends=Cause.CLIENT),
    Row(S.AWAITING_CONTINUE, T.CLOSE_ORDERED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- its body is handed over piece by piece
    Row(S.AWAITING_PIECE, T.PIECE_GIVEN, S.SENDING_REQUEST, action="send_piece", way=Way.HAPPY),
    Row(S.AWAITING_PIECE, T.ANSWER_ENDED, S.CLOSED, action="deliver_end", ends=Cause.UPSTREAM),
    Row(S.AWAITING_PIECE, T.UPSTREAM_RESET, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_PIECE, T.DEADLINE_PASSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.AWAITING_PIECE, T.ASKER_LEFT, S.CLOSED, action="cut", ends=Cause.CLIENT),
    Row(S.AWAITING_PIECE, T.CLOSE_ORDERED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the upstream thinks
    Row(S.AWAITING_RESPONSE, T.ANSWER_ENDED, S.IDLE, "may_be_pooled", "return_to_pool", Way.HAPPY),
    Row(S.AWAITING_RESPONSE, T.ANSWER_ENDED, S.CLOSED, "", "deliver_end", ends=Cause.UPSTREAM),
    Row(S.AWAITING_RESPONSE, T.HEAD_RECEIVED, S.HOLDING_BODY, action="deliver_head"),
    Row(S.AWAITING_RESPONSE, T.UPGRADED, S.TUNNELLING, action="deliver_tunnel"),
    Row(S.AWAITING_RESPONSE, T.ANSWER_REFUSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_RESPONSE, T.UPSTREAM_CLOSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_RESPONSE, T.UPSTREAM_RESET, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_RESPONSE, T.DEADLINE_PASSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.AWAITING_RESPONSE, T.ASKER_LEFT, S.CLOSED, action="cut", ends=Cause.CLIENT),
    Row(S.AWAITING_RESPONSE, T.CLOSE_ORDERED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- upgraded
    Row(S.TUNNELLING, T.TUNNEL_ENDED, S.CLOSED, "asker_ended_first", ends=Cause.CLIENT),
    Row(S.TUNNELLING, T.TUNNEL_ENDED, S.CLOSED, ends=Cause.UPSTREAM),
    Row(S.TUNNELLING, T.UPSTREAM_RESET, S.CLOSED, action="break_tunnel", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.TUNNELLING, T.DEADLINE_PASSED, S.CLOSED, action="break_tunnel", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.TUNNELLING, T.ASKER_LEFT, S.CLOSED, action="cut", ends=Cause.CLIENT),
    Row(S.TUNNELLING, T.CLOSE_ORDERED, S.CLOSED, action="break_tunnel", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the answer's body waits for its reader
    Row(S.HOLDING_BODY, T.PIECE_WANTED, S.READING_BODY, way=Way.HAPPY),
    Row(S.HOLDING_BODY, T.UPSTREAM_RESET, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.HOLDING_BODY, T.DEADLINE_PASSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.HOLDING_BODY, T.ASKER_LEFT, S.CLOSED, action="cut", ends=Cause.CLIENT),
    Row(S.HOLDING_BODY, T.CLOSE_ORDERED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the answer's reader waits for its body
    Row(S.READING_BODY, T.PIECE_RECEIVED, S.HOLDING_BODY, action="deliver_piece", way=Way.HAPPY),
    Row(S.READING_BODY, T.ANSWER_ENDED, S.IDLE, "may_be_pooled", "return_to_pool", Way.HAPPY),
    Row(S.READING_BODY, T.ANSWER_ENDED, S.CLOSED, "", "deliver_end", ends=Cause.UPSTREAM),
    Row(S.READING_BODY, T.ANSWER_REFUSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.READING_BODY, T.UPSTREAM_CLOSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.READING_BODY, T.UPSTREAM_RESET, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.READING_BODY, T.DEADLINE_PASSED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.READING_BODY, T.ASKER_LEFT, S.CLOSED, action="cut", ends=Cause.CLIENT),
    Row(S.READING_BODY, T.CLOSE_ORDERED, S.CLOSED, action="give_up", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- in the pool
    Row(S.IDLE, T.REQUEST_GIVEN, S.SENDING_REQUEST, action="send_request", way=Way.HAPPY),
    Row(S.IDLE, T.BYTES_UNASKED, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.IDLE, T.UPSTREAM_CLOSED, S.CLOSED, ends=Cause.UPSTREAM),
    Row(S.IDLE, T.UPSTREAM_RESET, S.CLOSED, ends=Cause.UPSTREAM),
    Row(S.IDLE, T.DEADLINE_PASSED, S.CLOSED, ends=Cause.DEADLINE),
    Row(S.IDLE, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.OPERATOR),
)

TABLE = Table(
    name="upstream",
    states=State,
    triggers=Trigger,
    initial=S.CONNECTING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.CONNECT_FAILED, T.UPSTREAM_CLOSED, T.UPSTREAM_RESET}),
)
