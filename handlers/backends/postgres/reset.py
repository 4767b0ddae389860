"""The shell of a reset: what is sent to return a session to its initial state, and what is received.

The table (statemachines.postgres_reset) says what happens when. A reset waits on a descriptor of its own, a duplicate
of the session's; meanwhile the session waits for its end, and does not read. It notifies the session after the loop has
removed it, so that no machine is moved within the step of another.
"""

import os

import psycopg
from psycopg import pq

from clerestory.handlers.api.operations import span
from clerestory.handlers.backends.postgres.cancel import request_cancel
from clerestory.handlers.backends.postgres.query import Runner
from clerestory.handlers.backends.postgres.size import Arrivals
from clerestory.handlers.backends.postgres.statement import Mark
from clerestory.statemachines.contract import HUNG_UP
from clerestory.statemachines.engine import Machine
from clerestory.statemachines.loop import Loop
from clerestory.statemachines.postgres_reset import State as S
from clerestory.statemachines.postgres_reset import Trigger as T

MAX_CANCELS = 3
"""Cancel requests for one query: the first may have come before the server had begun with it."""

# As numbers, as in libpq: looking up enum members each time is slower.
COPIES = frozenset(map(int, (pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH)))
OPEN = frozenset(map(int, (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR)))
ACTIVE = int(pq.TransactionStatus.ACTIVE)
IDLE = int(pq.TransactionStatus.IDLE)
_FATAL_ERROR = int(pq.ExecStatus.FATAL_ERROR)


class Reset(Machine):
    """The reset of `session`; `cancels` counts the cancel requests."""

    __slots__ = ("_arrivals", "born", "cancels", "session")

    def __init__(self, session: Runner) -> None:
        super().__init__(session.pool.reset_engine, os.dup(session.pgconn.socket))
        self.born = self.since
        self.session: Runner = session
        self.cancels = 0
        self._arrivals = Arrivals(self.descriptor, is_secure=session.pgconn.ssl_in_use)

    @property
    def loop(self) -> Loop:
        """The loop that it is on."""
        return self.session.loop

    def is_brief(self) -> bool:
        """Whether the server is idle and only has to reset: the session will be free in a moment."""
        if self.node.state is S.DISCARDING:
            return self.session.pgconn.transaction_status != ACTIVE
        return self.cancels == 0

    def describe(self) -> str:
        """For an operator: `postgres_reset#3 CANCELLING 0.2 s <- fd 21 nothing but a disconnect`."""
        node, stay = self.node, span(self.loop.clock() - self.since)
        phrase = node.spec.phrase()
        return f"postgres_reset#{self.session.number} {node.state} {stay} <- fd {self.descriptor} {phrase}"

    def facts(self) -> tuple[object, ...]:
        """As Machine.facts: contract.Facts."""
        return (self.session.number, self.session.pool.name, self.born)

    # --- when ready

    def discard_results(self, ready: int) -> T | None:
        """Read once and discard. What comes after a cancel request is limited, since libpq stores it."""
        pgconn, session = self.session.pgconn, self.session
        try:
            if ready:
                self._arrivals.before_read()
                session.consume()
                self._arrivals.after_read()
            while not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:
                    status = pgconn.transaction_status
                    return T.RESULTS_ENDED if status == IDLE or status in OPEN else T.RESET_REFUSED
                if result.status in COPIES:
                    return T.RESET_REFUSED
        except psycopg.Error as error:
            return self._lost(error)
        if self._arrivals.total > session.pool.max_bytes:
            return T.RESET_REFUSED
        return None if self.cancels else T.CANCEL_WANTED

    def read_answer(self, ready: int) -> T | None:  # noqa: ARG002
        """Read once: whether the server has reset the session."""
        pgconn = self.session.pgconn
        try:
            self.session.consume()
            while not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:
                    return T.RESULTS_ENDED if pgconn.transaction_status == IDLE else T.RESET_REFUSED
                if result.status == _FATAL_ERROR or result.status in COPIES:
                    return T.RESET_REFUSED
        except psycopg.Error as error:
            return self._lost(error)
        return None

    def notice_hang_up(self, ready: int) -> T | None:
        """Nothing is read during a cancel request; only the end of the connection is noticed."""
        return T.CONNECTION_LOST if ready & HUNG_UP else None

    # --- guards

    def is_in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.session.pgconn.transaction_status in OPEN

    def is_soiled(self) -> bool:
        """Whether there is something that the session is to forget."""
        session = self.session
        return bool(session.pool.hygiene.statement(session.mark))

    def may_cancel_again(self) -> bool:
        """Whether the server may be asked once more."""
        return self.cancels < MAX_CANCELS

    # --- actions

    def request_cancel(self) -> T | None:
        """Send a cancel request."""
        self.cancels += 1
        return None if request_cancel(self, self.session) else T.CANCEL_FAILED

    def look_again(self) -> T | None:
        """Process what libpq has already read."""
        return self.discard_results(0)

    def roll_back(self) -> T | None:
        """Roll the transaction back."""
        return self._send(b"ROLLBACK")

    def forget(self) -> T | None:
        """Send the statement that resets the session."""
        session = self.session
        if session.mark is Mark.STATEMENTS:
            session.prepared.clear()
        return self._send(session.pool.hygiene.statement(session.mark))

    def _send(self, statement: bytes) -> T | None:
        pgconn = self.session.pgconn
        try:
            pgconn.send_query(statement)
            return T.RESET_REFUSED if pgconn.flush() else None
        except psycopg.Error as error:
            return self._lost(error)

    def _lost(self, error: psycopg.Error) -> T:
        self.session.reason = str(error)
        return T.CONNECTION_LOST

    # --- the end

    def ended(self) -> None:
        """Notify the session, unless the loop itself is being closed."""
        if self.node.final:
            self.session.reset_ended(self, is_clean=self.node.state is S.CLEAN)

    def close(self) -> None:
        """Close the duplicate."""
        os.close(self.descriptor)
