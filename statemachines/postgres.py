"""The machine of a session with PostgreSQL: the server is the client here, and sends queries for handlers.

    CONNECTING -> AUTHENTICATING -> IDLE -> SENDING_QUERY -> AWAITING_RESULT -> IDLE -> ...

is a new session, and a query whose bytes the socket takes at once. The table says:

- *libpq says what to wait for.* While a session is being opened libpq wants to write (CONNECTING) or to read
  (AUTHENTICATING) in turn; each is a state, since interest is a function of the state.
- *A session has one owner at a time*: the pool while it is IDLE, the query that it runs, or the handler whose
  transaction it holds (IN_TRANSACTION). Locks are held there, so that wait has a deadline like any other.
- *A session is clean before it is used again.* If a query is cancelled, a transaction is abandoned, or what was run may
  have changed what the session remembers (a setting, a lock, a temporary table), the session is RESETTING: a machine of
  its own returns it to its initial state (statemachines.postgres_reset), or the session is closed. The result does
  not wait for that.
- *A statement that is used often is prepared first* (PREPARING): one more round trip, once.
- *Half a query cannot be cancelled*: if it is abandoned while it is being sent, the session is closed.
- *Nothing is retried here.* If the server is lost, the caller gets an error: whether a change was made is not known,
  and only the caller knows whether it may be repeated.
- Every row into CLOSED says who ended the session; the server is the upstream.
"""

from enum import auto
from typing import Protocol

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
    CONNECTING = auto()
    AUTHENTICATING = auto()
    IDLE = auto()
    SENDING_QUERY = auto()
    PREPARING = auto()
    AWAITING_RESULT = auto()
    IN_TRANSACTION = auto()
    RESETTING = auto()
    CLOSED = auto()


class Trigger(Name):
    ANSWER_AWAITED = auto()
    """We have sent our part: the next step of connecting is the server's."""
    WRITING_AWAITED = auto()
    """The next step of connecting is ours, as soon as the socket is writable; it may be another socket."""
    SESSION_STARTED = auto()
    """The server is ready for queries."""
    QUERY_GIVEN = auto()
    """There is a query to run."""
    STATEMENT_SENT = auto()
    """The socket has taken the whole statement that is to be prepared."""
    STATEMENT_PREPARED = auto()
    """The server has prepared it, or has dropped another to make room."""
    QUERY_SENT = auto()
    """The socket has taken the whole query."""
    RESULT_RECEIVED = auto()
    """The whole result, or the error, has been received."""
    RESULT_REFUSED = auto()
    """The result is too large, or of a kind that is not supported."""
    QUERY_ABANDONED = auto()
    """The caller no longer wants the result."""
    TRANSACTION_ABANDONED = auto()
    """The handler has left its transaction by an error, or has been cancelled itself."""
    SESSION_CLEANED = auto()
    """The session has been reset."""
    RESET_FAILED = auto()
    """The session could not be reset."""
    CONNECTION_LOST = auto()
    """The server cannot be reached, or has ended the session."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """An operator, or the end of the process, wants this session closed now."""


class Model(Protocol):
    """What the shell of a session does."""

    def poll_connection(self, ready: int) -> Name | None:
        """One step of connecting; ANSWER_AWAITED, WRITING_AWAITED, SESSION_STARTED or CONNECTION_LOST."""

    def notice_input(self, ready: int) -> Name | None:
        """No query is running: read and discard notices and notifications; CONNECTION_LOST at the end."""

    def flush_query(self, ready: int) -> Name | None:
        """Write what the socket takes; STATEMENT_SENT, QUERY_SENT or CONNECTION_LOST."""

    def read_prepared(self, ready: int) -> Name | None:
        """Read once; STATEMENT_PREPARED, RESULT_RECEIVED (an error) or CONNECTION_LOST."""

    def read_result(self, ready: int) -> Name | None:
        """Read once; RESULT_RECEIVED, RESULT_REFUSED or CONNECTION_LOST."""

    def notice_hang_up(self, ready: int) -> Name | None:
        """CONNECTION_LOST if the connection is gone. Nothing is read."""

    def is_in_transaction(self) -> bool:
        """Whether a handler holds the session for its transaction, which is open."""

    def is_clean(self) -> bool:
        """Whether no transaction is open and nothing was run that the session may remember: any request may use it."""

    def offer(self) -> Name | None:
        """Give the session to the next query in the queue, QUERY_GIVEN; None leaves it in the pool."""

    def release(self) -> Name | None:
        """Deliver the result; then as offer."""

    def deliver_result(self) -> Name | None:
        """Deliver the result to the caller, whose transaction continues."""

    def send_query(self) -> Name | None:
        """Begin the next step of the query; STATEMENT_SENT, QUERY_SENT or CONNECTION_LOST, or None to wait for the
        socket."""

    def reset_session(self) -> Name | None:
        """Begin the reset; and deliver the result or the error to the caller, if there is one. RESET_FAILED when it
        cannot begin."""


S, T = State, Trigger

CONNECT = Deadline(
    "connect", "postgres_connect_timeout", 5.0, "for one address to accept; enough for a few lost packets"
)
LOGIN = Deadline("login", "postgres_login_timeout", 5.0, "for the server to answer while a session is opened")
IDLE = Deadline(
    "idle", "postgres_idle_timeout", 300.0, "in the pool; a session costs the server a process, so it is closed"
)
SEND = Deadline("send", "postgres_send_timeout", 10.0, "for the server to read a query; it reads at once or is stuck")
PREPARE = Deadline(
    "prepare", "postgres_prepare_timeout", 25.0, "for a statement to be prepared, then 504; it may wait for a lock"
)
QUERY = Deadline(
    "query",
    "postgres_query_timeout",
    25.0,
    "for a result, then 504; shorter than a handler's timeout, which includes waiting for a session",
)
HOLD = Deadline(
    "transaction",
    "postgres_transaction_timeout",
    30.0,
    "for a handler to continue its transaction, which holds locks",
)
SPECS = (
    Spec(S.CONNECTING, Interest.WRITABLE, CONNECT, "poll_connection", "the server's address has not accepted yet"),
    Spec(S.AUTHENTICATING, Interest.READABLE, LOGIN, "poll_connection", "the server has not yet said it is ready"),
    Spec(S.IDLE, Interest.READABLE, IDLE, "notice_input", "in the pool; no query is running"),
    Spec(
        S.SENDING_QUERY,
        Interest.READABLE | Interest.WRITABLE,
        SEND,
        "flush_query",
        "bytes of the query wait for the socket; what arrives meanwhile is read",
    ),
    Spec(S.PREPARING, Interest.READABLE, PREPARE, "read_prepared", "the statement is sent; it is not prepared yet"),
    Spec(S.AWAITING_RESULT, Interest.READABLE, QUERY, "read_result", "the query is sent; its result is not complete"),
    Spec(S.IN_TRANSACTION, Interest.READABLE, HOLD, "notice_input", "a handler holds it, and is doing something else"),
    Spec(
        S.RESETTING,
        Interest.HANG_UP,
        Unbounded("each step of the reset has a deadline of its own"),
        "notice_hang_up",
        "it is being reset",
        awaits="its reset",
    ),
    Spec(S.CLOSED, Interest.NOTHING, Unbounded("it is final"), "", "the descriptor is closed", final=True),
)

ROWS = (
    # --- a session is opened
    Row(S.CONNECTING, T.ANSWER_AWAITED, S.AUTHENTICATING, way=Way.HAPPY),
    Row(S.CONNECTING, T.SESSION_STARTED, S.IDLE, action="offer"),
    Row(S.CONNECTING, T.CONNECTION_LOST, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.CONNECTING, T.DEADLINE_PASSED, S.CLOSED, way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.CONNECTING, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.OPERATOR),
    # --- the server answers
    Row(S.AUTHENTICATING, T.SESSION_STARTED, S.IDLE, action="offer", way=Way.HAPPY),
    Row(S.AUTHENTICATING, T.WRITING_AWAITED, S.CONNECTING),
    Row(S.AUTHENTICATING, T.CONNECTION_LOST, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AUTHENTICATING, T.DEADLINE_PASSED, S.CLOSED, way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.AUTHENTICATING, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.OPERATOR),
    # --- in the pool
    Row(S.IDLE, T.QUERY_GIVEN, S.SENDING_QUERY, action="send_query", way=Way.HAPPY),
    Row(S.IDLE, T.CONNECTION_LOST, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.IDLE, T.DEADLINE_PASSED, S.CLOSED, ends=Cause.DEADLINE),
    Row(S.IDLE, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.OPERATOR),
    # --- the query is sent
    Row(S.SENDING_QUERY, T.QUERY_SENT, S.AWAITING_RESULT, way=Way.HAPPY),
    Row(S.SENDING_QUERY, T.STATEMENT_SENT, S.PREPARING),
    Row(S.SENDING_QUERY, T.QUERY_ABANDONED, S.CLOSED, ends=Cause.CLIENT),
    Row(S.SENDING_QUERY, T.CONNECTION_LOST, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.SENDING_QUERY, T.DEADLINE_PASSED, S.CLOSED, way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.SENDING_QUERY, T.CLOSE_ORDERED, S.CLOSED, way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the server prepares the statement
    Row(S.PREPARING, T.STATEMENT_PREPARED, S.SENDING_QUERY, action="send_query"),
    Row(S.PREPARING, T.RESULT_RECEIVED, S.IN_TRANSACTION, "is_in_transaction", "deliver_result", Way.FAULT),
    Row(S.PREPARING, T.RESULT_RECEIVED, S.IDLE, "is_clean", "release", Way.FAULT),
    Row(S.PREPARING, T.RESULT_RECEIVED, S.RESETTING, action="reset_session", way=Way.FAULT),
    Row(S.PREPARING, T.QUERY_ABANDONED, S.RESETTING, action="reset_session"),
    Row(S.PREPARING, T.DEADLINE_PASSED, S.RESETTING, action="reset_session", way=Way.FAULT),
    Row(S.PREPARING, T.CONNECTION_LOST, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.PREPARING, T.CLOSE_ORDERED, S.CLOSED, way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the server runs the query
    Row(S.AWAITING_RESULT, T.RESULT_RECEIVED, S.IN_TRANSACTION, "is_in_transaction", "deliver_result"),
    Row(S.AWAITING_RESULT, T.RESULT_RECEIVED, S.IDLE, "is_clean", "release", Way.HAPPY),
    Row(S.AWAITING_RESULT, T.RESULT_RECEIVED, S.RESETTING, action="reset_session"),
    Row(S.AWAITING_RESULT, T.RESULT_REFUSED, S.RESETTING, action="reset_session", way=Way.FAULT),
    Row(S.AWAITING_RESULT, T.QUERY_ABANDONED, S.RESETTING, action="reset_session"),
    Row(S.AWAITING_RESULT, T.DEADLINE_PASSED, S.RESETTING, action="reset_session", way=Way.FAULT),
    Row(S.AWAITING_RESULT, T.CONNECTION_LOST, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_RESULT, T.CLOSE_ORDERED, S.CLOSED, way=Way.FAULT, ends=Cause.OPERATOR),
    # --- between the queries of a transaction
    Row(S.IN_TRANSACTION, T.QUERY_GIVEN, S.SENDING_QUERY, action="send_query"),
    Row(S.IN_TRANSACTION, T.TRANSACTION_ABANDONED, S.RESETTING, action="reset_session"),
    Row(S.IN_TRANSACTION, T.DEADLINE_PASSED, S.RESETTING, action="reset_session", way=Way.FAULT),
    Row(S.IN_TRANSACTION, T.CONNECTION_LOST, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.IN_TRANSACTION, T.CLOSE_ORDERED, S.CLOSED, way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the session is reset
    Row(S.RESETTING, T.SESSION_CLEANED, S.IDLE, action="offer"),
    Row(S.RESETTING, T.RESET_FAILED, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.RESETTING, T.CONNECTION_LOST, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.RESETTING, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.OPERATOR),
)

_SENT = (T.STATEMENT_SENT, T.QUERY_SENT, T.CONNECTION_LOST)

HANDS_BACK: HandsBack = {
    (S.CONNECTING, "poll_connection"): (T.ANSWER_AWAITED, T.SESSION_STARTED, T.CONNECTION_LOST),
    (S.AUTHENTICATING, "poll_connection"): (T.WRITING_AWAITED, T.SESSION_STARTED, T.CONNECTION_LOST),
    "notice_input": (T.CONNECTION_LOST,),
    "flush_query": _SENT,
    "read_prepared": (T.STATEMENT_PREPARED, T.RESULT_RECEIVED, T.CONNECTION_LOST),
    "read_result": (T.RESULT_RECEIVED, T.RESULT_REFUSED, T.CONNECTION_LOST),
    "notice_hang_up": (T.CONNECTION_LOST,),
    "offer": (T.QUERY_GIVEN,),
    "release": (T.QUERY_GIVEN,),
    "send_query": _SENT,
    "reset_session": (T.RESET_FAILED,),
}

TABLE = Table(
    name="postgres",
    states=State,
    triggers=Trigger,
    initial=S.CONNECTING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.CONNECTION_LOST}),
    hands_back=HANDS_BACK,
)
