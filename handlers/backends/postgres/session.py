"""The shell of a session with PostgreSQL: libpq, driven by the loop.

The table (statemachines.postgres) says what happens when; here is how. libpq is called through psycopg's `pq` layer,
and never blocks. The methods share these rules:

- libpq owns its socket, and may close it and open another while it connects. So the loop gets a duplicate descriptor
  (`dup`), which only the loop closes;
- who is given a result goes on when the session's own walk has ended (`Loop.tell`): it may use the session again;
- a statement that is used often is prepared, on each session separately (prepared.py);
- what a session may remember of a statement is recorded (`mark`) when the statement is sent: even one that fails may
  have taken a lock;
- rows arrive in parts of CHUNK, so that a result that is too large is stopped before all of it is in memory.
"""

import os
from typing import Any

import psycopg
from psycopg import pq

from clerestory.handlers.api.operations import span
from clerestory.handlers.backends.postgres.cancel import follow_socket
from clerestory.handlers.backends.postgres.errors import FORGOTTEN, late, unavailable
from clerestory.handlers.backends.postgres.prepared import FREQUENT, Step
from clerestory.handlers.backends.postgres.query import Query, Runner, Sessions, Transaction
from clerestory.handlers.backends.postgres.reset import COPIES, IDLE, OPEN, Reset
from clerestory.handlers.backends.postgres.size import Arrivals
from clerestory.handlers.backends.postgres.statement import Mark
from clerestory.statemachines.contract import HUNG_UP, Interest
from clerestory.statemachines.engine import Machine
from clerestory.statemachines.postgres import State as S
from clerestory.statemachines.postgres import Trigger as T
from clerestory.statemachines.postgres_reset import Trigger as ResetTrigger

CHUNK = 1000
"""Rows in a part of a result: large enough that an ordinary result is a single part."""

_READABLE = int(Interest.READABLE)
_MAKING = frozenset({S.CONNECTING, S.AUTHENTICATING})


class Session(Runner):
    """One session of `pool`; `others` are the attempts that remain if this one fails. `reset` is the running reset."""

    __slots__ = ("_inode", "_step", "born", "others", "reset", "served")

    def __init__(self, pool: Sessions, number: int, pgconn: pq.abc.PGconn, others: list[str]) -> None:
        super().__init__(pool, number, pgconn)
        self.others = others
        self.reset: Reset | None = None
        self.served = 0
        self.born = self.since
        self._step: Step | None = None
        self._inode = os.fstat(self.descriptor).st_ino

    def is_being_made(self) -> bool:
        """Whether it is not yet open, or has ended before it was."""
        state = self.node.state if not self.node.final else self.history[-1][1].source.state
        return state in _MAKING

    def describe(self) -> str:
        """As Runner.describe."""
        node, stay = self.node, span(self.loop.clock() - self.since)
        reset = self.reset  # other threads may call this
        supply = reset.describe() if reset is not None else f"fd {self.descriptor} {node.spec.phrase()}"
        return f"postgres#{self.number} {node.state} {stay} <- {supply}"

    def facts(self) -> tuple[Any, ...]:
        """As Machine.facts: contract.Facts."""
        return (self.number, self.pool.name, self.born, 0, 0, self.served)

    # --- when ready

    def poll_connection(self, ready: int) -> T | None:  # noqa: ARG002
        """One step of connecting."""
        status = self.pgconn.connect_poll()
        if status == pq.PollingStatus.OK:
            self.pgconn.nonblocking = 1
            self.pool.reached()
            return T.SESSION_STARTED
        if status == pq.PollingStatus.FAILED:
            self.reason = self.pgconn.get_error_message()
            return T.CONNECTION_LOST
        self._inode = follow_socket(self.loop, self, self.pgconn.socket, self._inode)
        if status == pq.PollingStatus.READING:
            return T.ANSWER_AWAITED if self.node.state is S.CONNECTING else None
        return T.WRITING_AWAITED if self.node.state is S.AUTHENTICATING else None

    def notice_input(self, ready: int) -> T | None:  # noqa: ARG002
        """No query is running: read and discard notices, or notice the end of the connection."""
        try:
            self.consume()
        except psycopg.Error as error:
            return self._lost(error)
        self.pgconn.is_busy()  # parses what has arrived; no result is expected
        return None

    def flush_query(self, ready: int) -> T | None:
        """Write what the socket takes, and read: a server that does not read may be waiting for us to read."""
        try:
            if ready & _READABLE:
                self.consume()
                self.loop.schedule_read(self)  # the kernel will not report it again
            if self.pgconn.flush():
                return None
        except psycopg.Error as error:
            return self._lost(error)
        return T.QUERY_SENT if self._step is None else T.STATEMENT_SENT

    def read_prepared(self, ready: int) -> T | None:  # noqa: ARG002
        """Read once; at the end of the response the query is next, or has its error."""
        pgconn, query = self.pgconn, self.query
        assert query is not None
        assert self._step is not None
        try:
            self.consume()
            while not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:
                    step, self._step = self._step, None
                    if query.error is not None:
                        return T.RESULT_RECEIVED
                    self.prepared.done(step, self.served)
                    return T.STATEMENT_PREPARED
                query.receive(result, self.pool.transformer)
        except psycopg.Error as error:
            return self._lost(error)
        return None

    def read_result(self, ready: int) -> T | None:  # noqa: ARG002
        """Read once; RESULT_RECEIVED at the end of the result, RESULT_REFUSED if it is not acceptable."""
        query = self.query
        assert query is not None
        arrivals = query.arrivals
        try:
            if arrivals is None:
                self.consume()
            else:
                arrivals.before_read()
                self.consume()
                arrivals.after_read()
            fact = self._take_results(query)
        except psycopg.Error as error:
            return self._lost(error)
        if fact is not None:
            return fact
        if arrivals is None:
            query.arrivals = Arrivals(self.descriptor, is_secure=self.pgconn.ssl_in_use)
        elif arrivals.total > self.pool.max_bytes:
            return self._refuse(query, f"the result has more than {self.pool.max_bytes} bytes")
        return None

    def notice_hang_up(self, ready: int) -> T | None:
        """The reset reads; here only the end of the connection is noticed."""
        return T.CONNECTION_LOST if ready & HUNG_UP else None

    # --- guards

    def is_in_transaction(self) -> bool:
        """Whether a handler's transaction is open."""
        return self.transaction is not None and self.pgconn.transaction_status in OPEN

    def is_clean(self) -> bool:
        """Whether no transaction is open, and nothing needs a reset."""
        if self.pgconn.transaction_status != IDLE:
            return False
        return self.mark is Mark.NOTHING or not self.pool.hygiene.statement(self.mark)

    # --- actions

    def offer(self) -> T | None:
        """Give the session to the next query in the queue."""
        self.transaction = None
        query = self.pool.next_query()
        if query is None:
            return None
        self._take(query)
        return T.QUERY_GIVEN

    def release(self) -> T | None:
        """Deliver the result, and offer the session: a query that waits is sent before the caller goes on."""
        answered, self.query = self.query, None
        fact = self.offer()
        assert answered is not None
        self.served += 1
        answered.deliver()
        return fact

    def deliver_result(self) -> None:
        """Deliver the result within the transaction."""
        self._deliver()

    def send_query(self) -> T | None:
        """Begin the next step of the query: prepare the statement, or run it."""
        query, pgconn, prepared = self.query, self.pgconn, self.prepared
        assert query is not None
        entry = prepared.entries.get(query.key)
        try:
            if entry is not None:
                entry.used, mark = self.served, entry.mark
                pgconn.send_query_prepared(entry.name, query.parameters, query.formats)
            else:
                known = self.pool.statements.count(query.key)
                mark = known.mark
                if known.uses > FREQUENT and prepared.most:
                    self._step = prepared.next_step(query.key, mark, self.served)
                if self._step is not None:
                    self._send_step(self._step, query)
                    return self.flush_query(0)
                pgconn.send_query_params(query.statement, query.parameters, query.types, query.formats)
            if mark > self.mark:
                self.mark = mark
            if self.pool.chunked:
                pgconn.set_chunked_rows_mode(CHUNK)
        except psycopg.Error as error:
            return self._lost(error)
        return self.flush_query(0)

    def _send_step(self, step: Step, query: Query[Any]) -> None:
        if step.key is not None:
            self.pgconn.send_prepare(step.name, query.statement, query.types)
        else:
            self.pgconn.send_close_prepared(step.name)

    def reset_session(self) -> T | None:
        """Begin the reset; then deliver the result, or 504 if the deadline has passed."""
        query = self.query
        if self._step is not None:
            self.prepared.given_up(self._step)
            self._step = None
        if query is not None and self.history[-1][1].trigger is T.DEADLINE_PASSED:
            query.fail(late())
        self.transaction = None
        try:
            self.reset = reset = Reset(self)
        except (psycopg.Error, OSError) as error:
            self.reason = str(error)
            self._deliver()
            return T.RESET_FAILED
        self.loop.add(reset)
        self.loop.schedule_read(reset)
        self._deliver()
        return None

    def _deliver(self) -> None:
        """Deliver the result, or the error, to the caller."""
        query, self.query = self.query, None
        if query is not None:
            self.served += 1
            query.deliver()

    # --- from outside

    def use(self, query: Query[Any]) -> None:
        """As Runner.use."""
        self._take(query)
        self.loop.tell(self, T.QUERY_GIVEN, query)

    def is_free(self) -> bool:
        """Whether it may be given a query: it is IDLE, and was not given one in this turn."""
        return self.node.state is S.IDLE and self.query is None

    def is_about(self, payload: object) -> bool:
        """As Machine.is_about: messages name a query, or a transaction."""
        return payload is self.query or payload is self.transaction

    def _take(self, query: Query[Any]) -> None:
        self.query = query
        query.session = self
        if query.opens is not None:
            self.transaction = query.opens
            query.opens.session = self

    def abandon(self, transaction: Transaction) -> None:
        """As Runner.abandon."""
        if self.transaction is transaction:
            self.loop.tell(self, T.TRANSACTION_ABANDONED, transaction)

    def give_up(self, query: Query[Any]) -> None:
        """As Runner.give_up."""
        if self.query is query:
            self.loop.tell(self, T.QUERY_ABANDONED, query)

    def reset_ended(self, reset: Machine, *, is_clean: bool) -> None:
        """As Runner.reset_ended."""
        if self.reset is not reset:
            return
        self.reset = None
        if is_clean:
            self.mark = Mark.NOTHING
        self.loop.tell(self, T.SESSION_CLEANED if is_clean else T.RESET_FAILED)

    def ended(self) -> None:
        """Notify the caller and the pool, and end the reset."""
        query, self.query = self.query, None
        reset, self.reset = self.reset, None
        self.transaction = None
        if reset is not None:
            self.loop.tell(reset, ResetTrigger.CLOSE_ORDERED)
        if query is not None and self.node.final:
            query.fail(
                unavailable("closed", "The database connection was lost; the outcome of the statement is unknown.")
            )
            query.deliver()
        self.pool.left(self)

    def close(self) -> None:
        """Close our descriptor, then libpq's."""
        os.close(self.descriptor)
        self.pgconn.finish()

    # --- libpq

    def consume(self) -> None:
        """As Runner.consume."""
        self.pgconn.consume_input()
        while self.pgconn.notifies():
            """Discard notifications."""

    def _take_results(self, query: Query[Any]) -> T | None:
        """Take the received parts; RESULT_RECEIVED at the end of the result, RESULT_REFUSED if it is not acceptable."""
        pgconn, pool = self.pgconn, self.pool
        while not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                error = query.error
                if isinstance(error, psycopg.Error) and error.sqlstate in FORGOTTEN:
                    self.prepared.forget(query.key)
                return T.RESULT_RECEIVED
            if result.status in COPIES:
                query.fail(psycopg.NotSupportedError("COPY is not supported here"))
                return T.RESULT_REFUSED
            query.receive(result, pool.transformer)
            if len(query.rows) > pool.max_rows:
                return self._refuse(query, f"the result has more than {pool.max_rows} rows")
            if query.size > pool.max_bytes:
                return self._refuse(query, f"the result has more than {pool.max_bytes} bytes")
        return None

    def _refuse(self, query: Query[Any], reason: str) -> T:
        query.rows.clear()
        query.fail(psycopg.DataError(reason))
        return T.RESULT_REFUSED

    def _lost(self, error: psycopg.Error) -> T:
        self.reason = str(error)
        return T.CONNECTION_LOST
