"""THE machine: one client connection of the HTTP/1.1 server.

    AWAITING_REQUEST -> QUERYING_BACKEND -> SENDING_RESPONSE -> AWAITING_REQUEST

is a request that comes in one segment, whose handler answers at once and whose answer the socket takes at once: three
passages. READING_HEAD and READING_BODY are there for requests that come in pieces, LINGERING for farewells.

What the table settles:

- *The handler is the program, the machine is its place in it.* While the handler runs or waits for an operation, the
  connection is QUERYING_BACKEND; while it waits for the request's body, READING_BODY; while its output waits for the
  socket, SENDING_RESPONSE. A streamed answer goes to and fro between the latter and QUERYING_BACKEND.
- *Pipelining*: the next request is looked at only in AWAITING_REQUEST, so answers stay in order. Bytes that have come
  already lie in the connection's buffer, where epoll will not report them: the loop is asked to revisit.
- *An answer before the body was read*: nothing more is parsed; answer, half-close, linger.
- *The peer's half-close while we answer*: not looked at (no state that answers waits for readable), so the answer goes
  out whole. A reset is reported by the kernel in any state. A plain close(2) is, on the wire, a half-close until we
  send something: a handler whose client has left in this way goes on until it answers, or its deadline passes.
- *An error after the response began*: the connection is cut, so that the client cannot take the piece for the whole.
- *An upgrade*: once 101 is sent the connection is TUNNELLING, one end of a tunnel whose other end is a connection to an
  upstream. It is the one state that waits for two things at once, and says so: bytes from the peer, and room for bytes
  to it. Which of them are asked of the poller depends on what waits to be passed on (handlers.tunnel).
- Every row into CLOSED, or into the farewell, says who ended the connection.
"""

from enum import auto
from typing import Protocol

from statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    AWAITING_REQUEST = auto()
    READING_HEAD = auto()
    READING_BODY = auto()
    QUERYING_BACKEND = auto()
    SENDING_RESPONSE = auto()
    TUNNELLING = auto()
    LINGERING = auto()
    CLOSED = auto()


class Trigger(Name):
    HEAD_STARTED = auto()
    """Part of a head has come."""
    HEAD_RECEIVED = auto()
    """A whole head has come, and the gate has admitted it."""
    HEAD_REFUSED = auto()
    """What came is not, or can no longer become, a head that we accept."""
    BODY_WANTED = auto()
    """The handler awaits the next piece of the request's body."""
    BODY_RECEIVED = auto()
    """A piece of the body, or its end, is there."""
    BODY_REFUSED = auto()
    """The body is malformed, cut short, or longer than it may be."""
    BACKEND_ANSWERED = auto()
    """The operation that the handler awaited has ended, well or ill."""
    OUTPUT_READY = auto()
    """Bytes of the response are there for the socket."""
    OUTPUT_FLUSHED = auto()
    """The socket has taken all the bytes that there were."""
    RESPONSE_BROKEN = auto()
    """The response has begun and can not be ended as it was promised."""
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
    CLOSE_ORDERED = auto()
    """An operator, or the end of the drain, wants this connection closed now."""


class Model(Protocol):
    """What the shell of a connection does. Guards ask; actions do one step and hand back the next trigger."""

    def read_head(self, ready: int) -> Name | None:
        """Read once; HEAD_STARTED (the first time), HEAD_RECEIVED, HEAD_REFUSED, PEER_CLOSED or PEER_RESET."""

    def read_body(self, ready: int) -> Name | None:
        """Read once; BODY_RECEIVED, BODY_REFUSED or PEER_RESET."""

    def notice_hang_up(self, ready: int) -> Name | None:
        """PEER_RESET when the connection is gone. Nothing is read."""

    def write(self, ready: int) -> Name | None:
        """Write what the socket takes, up to a bound; OUTPUT_FLUSHED, RESPONSE_BROKEN or PEER_RESET, or None to
        wait for the socket."""

    def pass_on(self, ready: int) -> Name | None:
        """Pass bytes on, a bounded read and a write; TUNNEL_ENDED or PEER_RESET."""

    def discard(self, ready: int) -> Name | None:
        """Read once and forget; PEER_CLOSED, PEER_RESET or LINGER_EXHAUSTED."""

    def has_more_output(self) -> bool:
        """Whether the response has further pieces to be produced."""

    def may_keep_alive(self) -> bool:
        """Whether the next request may come on this connection."""

    def has_switched(self) -> bool:
        """Whether the response was a 101, behind which there is a tunnel."""

    def peer_ended_first(self) -> bool:
        """Whether of the tunnel's two ends it was the peer that sent its last before the other did."""

    def peer_is_done(self) -> bool:
        """Whether the peer has said that this was its last request, and sent all of it: we may close at once."""

    def has_begun_response(self) -> bool:
        """Whether a byte of the response has been handed to the socket."""

    def call_handler(self) -> Name | None:
        """Give the request to the application; OUTPUT_READY, BODY_WANTED, or None to wait for an operation."""

    def resume_handler(self) -> Name | None:
        """Go on with the handler, or with the body that it produces, after its operation ended."""

    def give_body(self) -> Name | None:
        """Go on with the handler, with the piece of body that came."""

    def take_body(self) -> Name | None:
        """Take the body's next piece from what was received; BODY_RECEIVED or BODY_REFUSED, else say 100 and wait."""

    def queue_output(self) -> Name | None:
        """Let the response's beginning go out at the turn's end, with those of others; the rest of one at once: as
        write."""

    def produce_output(self) -> Name | None:
        """Get the response's next piece; OUTPUT_READY, BODY_WANTED, RESPONSE_BROKEN, or None to wait."""

    def refuse(self) -> Name | None:
        """Give up the handler and answer with the refusal's status and reason; as write."""

    def refuse_late(self) -> Name | None:
        """Give up the handler and answer 408 or 504; as write."""

    def renew(self) -> Name | None:
        """The exchange is complete: log it and forget it; the loop revisits when bytes of the next have come."""

    def begin_tunnel(self) -> Name | None:
        """Join the tunnel, and pass on what has come already; as pass_on, or TUNNEL_BROKEN."""

    def half_close(self) -> Name | None:
        """Shut down our sending side."""

    def cut(self) -> Name | None:
        """Make the close a reset, so that the client can not take it for a clean end."""


S, T = State, Trigger

KEEP_ALIVE = Deadline(
    "keep-alive", "keep_alive_timeout", 15.0, "for the first or next request; longer than a browser's pause"
)
HEAD = Deadline(
    "head",
    "head_timeout",
    10.0,
    "for a whole head; not reset by each byte, which a slow-headers attack would do",
)
BODY = Deadline(
    "body",
    "body_timeout",
    30.0,
    "without a byte of the body",
    min_rate=240,
    rate_why="a body must come at, after the grace; stops one byte now and then",
    grace=5.0,
    grace_why="waiting for a body before its rate counts",
)
BACKEND = Deadline("backend", "backend_timeout", 30.0, "for an operation that a handler awaits; then 504")
SEND = Deadline(
    "send",
    "send_timeout",
    30.0,
    "without the client taking a byte of the response",
    min_rate=240,
    rate_why="a client must take a response at, after the grace; stops slow readers",
    grace=5.0,
    grace_why="waiting for the socket before its rate counts",
)
TUNNEL = Deadline(
    "tunnel",
    "tunnel_timeout",
    300.0,
    "without a byte either way; most who talk by WebSocket send a ping more often",
    idle=True,
)
LINGER = Deadline("linger", "linger_timeout", 2.0, "for the client to read our last answer before we close")

SPECS = (
    Spec(S.AWAITING_REQUEST, Interest.READABLE, KEEP_ALIVE, "read_head", "no byte of the next request has come"),
    Spec(S.READING_HEAD, Interest.READABLE, HEAD, "read_head", "part of a head has come"),
    Spec(S.READING_BODY, Interest.READABLE, BODY, "read_body", "the handler wants body that has not come"),
    Spec(
        S.QUERYING_BACKEND,
        Interest.HANG_UP,
        BACKEND,
        "notice_hang_up",
        "the handler runs or waits for an operation",
    ),
    Spec(S.SENDING_RESPONSE, Interest.WRITABLE, SEND, "write", "response bytes wait for the socket"),
    Spec(
        S.TUNNELLING,
        Interest.READABLE | Interest.WRITABLE,
        TUNNEL,
        "pass_on",
        "upgraded: bytes pass both ways",
    ),
    Spec(S.LINGERING, Interest.READABLE, LINGER, "discard", "our side is shut; the peer may still be sending"),
    Spec(S.CLOSED, Interest.NOTHING, Unbounded("it is final"), "", "the descriptor is given back", final=True),
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
    Row(S.AWAITING_REQUEST, T.DRAIN_STARTED, S.CLOSED, ends=Cause.OPERATOR),
    Row(S.AWAITING_REQUEST, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.OPERATOR),
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
    # --- the handler runs, or waits
    Row(S.QUERYING_BACKEND, T.OUTPUT_READY, S.SENDING_RESPONSE, action="queue_output", way=Way.HAPPY),
    Row(S.QUERYING_BACKEND, T.BACKEND_ANSWERED, S.QUERYING_BACKEND, action="resume_handler"),
    Row(S.QUERYING_BACKEND, T.BODY_WANTED, S.READING_BODY, action="take_body"),
    Row(S.QUERYING_BACKEND, T.RESPONSE_BROKEN, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.SERVER),
    Row(S.QUERYING_BACKEND, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(
        S.QUERYING_BACKEND,
        T.DEADLINE_PASSED,
        S.CLOSED,
        "has_begun_response",
        "cut",
        Way.FAULT,
        Cause.DEADLINE,
    ),
    Row(
        S.QUERYING_BACKEND,
        T.DEADLINE_PASSED,
        S.SENDING_RESPONSE,
        "",
        "refuse_late",
        Way.FAULT,
        Cause.DEADLINE,
    ),
    Row(S.QUERYING_BACKEND, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the body comes
    Row(S.READING_BODY, T.BODY_RECEIVED, S.QUERYING_BACKEND, action="give_body"),
    Row(S.READING_BODY, T.BODY_REFUSED, S.CLOSED, "has_begun_response", "cut", Way.FAULT, Cause.CLIENT),
    Row(S.READING_BODY, T.BODY_REFUSED, S.SENDING_RESPONSE, "", "refuse", Way.FAULT, Cause.CLIENT),
    Row(S.READING_BODY, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.READING_BODY, T.DEADLINE_PASSED, S.CLOSED, "has_begun_response", "cut", Way.FAULT, Cause.DEADLINE),
    Row(S.READING_BODY, T.DEADLINE_PASSED, S.SENDING_RESPONSE, "", "refuse_late", Way.FAULT, Cause.DEADLINE),
    Row(S.READING_BODY, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the response goes out
    Row(S.SENDING_RESPONSE, T.OUTPUT_FLUSHED, S.QUERYING_BACKEND, "has_more_output", "produce_output"),
    Row(S.SENDING_RESPONSE, T.OUTPUT_FLUSHED, S.AWAITING_REQUEST, "may_keep_alive", "renew", Way.HAPPY),
    Row(S.SENDING_RESPONSE, T.OUTPUT_FLUSHED, S.TUNNELLING, "has_switched", "begin_tunnel"),
    Row(S.SENDING_RESPONSE, T.OUTPUT_FLUSHED, S.CLOSED, "peer_is_done", ends=Cause.CLIENT),
    Row(S.SENDING_RESPONSE, T.OUTPUT_FLUSHED, S.LINGERING, "", "half_close", ends=Cause.SERVER),
    Row(S.SENDING_RESPONSE, T.RESPONSE_BROKEN, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.SERVER),
    Row(S.SENDING_RESPONSE, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.SENDING_RESPONSE, T.DEADLINE_PASSED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.SENDING_RESPONSE, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- upgraded
    Row(S.TUNNELLING, T.TUNNEL_ENDED, S.CLOSED, "peer_ended_first", ends=Cause.CLIENT),
    Row(S.TUNNELLING, T.TUNNEL_ENDED, S.CLOSED, ends=Cause.UPSTREAM),
    Row(S.TUNNELLING, T.TUNNEL_BROKEN, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.UPSTREAM),
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

TABLE = Table(
    name="connection",
    states=State,
    triggers=Trigger,
    initial=S.AWAITING_REQUEST,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.PEER_CLOSED, T.PEER_RESET}),
)
