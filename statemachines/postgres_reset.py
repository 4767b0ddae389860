"""The machine that returns a session with PostgreSQL to its initial state before another request gets it.

    DISCARDING -> FORGETTING -> CLEAN

is a session on which something was set (a setting, a lock, a temporary table). The table says:

- *First the server must be idle.* Results that are still to come are read and discarded. If a query is still running,
  a cancel request is sent on a connection of its own (CANCELLING; statemachines.postgres_cancel). Nothing is read
  meanwhile: the session is read again only when the server has taken that request, so that a late request cannot
  hit the next query.
- *A cancel request may come too early*: before the server has begun with the query it has no effect. Then the results
  do not end, and the request is repeated, a few times.
- *Then an open transaction is rolled back* (ROLLING_BACK), and what the session remembers is reset (FORGETTING).
- *If any of this fails the session is closed* (FAILED).

It waits on a descriptor of its own for the session's socket. The session stays in RESETTING until this has ended.
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
    DISCARDING = auto()
    CANCELLING = auto()
    ROLLING_BACK = auto()
    FORGETTING = auto()
    CLEAN = auto()
    FAILED = auto()


class Trigger(Name):
    RESULTS_ENDED = auto()
    """The results are complete, and the server waits for the next statement."""
    CANCEL_WANTED = auto()
    """The server is still running a query, and no cancel request has been sent."""
    CANCEL_SENT = auto()
    """The server has taken the cancel request."""
    CANCEL_FAILED = auto()
    """It has not taken it."""
    RESET_REFUSED = auto()
    """The server refuses the statement that resets, or is in a state that no statement resets."""
    CONNECTION_LOST = auto()
    """The server has ended the session."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """The session is being closed."""


class Model(Protocol):
    """What the shell of a reset does."""

    def discard_results(self, ready: int) -> Name | None:
        """Read once and discard; RESULTS_ENDED, CANCEL_WANTED, RESET_REFUSED or CONNECTION_LOST."""

    def read_answer(self, ready: int) -> Name | None:
        """Read once; RESULTS_ENDED, RESET_REFUSED or CONNECTION_LOST."""

    def notice_hang_up(self, ready: int) -> Name | None:
        """CONNECTION_LOST if the connection is gone. Nothing is read."""

    def is_in_transaction(self) -> bool:
        """Whether a transaction is open."""

    def is_soiled(self) -> bool:
        """Whether the session may remember something."""

    def may_cancel_again(self) -> bool:
        """Whether another cancel request may be sent."""

    def request_cancel(self) -> Name | None:
        """Begin a cancel request; CANCEL_FAILED if that is not possible."""

    def look_again(self) -> Name | None:
        """As discard_results, for what libpq has already read."""

    def roll_back(self) -> Name | None:
        """Send ROLLBACK; RESET_REFUSED or CONNECTION_LOST if it cannot be sent."""

    def forget(self) -> Name | None:
        """Send the statements that reset the session; as roll_back."""


S, T = State, Trigger

DISCARD = Deadline(
    "discard", "postgres_discard_timeout", 2.0, "for unwanted results to end; then a cancel request is sent"
)
CANCEL = Deadline(
    "cancel", "postgres_cancel_timeout", 5.0, "for the cancel request to be taken, else the session is closed"
)
ROLL_BACK = Deadline(
    "rollback", "postgres_rollback_timeout", 2.0, "for a transaction to be rolled back, else the session is closed"
)
RESET = Deadline("reset", "postgres_reset_timeout", 2.0, "for a session to be reset, else it is closed")

SPECS = (
    Spec(S.DISCARDING, Interest.READABLE, DISCARD, "discard_results", "an unwanted result is being read"),
    Spec(
        S.CANCELLING,
        Interest.HANG_UP,
        CANCEL,
        "notice_hang_up",
        "a cancel request is being sent",
        awaits="the cancel request",
    ),
    Spec(S.ROLLING_BACK, Interest.READABLE, ROLL_BACK, "read_answer", "the transaction is being rolled back"),
    Spec(
        S.FORGETTING, Interest.READABLE, RESET, "read_answer", "settings, locks, cursors and the like are being reset"
    ),
    Spec(S.CLEAN, Interest.NOTHING, Unbounded("it is final"), "", "the session has been reset", final=True),
    Spec(S.FAILED, Interest.NOTHING, Unbounded("it is final"), "", "the session must be closed", final=True),
)

ROWS = (
    # --- unwanted results
    Row(S.DISCARDING, T.RESULTS_ENDED, S.ROLLING_BACK, "is_in_transaction", "roll_back"),
    Row(S.DISCARDING, T.RESULTS_ENDED, S.FORGETTING, "is_soiled", "forget", Way.HAPPY),
    Row(S.DISCARDING, T.RESULTS_ENDED, S.CLEAN, ends=Cause.SERVER),
    Row(S.DISCARDING, T.CANCEL_WANTED, S.CANCELLING, action="request_cancel"),
    Row(S.DISCARDING, T.DEADLINE_PASSED, S.CANCELLING, "may_cancel_again", "request_cancel", Way.FAULT),
    Row(S.DISCARDING, T.DEADLINE_PASSED, S.FAILED, way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.DISCARDING, T.RESET_REFUSED, S.FAILED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.DISCARDING, T.CONNECTION_LOST, S.FAILED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.DISCARDING, T.CLOSE_ORDERED, S.FAILED, ends=Cause.OPERATOR),
    # --- the query is cancelled
    Row(S.CANCELLING, T.CANCEL_SENT, S.DISCARDING, action="look_again"),
    Row(S.CANCELLING, T.CANCEL_FAILED, S.FAILED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.CANCELLING, T.CONNECTION_LOST, S.FAILED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.CANCELLING, T.DEADLINE_PASSED, S.FAILED, way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.CANCELLING, T.CLOSE_ORDERED, S.FAILED, ends=Cause.OPERATOR),
    # --- the transaction
    Row(S.ROLLING_BACK, T.RESULTS_ENDED, S.FORGETTING, "is_soiled", "forget"),
    Row(S.ROLLING_BACK, T.RESULTS_ENDED, S.CLEAN, ends=Cause.SERVER),
    Row(S.ROLLING_BACK, T.RESET_REFUSED, S.FAILED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.ROLLING_BACK, T.CONNECTION_LOST, S.FAILED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.ROLLING_BACK, T.DEADLINE_PASSED, S.FAILED, way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.ROLLING_BACK, T.CLOSE_ORDERED, S.FAILED, ends=Cause.OPERATOR),
    # --- what the session remembers
    Row(S.FORGETTING, T.RESULTS_ENDED, S.CLEAN, way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.FORGETTING, T.RESET_REFUSED, S.FAILED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.FORGETTING, T.CONNECTION_LOST, S.FAILED, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.FORGETTING, T.DEADLINE_PASSED, S.FAILED, way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.FORGETTING, T.CLOSE_ORDERED, S.FAILED, ends=Cause.OPERATOR),
)

HANDS_BACK: HandsBack = {
    "discard_results": (T.RESULTS_ENDED, T.CANCEL_WANTED, T.RESET_REFUSED, T.CONNECTION_LOST),
    "look_again": (T.RESULTS_ENDED, T.RESET_REFUSED, T.CONNECTION_LOST),
    "read_answer": (T.RESULTS_ENDED, T.RESET_REFUSED, T.CONNECTION_LOST),
    "notice_hang_up": (T.CONNECTION_LOST,),
    "request_cancel": (T.CANCEL_FAILED,),
    "roll_back": (T.RESET_REFUSED, T.CONNECTION_LOST),
    "forget": (T.RESET_REFUSED, T.CONNECTION_LOST),
}

TABLE = Table(
    name="postgres_reset",
    states=State,
    triggers=Trigger,
    initial=S.DISCARDING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.CONNECTION_LOST}),
    hands_back=HANDS_BACK,
)
