"""The shell of a session with PostgreSQL: libpq, driven by the loop. Actions in, libpq's calls out; and what it says.

The table (statemachines.postgres) says what happens when; here is how. libpq is asked through psycopg's `pq` layer, and
never made to wait. What the methods share:

- libpq owns its socket, and may close it and take another while it connects. So the loop is given a descriptor of our
  own for it (`dup`), which only the loop closes;
- a result is handed to whoever asked after this machine has come to rest, since he may ask it again at once;
- a statement that is used often is prepared, on each session for itself (`Pool.is_frequent`);
- rows come in parts of CHUNK, so that a result with more than we take is stopped before it is all in memory.
"""

import os
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import pq

from handlers.backends.postgres_cancel import follow_socket, request_cancel
from handlers.backends.postgres_errors import FORGOTTEN, late, unavailable
from handlers.backends.postgres_query import Query
from handlers.operations import span
from statemachines.contract import HUNG_UP, Interest
from statemachines.engine import Machine
from statemachines.postgres import State as S
from statemachines.postgres import Trigger as T

if TYPE_CHECKING:
    from handlers.backends.postgres import Transaction
    from handlers.backends.postgres_pool import Pool

CHUNK = 1000
"""Rows in a part of a result: large enough that an ordinary one is a single part."""

MAX_CANCELS = 3
"""Requests to stop one query: the first may have come before the server had begun with it."""

# As numbers, which is what libpq speaks: an enum's members are looked up each time.
_COPIES = frozenset(map(int, (pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH)))
_OPEN = frozenset(map(int, (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR)))
_IDLE = int(pq.TransactionStatus.IDLE)
_READABLE = int(Interest.READABLE)


class Session(Machine):
    """One session of `pool`; `others` are the attempts still to be made when this one fails.

    `query` is what it is used for, `transaction` whose it is between queries, `reason` why the server was lost.
    """

    __slots__ = (
        "_cancels",
        "_discarding",
        "_inode",
        "_prepared",
        "_preparing",
        "_undoing",
        "_unfinished",
        "born",
        "loop",
        "number",
        "others",
        "pgconn",
        "pool",
        "query",
        "reason",
        "served",
        "started",
        "transaction",
    )

    def __init__(self, pool: "Pool", number: int, pgconn: pq.abc.PGconn, others: list[str]) -> None:
        super().__init__(pool.engine, os.dup(pgconn.socket))
        self.pool = pool
        self.loop = pool.loop
        self.number = number
        self.pgconn = pgconn
        self.others = others
        self.query: Query[Any] | None = None
        self.transaction: Transaction | None = None
        self.reason = ""
        self.started = False
        self.served = 0
        self.born = self.since
        self._inode = os.fstat(self.descriptor).st_ino
        self._prepared: dict[tuple[bytes, tuple[int, ...]], bytes] = {}
        self._preparing = b""
        self._cancels = 0
        self._unfinished = self._undoing = self._discarding = False

    def describe(self) -> str:
        """For an operator: `postgres#3 AWAITING_RESULT 1.2 s <- fd 19 readable`."""
        node, stay = self.node, span(self.loop.clock() - self.since)
        return f"postgres#{self.number} {node.state} {stay} <- fd {self.descriptor} {node.spec.phrase()}"

    def glance(self) -> tuple[Any, ...]:
        """As Machine.glance: contract.Facts."""
        return (self.number, self.pool.name, self.born, 0, 0, self.served)

    # --- when ready

    def poll_connection(self, ready: int) -> T | None:  # noqa: ARG002
        """One step of libpq's connecting."""
        status = self.pgconn.connect_poll()
        if status == pq.PollingStatus.OK:
            self.pgconn.nonblocking = 1
            self.started = True
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
        """Nobody asked: take what the server has to say to nobody, or its end."""
        try:
            self._consume()
        except psycopg.Error as error:
            return self._lost(error)
        self.pgconn.is_busy()  # it reads what has come; nobody waits for an answer
        return None

    def flush_query(self, ready: int) -> T | None:
        """Write what the socket takes. A server that does not read may be waiting for us to read."""
        try:
            if ready & _READABLE:
                self._consume()
                self.loop.revisit(self)  # the kernel will not tell of it again
            return None if self.pgconn.flush() else T.QUERY_SENT
        except psycopg.Error as error:
            return self._lost(error)

    def read_result(self, ready: int) -> T | None:  # noqa: ARG002
        """Read once; at the end of the result rest, and then hand it over."""
        try:
            self._consume()
            fact = self._take_results()
        except psycopg.Error as error:
            return self._lost(error)
        if fact is not T.RESULT_RECEIVED or self._unfinished:
            return fact
        query, self.query = self.query, None
        assert query is not None
        self.served += 1
        self.loop.fire(self, fact)
        query.deliver()
        return None

    def notice_hang_up(self, ready: int) -> T | None:
        """Nothing is read while the server is asked to stop; only the end of the connection is noticed."""
        return T.CONNECTION_LOST if ready & HUNG_UP else None

    def discard_results(self, ready: int) -> T | None:  # noqa: ARG002
        """Read once and forget; at the end of it undo the next thing."""
        pgconn = self.pgconn
        try:
            self._consume()
            while not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:
                    return self._undo_next()
                failed = self._undoing and result.status == pq.ExecStatus.FATAL_ERROR
                if failed or result.status in _COPIES:
                    return T.RESET_FAILED
        except psycopg.Error as error:
            return self._lost(error)
        return None

    # --- guards

    def has_more_to_send(self) -> bool:
        """Whether the statement has only been prepared."""
        return self._unfinished

    def is_in_transaction(self) -> bool:
        """Whether a handler's transaction is open."""
        return self.transaction is not None and self.pgconn.transaction_status in _OPEN

    def is_clean(self) -> bool:
        """Whether no transaction is open."""
        return self.pgconn.transaction_status == _IDLE

    def may_cancel_again(self) -> bool:
        """Whether the server is still at what was cancelled."""
        return 0 < self._cancels < MAX_CANCELS and not self._undoing

    # --- actions

    def offer(self) -> T | None:
        """Give the session to the next who waits."""
        self.transaction = None
        query = self.pool.next_query()
        if query is None:
            return None
        self._take(query)
        return T.QUERY_GIVEN

    def send_query(self) -> T | None:
        """Begin the next step of the query: to prepare the statement, or to carry it out."""
        query, pgconn = self.query, self.pgconn
        assert query is not None
        self._unfinished = False
        name = self._prepared.get(query.key)
        try:
            if name is not None:
                pgconn.send_query_prepared(name, query.parameters, query.formats)
            elif self.pool.is_frequent(query) and len(self._prepared) < self.pool.max_prepared:
                self._preparing = b"c%d" % len(self._prepared)
                pgconn.send_prepare(self._preparing, query.statement, query.types)
                return self.flush_query(0)
            else:
                pgconn.send_query_params(query.statement, query.parameters, query.types, query.formats)
            if self.pool.chunked:
                pgconn.set_chunked_rows_mode(CHUNK)
        except psycopg.Error as error:
            return self._lost(error)
        return self.flush_query(0)

    def cancel_query(self) -> T | None:
        """Detach whoever asked, with 504 if he still waits, and have the server asked to stop."""
        query, self.query = self.query, None
        self.transaction, self._preparing = None, b""
        self._cancels += 1
        if query is not None:
            query.fail(late())
            self.loop.call_from_thread(query.deliver)
        return None if request_cancel(self, self.pool.threads) else T.CANCEL_FAILED

    def roll_back(self) -> T | None:
        """Undo the transaction of a handler that has left it."""
        self.transaction = None
        return self.discard_results(0)

    def reset_session(self) -> T | None:
        """Undo everything: the transaction, and what a session remembers (locks, settings, temporary tables)."""
        self.transaction = None
        self._discarding = True
        return self.discard_results(0)

    # --- from outside

    def use(self, query: Query[Any]) -> None:
        """Carry out `query`: the session is IDLE, or its transaction's."""
        self._take(query)
        self.loop.fire(self, T.QUERY_GIVEN)

    def _take(self, query: Query[Any]) -> None:
        self.query = query
        query.session = self
        if query.opens is not None:
            self.transaction = query.opens
            query.opens.session = self

    def abandon(self, transaction: "Transaction") -> None:
        """The handler has left its transaction, and has not committed it."""
        if self.transaction is transaction and self.accepts(T.TRANSACTION_ABANDONED):
            self.loop.fire(self, T.TRANSACTION_ABANDONED)

    def give_up(self, query: Query[Any]) -> None:
        """Whoever asked has gone."""
        if self.query is query and self.accepts(T.QUERY_ABANDONED):
            self.loop.fire(self, T.QUERY_ABANDONED)

    def ended(self) -> None:
        """Tell whoever asked, and the pool."""
        query, self.query = self.query, None
        self.transaction = None
        if query is not None:
            query.fail(unavailable("The database was lost; whether it has done what it was asked is not known."))
            self.loop.call_from_thread(query.deliver)
        self.pool.left(self)

    def close(self) -> None:
        """Close our descriptor, then libpq's own."""
        os.close(self.descriptor)
        self.pgconn.finish()

    # --- libpq

    def _consume(self) -> None:
        self.pgconn.consume_input()
        while self.pgconn.notifies():
            """Notifications are nobody's here."""

    def _take_results(self) -> T | None:
        """What has come of the result; RESULT_RECEIVED at its end, RESULT_REFUSED when it is none that we take."""
        pgconn, query, pool = self.pgconn, self.query, self.pool
        assert query is not None
        while not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                self._conclude(query)
                return T.RESULT_RECEIVED
            if result.status in _COPIES:
                query.fail(psycopg.NotSupportedError("COPY is not supported here"))
                return T.RESULT_REFUSED
            query.receive(result, pool.transformer)
            if len(query.rows) > pool.max_rows:
                query.rows.clear()
                query.fail(psycopg.DataError(f"the result has more than {pool.max_rows} rows"))
                return T.RESULT_REFUSED
        return None

    def _conclude(self, query: Query[Any]) -> None:
        """The server has said all that it has to say to what was sent last."""
        error = query.error
        if self._preparing:
            if error is None:
                self._prepared[query.key] = self._preparing
                self._unfinished = True
            self._preparing = b""
        elif isinstance(error, psycopg.Error) and error.sqlstate in FORGOTTEN:
            # The name stays taken, under a key that nobody asks for: numbers are not given twice.
            name = self._prepared.pop(query.key, None)
            if name is not None:
                self._prepared[b"", tuple(name)] = name

    def _undo_next(self) -> T | None:
        """Ask the server for the next thing to be undone; SESSION_CLEAN when there is none."""
        status = self.pgconn.transaction_status
        if status in _OPEN:
            statement = b"ROLLBACK"
        elif status != _IDLE:
            return T.RESET_FAILED
        elif self._discarding:
            self._discarding = False
            self._prepared.clear()
            statement = b"DISCARD ALL"
        else:
            self._undoing, self._cancels = False, 0
            return T.SESSION_CLEAN
        self._undoing = True
        self.pgconn.send_query(statement)
        return T.RESET_FAILED if self.pgconn.flush() else None

    def _lost(self, error: psycopg.Error) -> T:
        self.reason = str(error)
        return T.CONNECTION_LOST
