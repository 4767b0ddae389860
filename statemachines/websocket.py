"""The machine of a WebSocket that an application has accepted (RFC 6455), beside the connection that carries it.

    OPENING -> OPEN -> CLOSING -> DISCONNECTING -> CLOSED

is the path of one that the application closes. What the table settles:

- *Before it is accepted there is no WebSocket*: the handshake is a request, and the application's call has a machine of
  its own (statemachines.application).
- *Silence is asked about*: a ping goes out when nothing has come for a while (AWAITING_PONG). Whatever comes then is an
  answer: a client that is in the middle of a long message cannot say pong.
- *Back-pressure both ways is a state*: `send()` waits for a client that does not read (AWAITING_ROOM), and the client
  for an application that does not `receive()` (AWAITING_APPLICATION: nothing is read). Where both are so, it is
  AWAITING_ROOM: only that has a deadline which the client can break.
- *Who closes*: an end is either ours (CLOSING: the client has not said close yet) or the client's (PEER_CLOSING: we
  have answered). A client that breaks the protocol, or is too slow, is told a code and not waited for (DISCONNECTING).
- *What the client has sent before it left is not lost* (UNTAKEN): the application takes it, and then learns of the end.

It has no descriptor. The peers are two: the client behind the connection, and the application behind its queue.
"""

from enum import auto
from typing import Protocol

from clerestory.statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    OPENING = auto()
    OPEN = auto()
    AWAITING_PONG = auto()
    AWAITING_ROOM = auto()
    AWAITING_APPLICATION = auto()
    CLOSING = auto()
    PEER_CLOSING = auto()
    DISCONNECTING = auto()
    UNTAKEN = auto()
    CLOSED = auto()


class Trigger(Name):
    SWITCHED = auto()
    """The 101 has been sent: frames pass."""
    CLIENT_HEARD = auto()
    """Bytes have come."""
    ROOM_WANTED = auto()
    """`send()` waits until the connection has taken what was given."""
    ROOM_MADE = auto()
    """The connection has taken it."""
    QUEUE_FILLED = auto()
    """As many messages wait for the application as may."""
    QUEUE_TAKEN = auto()
    """The application has taken one of them."""
    CLOSE_SENT = auto()
    """Our close frame is on its way: the application has closed or ended, or the server ends."""
    CLOSE_RECEIVED = auto()
    """The client's close frame has come."""
    PROTOCOL_BROKEN = auto()
    """What the client has sent is no WebSocket message, or too much. It has been told the code."""
    CONNECTION_ENDED = auto()
    """The TCP connection is over, in order or not."""
    ALL_TAKEN = auto()
    """The application has taken the last message."""
    APPLICATION_ENDED = auto()
    """The application takes no more messages."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """An operator wants this WebSocket cut."""


class Model(Protocol):
    """What the shell of a WebSocket does."""

    def has_untaken(self) -> bool:
        """Whether there are messages that the application has not taken, and still may."""

    def is_full(self) -> bool:
        """Whether nothing is read because the application does not take what came."""

    def send_ping(self) -> Name | None:
        """Send a ping."""

    def give_up_silent(self) -> Name | None:
        """Tell the client that it has not answered a ping, and end our side."""

    def give_up_stalled(self) -> Name | None:
        """Tell the client that the application does not take its messages, and end our side."""

    def cut(self) -> Name | None:
        """Have the connection reset."""

    def cut_slow(self) -> Name | None:
        """As cut: the client has not read what was sent."""


S, T = State, Trigger

PING = Deadline(
    "ping",
    "websocket_ping_interval",
    20.0,
    "without a byte from the client of a WebSocket, then it is sent a ping; most proxies cut the silent after a minute",
    idle=True,
)
PONG = Deadline(
    "pong",
    "websocket_pong_timeout",
    20.0,
    "for a byte from the client once it has been sent a ping, then its WebSocket is ended with 1011",
)
SEND = Deadline(
    "send",
    "websocket_send_timeout",
    30.0,
    "without the client taking a byte of what the application has sent, then its WebSocket is cut",
    idle=True,
)
TAKE = Deadline(
    "take",
    "websocket_take_timeout",
    300.0,
    "for the application to take the next message while its queue is full, then the WebSocket is ended with 1011",
)
CLOSE = Deadline(
    "close",
    "websocket_close_timeout",
    10.0,
    "for the client to answer our close, and to end the connection, or to take what was sent before; then it is cut",
    idle=True,
)

SPECS = (
    Spec(
        S.OPENING,
        Interest.NOTHING,
        Unbounded("the connection sends the 101, and has a deadline for it"),
        "",
        "the application has accepted; the 101 has not been sent",
        awaits="the 101 to be sent",
    ),
    Spec(S.OPEN, Interest.NOTHING, PING, "", "messages pass both ways", awaits="a message"),
    Spec(
        S.AWAITING_PONG,
        Interest.NOTHING,
        PONG,
        "",
        "the client has been silent, and was sent a ping",
        awaits="a pong",
    ),
    Spec(
        S.AWAITING_ROOM,
        Interest.NOTHING,
        SEND,
        "",
        "send() waits for the client to take what was given",
        awaits="room to send",
    ),
    Spec(
        S.AWAITING_APPLICATION,
        Interest.NOTHING,
        TAKE,
        "",
        "nothing is read: the application has not taken what came",
        awaits="the application to take a message",
    ),
    Spec(
        S.CLOSING,
        Interest.NOTHING,
        CLOSE,
        "",
        "we have said close; the client has not",
        awaits="the client's close frame",
    ),
    Spec(
        S.PEER_CLOSING,
        Interest.NOTHING,
        CLOSE,
        "",
        "the client has said close, and was answered",
        awaits="the end of the connection",
    ),
    Spec(
        S.DISCONNECTING,
        Interest.NOTHING,
        CLOSE,
        "",
        "our side is shut, or is to be cut; the client's is not",
        awaits="the end of the connection",
    ),
    Spec(
        S.UNTAKEN,
        Interest.NOTHING,
        TAKE,
        "",
        "the connection has ended; the application has not taken all that came",
        awaits="the application to take a message",
    ),
    Spec(S.CLOSED, Interest.NOTHING, Unbounded("it is final"), "", "it is over", final=True),
)

ROWS = (
    # --- the 101 is being sent
    Row(S.OPENING, T.SWITCHED, S.OPEN, way=Way.HAPPY),
    Row(S.OPENING, T.CLOSE_SENT, S.CLOSING, ends=Cause.SERVER),
    Row(S.OPENING, T.CONNECTION_ENDED, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.OPENING, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- messages pass
    Row(S.OPEN, T.CLOSE_SENT, S.CLOSING, way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.OPEN, T.CLOSE_RECEIVED, S.PEER_CLOSING, way=Way.HAPPY, ends=Cause.CLIENT),
    Row(S.OPEN, T.ROOM_WANTED, S.AWAITING_ROOM),
    Row(S.OPEN, T.QUEUE_FILLED, S.AWAITING_APPLICATION),
    Row(S.OPEN, T.PROTOCOL_BROKEN, S.DISCONNECTING, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.OPEN, T.DEADLINE_PASSED, S.AWAITING_PONG, action="send_ping"),
    Row(S.OPEN, T.CONNECTION_ENDED, S.UNTAKEN, "has_untaken", "", Way.FAULT, Cause.CLIENT),
    Row(S.OPEN, T.CONNECTION_ENDED, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.OPEN, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the client is silent
    Row(S.AWAITING_PONG, T.CLIENT_HEARD, S.OPEN),
    Row(S.AWAITING_PONG, T.CLOSE_SENT, S.CLOSING, ends=Cause.SERVER),
    Row(S.AWAITING_PONG, T.CLOSE_RECEIVED, S.PEER_CLOSING, ends=Cause.CLIENT),
    Row(S.AWAITING_PONG, T.ROOM_WANTED, S.AWAITING_ROOM),
    Row(S.AWAITING_PONG, T.QUEUE_FILLED, S.AWAITING_APPLICATION),
    Row(S.AWAITING_PONG, T.PROTOCOL_BROKEN, S.DISCONNECTING, way=Way.FAULT, ends=Cause.CLIENT),
    Row(
        S.AWAITING_PONG,
        T.DEADLINE_PASSED,
        S.DISCONNECTING,
        action="give_up_silent",
        way=Way.FAULT,
        ends=Cause.DEADLINE,
    ),
    Row(S.AWAITING_PONG, T.CONNECTION_ENDED, S.UNTAKEN, "has_untaken", "", Way.FAULT, Cause.CLIENT),
    Row(S.AWAITING_PONG, T.CONNECTION_ENDED, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.AWAITING_PONG, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the client does not read
    Row(S.AWAITING_ROOM, T.ROOM_MADE, S.AWAITING_APPLICATION, "is_full"),
    Row(S.AWAITING_ROOM, T.ROOM_MADE, S.OPEN),
    Row(S.AWAITING_ROOM, T.CLOSE_SENT, S.CLOSING, ends=Cause.SERVER),
    Row(S.AWAITING_ROOM, T.CLOSE_RECEIVED, S.PEER_CLOSING, ends=Cause.CLIENT),
    Row(S.AWAITING_ROOM, T.PROTOCOL_BROKEN, S.DISCONNECTING, way=Way.FAULT, ends=Cause.CLIENT),
    Row(
        S.AWAITING_ROOM,
        T.DEADLINE_PASSED,
        S.DISCONNECTING,
        action="cut_slow",
        way=Way.FAULT,
        ends=Cause.DEADLINE,
    ),
    Row(S.AWAITING_ROOM, T.CONNECTION_ENDED, S.UNTAKEN, "has_untaken", "", Way.FAULT, Cause.CLIENT),
    Row(S.AWAITING_ROOM, T.CONNECTION_ENDED, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.AWAITING_ROOM, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the application does not receive
    Row(S.AWAITING_APPLICATION, T.QUEUE_TAKEN, S.OPEN),
    Row(S.AWAITING_APPLICATION, T.ROOM_WANTED, S.AWAITING_ROOM),
    Row(S.AWAITING_APPLICATION, T.CLOSE_SENT, S.CLOSING, ends=Cause.SERVER),
    Row(
        S.AWAITING_APPLICATION,
        T.DEADLINE_PASSED,
        S.DISCONNECTING,
        action="give_up_stalled",
        way=Way.FAULT,
        ends=Cause.DEADLINE,
    ),
    Row(S.AWAITING_APPLICATION, T.CONNECTION_ENDED, S.UNTAKEN, "has_untaken", "", Way.FAULT, Cause.CLIENT),
    Row(S.AWAITING_APPLICATION, T.CONNECTION_ENDED, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.AWAITING_APPLICATION, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- we have said close
    Row(S.CLOSING, T.CLOSE_RECEIVED, S.DISCONNECTING, way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.CLOSING, T.PROTOCOL_BROKEN, S.DISCONNECTING, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.CLOSING, T.CONNECTION_ENDED, S.CLOSED, ends=Cause.CLIENT),
    Row(S.CLOSING, T.DEADLINE_PASSED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.CLOSING, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the client has said close
    Row(S.PEER_CLOSING, T.CONNECTION_ENDED, S.UNTAKEN, "has_untaken", ends=Cause.CLIENT),
    Row(S.PEER_CLOSING, T.CONNECTION_ENDED, S.CLOSED, way=Way.HAPPY, ends=Cause.CLIENT),
    Row(S.PEER_CLOSING, T.DEADLINE_PASSED, S.UNTAKEN, "has_untaken", "cut", Way.FAULT, Cause.DEADLINE),
    Row(S.PEER_CLOSING, T.DEADLINE_PASSED, S.CLOSED, "", "cut", Way.FAULT, Cause.DEADLINE),
    Row(S.PEER_CLOSING, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the end of the connection is awaited
    Row(S.DISCONNECTING, T.CONNECTION_ENDED, S.UNTAKEN, "has_untaken", ends=Cause.CLIENT),
    Row(S.DISCONNECTING, T.CONNECTION_ENDED, S.CLOSED, way=Way.HAPPY, ends=Cause.CLIENT),
    Row(S.DISCONNECTING, T.DEADLINE_PASSED, S.UNTAKEN, "has_untaken", "cut", Way.FAULT, Cause.DEADLINE),
    Row(S.DISCONNECTING, T.DEADLINE_PASSED, S.CLOSED, "", "cut", Way.FAULT, Cause.DEADLINE),
    Row(S.DISCONNECTING, T.CLOSE_ORDERED, S.CLOSED, action="cut", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- there are messages left
    Row(S.UNTAKEN, T.ALL_TAKEN, S.CLOSED, ends=Cause.CLIENT),
    Row(S.UNTAKEN, T.APPLICATION_ENDED, S.CLOSED, ends=Cause.SERVER),
    Row(S.UNTAKEN, T.DEADLINE_PASSED, S.CLOSED, way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.UNTAKEN, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.OPERATOR),
)

TABLE = Table(
    name="websocket",
    states=State,
    triggers=Trigger,
    initial=S.OPENING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.CONNECTION_ENDED, T.APPLICATION_ENDED}),
)
