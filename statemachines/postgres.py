"""The machine of a session with PostgreSQL: we are the client, and ask for the handlers.

    CONNECTING -> AUTHENTICATING -> IDLE -> SENDING_QUERY -> AWAITING_RESULT -> IDLE -> ...

is a new session, and a query whose bytes the socket takes at once. What the table settles:

- *libpq says what it waits for, we wait for it.* While a session is being made it wants to write (CONNECTING) or to
  read (AUTHENTICATING) by turns; each is a state, since interest is a function of the state.
- *A session belongs to one at a time*: to the pool while it is IDLE, to the query that it carries out, or to the
  handler whose transaction it holds (IN_TRANSACTION). Locks are held there, so that wait has a deadline like any other.
- *Nobody gets a dirty session.* A query that is given up is cancelled by a request on a connection of its own
  (CANCELLING; statemachines.postgres_cancel). Only when the server has taken that request is the session looked at
  again, so a late one can not hit the next query. Then what is still to come is discarded, what was begun rolled back
  (RESETTING), and where that does not succeed the session is closed.
- *A request to cancel may come too early*: before the server has begun with the query it does nothing (there was
  nothing to stop). Then no result comes, and it is asked again, a few times.
- *Half a query can not be taken back*: given up while it is being sent, the session is closed.
- *Nothing is asked twice here.* When the server is lost, whoever waits is told so; whether a change was made is not
  known, and to ask again is for who knows what it meant.
- Every row into CLOSED says who ended the session; the server is the upstream.
"""

from enum import auto
from typing import Protocol

from statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    CONNECTING = auto()
    AUTHENTICATING = auto()
    IDLE = auto()
    SENDING_QUERY = auto()
    AWAITING_RESULT = auto()
    IN_TRANSACTION = auto()
    CANCELLING = auto()
    RESETTING = auto()
    CLOSED = auto()


class Trigger(Name):
    ANSWER_AWAITED = auto()
    """What there was to say is said: the next step of the connecting is the server's."""
    WRITING_AWAITED = auto()
    """The next step of the connecting is ours, as soon as the socket takes it: it may be another socket."""
    SESSION_STARTED = auto()
    """The server is ready for queries."""
    QUERY_GIVEN = auto()
    """Somebody wants a query carried out."""
    QUERY_SENT = auto()
    """The socket has taken the whole query."""
    RESULT_RECEIVED = auto()
    """The whole result, or the error, is there."""
    RESULT_REFUSED = auto()
    """The result is larger than we take, or none that we can take."""
    QUERY_ABANDONED = auto()
    """Whoever asked does not want the result any more."""
    TRANSACTION_ABANDONED = auto()
    """The handler has left its transaction by an error, or has been given up itself."""
    CANCEL_SENT = auto()
    """The server has taken the request to cancel."""
    CANCEL_FAILED = auto()
    """It has not."""
    SESSION_CLEAN = auto()
    """The session is as good as a new one."""
    RESET_FAILED = auto()
    """It can not be made so."""
    CONNECTION_LOST = auto()
    """The server can not be reached, or has ended the session."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """An operator, or the end of the process, wants this session closed now."""


class Model(Protocol):
    """What the shell of a session does."""

    def poll_connection(self, ready: int) -> Name | None:
        """One step of connecting; ANSWER_AWAITED, WRITING_AWAITED, SESSION_STARTED or CONNECTION_LOST."""

    def notice_input(self, ready: int) -> Name | None:
        """Nothing was asked: take notices and notifications, which nobody reads; CONNECTION_LOST at the end."""

    def flush_query(self, ready: int) -> Name | None:
        """Write what the socket takes; QUERY_SENT or CONNECTION_LOST."""

    def read_result(self, ready: int) -> Name | None:
        """Read once; RESULT_RECEIVED, RESULT_REFUSED or CONNECTION_LOST."""

    def notice_hang_up(self, ready: int) -> Name | None:
        """CONNECTION_LOST when the connection is gone. Nothing is read."""

    def discard_results(self, ready: int) -> Name | None:
        """Read once and forget, then ask for the next thing to be undone; SESSION_CLEAN, RESET_FAILED or
        CONNECTION_LOST."""

    def has_more_to_send(self) -> bool:
        """Whether what came was only the first step, the preparing of the statement."""

    def is_in_transaction(self) -> bool:
        """Whether a handler holds the session for its transaction, which is open."""

    def is_clean(self) -> bool:
        """Whether no transaction is open: the session may be anybody's."""

    def may_cancel_again(self) -> bool:
        """Whether the result of what was cancelled has not come, and the server may be asked once more to stop."""

    def offer(self) -> Name | None:
        """Give the session to the next who waits, QUERY_GIVEN; None leaves it in the pool."""

    def send_query(self) -> Name | None:
        """Begin the next step of the query; QUERY_SENT or CONNECTION_LOST, or None to wait for the socket."""

    def cancel_query(self) -> Name | None:
        """Detach whoever asked, and begin a request to cancel; CANCEL_FAILED when there can be none."""

    def roll_back(self) -> Name | None:
        """Detach the handler, and undo its transaction; as discard_results."""

    def reset_session(self) -> Name | None:
        """Discard what comes and undo everything that a session can have been told; as discard_results."""


S, T = State, Trigger

CONNECT = Deadline("connect", "postgres_connect_timeout", 5.0, "for one address to accept; a few lost packets")
LOGIN = Deadline("login", "postgres_login_timeout", 5.0, "for the server to answer while a session is made")
IDLE = Deadline(
    "idle", "postgres_idle_timeout", 300.0, "in the pool; a session costs the server a process, so it is given back"
)
SEND = Deadline("send", "postgres_send_timeout", 10.0, "for the server to take a query; it reads at once or is stuck")
QUERY = Deadline(
    "query", "postgres_query_timeout", 25.0, "for a result, then 504; shorter than a handler's time, which adds waiting"
)
HOLD = Deadline(
    "transaction",
    "postgres_transaction_timeout",
    30.0,
    "for a handler to go on with its transaction, which has locks",
)
CANCEL = Deadline("cancel", "postgres_cancel_timeout", 5.0, "for the request to cancel to be taken; else it is dropped")
RESET = Deadline("reset", "postgres_reset_timeout", 2.0, "for the session to be made clean; else it is dropped")

SPECS = (
    Spec(S.CONNECTING, Interest.WRITABLE, CONNECT, "poll_connection", "the server's address has not accepted yet"),
    Spec(S.AUTHENTICATING, Interest.READABLE, LOGIN, "poll_connection", "the server has not yet said it is ready"),
    Spec(S.IDLE, Interest.READABLE, IDLE, "notice_input", "in the pool; nothing has been asked"),
    Spec(
        S.SENDING_QUERY,
        Interest.READABLE | Interest.WRITABLE,
        SEND,
        "flush_query",
        "bytes of the query wait for the socket; what comes is taken meanwhile",
    ),
    Spec(S.AWAITING_RESULT, Interest.READABLE, QUERY, "read_result", "the query is sent; its result is not all there"),
    Spec(S.IN_TRANSACTION, Interest.READABLE, HOLD, "notice_input", "a handler holds it, and does something else"),
    Spec(S.CANCELLING, Interest.HANG_UP, CANCEL, "notice_hang_up", "the server is being asked to stop the query"),
    Spec(S.RESETTING, Interest.READABLE, RESET, "discard_results", "results are discarded, and what was begun undone"),
    Spec(S.CLOSED, Interest.NOTHING, Unbounded("it is final"), "", "the descriptor is given back", final=True),
)

ROWS = (
    # --- a session is made
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
    # --- the query goes out
    Row(S.SENDING_QUERY, T.QUERY_SENT, S.AWAITING_RESULT, way=Way.HAPPY),
    Row(S.SENDING_QUERY, T.QUERY_ABANDONED, S.CLOSED, ends=Cause.CLIENT),
    Row(S.SENDING_QUERY, T.CONNECTION_LOST, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.SENDING_QUERY, T.DEADLINE_PASSED, S.CLOSED, way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.SENDING_QUERY, T.CLOSE_ORDERED, S.CLOSED, way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the server is at it
    Row(S.AWAITING_RESULT, T.RESULT_RECEIVED, S.SENDING_QUERY, "has_more_to_send", "send_query"),
    Row(S.AWAITING_RESULT, T.RESULT_RECEIVED, S.IN_TRANSACTION, "is_in_transaction"),
    Row(S.AWAITING_RESULT, T.RESULT_RECEIVED, S.IDLE, "is_clean", "offer", Way.HAPPY),
    Row(S.AWAITING_RESULT, T.RESULT_RECEIVED, S.RESETTING, "", "reset_session"),
    Row(S.AWAITING_RESULT, T.RESULT_REFUSED, S.CANCELLING, action="cancel_query", way=Way.FAULT),
    Row(S.AWAITING_RESULT, T.QUERY_ABANDONED, S.CANCELLING, action="cancel_query"),
    Row(S.AWAITING_RESULT, T.DEADLINE_PASSED, S.CANCELLING, action="cancel_query", way=Way.FAULT),
    Row(S.AWAITING_RESULT, T.CONNECTION_LOST, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_RESULT, T.CLOSE_ORDERED, S.CLOSED, way=Way.FAULT, ends=Cause.OPERATOR),
    # --- between the queries of a transaction
    Row(S.IN_TRANSACTION, T.QUERY_GIVEN, S.SENDING_QUERY, action="send_query"),
    Row(S.IN_TRANSACTION, T.TRANSACTION_ABANDONED, S.RESETTING, action="roll_back"),
    Row(S.IN_TRANSACTION, T.DEADLINE_PASSED, S.RESETTING, action="roll_back", way=Way.FAULT),
    Row(S.IN_TRANSACTION, T.CONNECTION_LOST, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.IN_TRANSACTION, T.CLOSE_ORDERED, S.CLOSED, way=Way.FAULT, ends=Cause.OPERATOR),
    # --- a query is given up
    Row(S.CANCELLING, T.CANCEL_SENT, S.RESETTING, action="reset_session"),
    Row(S.CANCELLING, T.CANCEL_FAILED, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.CANCELLING, T.CONNECTION_LOST, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.CANCELLING, T.DEADLINE_PASSED, S.CLOSED, way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.CANCELLING, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.OPERATOR),
    # --- the session is made clean
    Row(S.RESETTING, T.SESSION_CLEAN, S.IDLE, action="offer"),
    Row(S.RESETTING, T.RESET_FAILED, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.RESETTING, T.CONNECTION_LOST, S.CLOSED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.RESETTING, T.DEADLINE_PASSED, S.CANCELLING, "may_cancel_again", "cancel_query", Way.FAULT),
    Row(S.RESETTING, T.DEADLINE_PASSED, S.CLOSED, way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.RESETTING, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.OPERATOR),
)

TABLE = Table(
    name="postgres",
    states=State,
    triggers=Trigger,
    initial=S.CONNECTING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.CONNECTION_LOST}),
)
