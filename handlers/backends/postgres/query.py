"""One statement and its parameters: what a handler awaits, and what a session runs. Several of them: a transaction.

Parameters are written `$1`, `$2`, ... as in PostgreSQL; psycopg's adapters convert them to the wire format when the
query is created, so that an error is raised on the handler's line. They convert the rows, too.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from psycopg import abc, pq
from psycopg.adapt import PyFormat

from clerestory.handlers.api.operations import Executor, Operation
from clerestory.handlers.backends.pool.slot import Slot
from clerestory.handlers.backends.postgres.errors import error_of, unavailable
from clerestory.handlers.backends.postgres.hygiene import Hygiene
from clerestory.handlers.backends.postgres.prepared import Prepared
from clerestory.handlers.backends.postgres.size import Arrivals, size_of
from clerestory.handlers.backends.postgres.statement import Mark, Statements
from clerestory.handlers.backends.threads.threads import ThreadPool
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.loop import Loop

Rows = list[tuple[Any, ...]]
R = TypeVar("R")

MAX_PARAMETERS = 65535
"""The limit of the protocol."""

_FATAL_ERROR = int(pq.ExecStatus.FATAL_ERROR)


class Sessions(ABC):
    """A pool, as its sessions and their queries know it."""

    name: str
    """For an operator: the database's address."""
    chunked: bool
    """Whether libpq hands out the rows of a result in parts."""
    transformer: abc.Transformer
    hygiene: Hygiene
    statements: Statements
    threads: ThreadPool
    max_rows: int
    max_bytes: int
    max_prepared: int
    engine: Engine
    reset_engine: Engine
    cancel_engine: Engine

    @property
    @abstractmethod
    def loop(self) -> Loop:
        """The loop that the sessions are on."""

    @abstractmethod
    def ask(self, query: "Query[Any]", loop: Loop) -> None:
        """Give `query` to a session, now or when one is free. Raises HTTPError 503 if there is no prospect of one."""

    @abstractmethod
    def next_query(self) -> "Query[Any] | None":
        """The next query for a session that has become free."""

    @abstractmethod
    def reached(self) -> None:
        """A session was opened: the database can be reached."""

    @abstractmethod
    def left(self, session: "Runner") -> None:
        """`session` has ended. Continue with its other attempts, or with other sessions."""


class Runner(Machine, ABC):
    """A session, as its pool, its query, its transaction and its reset know it.

    `query` is the running query, `transaction` the owner between queries, `mark` what the session may remember,
    `reason` why the connection was lost.
    """

    __slots__ = ("loop", "mark", "number", "pgconn", "pool", "prepared", "query", "reason", "transaction")

    def __init__(self, pool: Sessions, number: int, pgconn: pq.abc.PGconn) -> None:
        super().__init__(pool.engine, os.dup(pgconn.socket))
        self.pool = pool
        self.loop = pool.loop
        self.number = number
        self.pgconn = pgconn
        self.query: Query[Any] | None = None
        self.transaction: Transaction | None = None
        self.mark = Mark.NOTHING
        self.reason = ""
        self.prepared = Prepared(pool.max_prepared)

    @abstractmethod
    def describe(self) -> str:
        """For an operator: `postgres#3 AWAITING_RESULT 1.2 s <- fd 19 readable`."""

    @abstractmethod
    def use(self, query: "Query[Any]") -> None:
        """Run `query`: the session is IDLE, or belongs to its transaction."""

    @abstractmethod
    def abandon(self, transaction: "Transaction") -> None:
        """The handler has left its transaction without a commit."""

    @abstractmethod
    def give_up(self, query: "Query[Any]") -> None:
        """The caller of `query` has left."""

    @abstractmethod
    def consume(self) -> None:
        """Read once. Raises psycopg.Error at the end of the connection."""

    @abstractmethod
    def reset_ended(self, reset: Machine, *, is_clean: bool) -> None:
        """The reset has ended. The session may have been closed meanwhile."""


class Query(Operation, Generic[R]):
    """A statement, awaited once. `take` makes the result from it if it has succeeded."""

    __slots__ = (
        "_executor",
        "_take",
        "arrivals",
        "error",
        "formats",
        "in_queue",
        "key",
        "opens",
        "parameters",
        "pool",
        "rows",
        "session",
        "size",
        "slot",
        "statement",
        "tag",
        "types",
        "within",
    )

    def __init__(
        self, pool: Sessions, statement: str, parameters: Sequence[Any], take: "Callable[[Query[Any]], R]"
    ) -> None:
        transformer = pool.transformer
        self.pool = pool
        self.statement = statement.encode()
        if len(parameters) > MAX_PARAMETERS:
            raise ValueError(f"there are {len(parameters)} parameters; there may be {MAX_PARAMETERS}")
        if b"\0" in self.statement:
            raise ValueError("there is a NUL in the statement")
        self.parameters: Sequence[Any] | None = None
        self.types: tuple[int, ...] = ()
        self.formats: Sequence[pq.Format] | None = None
        if parameters:
            self.parameters = transformer.dump_sequence(parameters, [PyFormat.AUTO] * len(parameters))
            self.types = transformer.types or ()
            self.formats = transformer.formats
        self.key = (self.statement, self.types)
        self.rows: Rows = []
        self.arrivals: Arrivals | None = None
        """Counts the result from the second read on; None if one read was enough."""
        self.size = 0
        """Bytes of the rows received, if one read was not enough."""
        self.tag = b""
        """The server's command tag: `INSERT 0 1`."""
        self.error: Exception | None = None
        self.session: Runner | None = None
        self.slot: Slot[Any] | None = None
        """Its place in the queue for a session."""
        self.in_queue = 0.0
        """Seconds that it was in that queue."""
        self.opens: Transaction | None = None
        """The transaction that it begins."""
        self.within: Transaction | None = None
        """The transaction that it belongs to."""
        self._executor: Executor | None = None
        self._take = take

    # --- what is awaited

    def start(self, executor: Executor) -> None:
        self._executor = executor
        if self.within is not None:
            self.within.ask(self)
        else:
            self.pool.ask(self, executor.loop)

    def cancel(self) -> None:
        self._executor = None
        if self.session is not None:
            self.session.give_up(self)
        elif self.slot is not None:
            self.slot.leave()

    def describe(self) -> str:
        waits_on = self.session or self.slot
        return waits_on.describe() if waits_on is not None else "postgres"

    def subject(self) -> str:
        return "PostgreSQL"

    def queued(self) -> tuple[str, float]:
        return "a PostgreSQL session", self.in_queue if self.slot is None else self.slot.queued()

    # --- what a session does with it

    def receive(self, result: pq.abc.PGresult, transformer: abc.Transformer) -> None:
        """Take one part of the result: rows, the end, or the error."""
        if result.status == _FATAL_ERROR:
            # The first error is the cause; later ones are consequences.
            self.error = self.error or error_of(result)
            return
        if result.ntuples:
            if self.arrivals is not None:
                self.size += size_of(result)
            transformer.set_pgresult(result)
            try:
                self.rows += transformer.load_rows(0, result.ntuples, cast("Any", tuple))
            except Exception as error:  # noqa: BLE001 - a value that Python cannot represent; raised at the await
                self.error = self.error or error
            finally:
                transformer.set_pgresult(None)
        self.tag = result.command_status or self.tag

    def fail(self, error: Exception) -> None:
        """Make it fail with `error`, unless it already has an error."""
        self.error = self.error or error

    def deliver(self) -> None:
        """Deliver the result to the caller, if it still waits. The caller may use the same session again at once."""
        executor, self._executor = self._executor, None
        self.session = None
        if executor is None:
            return
        if self.error is not None:
            executor.finished(self, None, self.error)
            return
        try:
            result = self._take(self)
        except Exception as error:  # noqa: BLE001 - raised at the await
            executor.finished(self, None, error)
        else:
            executor.finished(self, result)


def rows_of(query: Query[Any]) -> Rows:
    """Its rows."""
    return query.rows


def count_of(query: Query[Any]) -> int:
    """How many rows it has changed, or found: the last word of the command tag. 0 if the tag has no number."""
    last = query.tag.rpartition(b" ")[2]
    return int(last) if last.isdigit() else 0


def committed(query: Query[Any]) -> None:
    """None. Raises HTTPError 503 if the server has rolled back instead of committing: an error within the transaction
    was ignored."""
    if query.tag != b"COMMIT":
        raise unavailable("rolled back", "The database has rolled the transaction back, because a part of it failed.")


class Transaction:
    """One transaction. `session` is the session it holds, once it has begun."""

    __slots__ = ("_begin", "_pool", "session")

    def __init__(self, pool: Sessions, begin: str) -> None:
        self._pool = pool
        self._begin = begin
        self.session: Runner | None = None

    def fetch(self, statement: str, parameters: Sequence[Any] = ()) -> Query[Rows]:
        """As database.Database.fetch, within the transaction."""
        return self._query(statement, parameters, rows_of)

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Query[int]:
        """As database.Database.execute, within the transaction."""
        return self._query(statement, parameters, count_of)

    async def __aenter__(self) -> Self:
        query: Query[int] = Query(self._pool, self._begin, (), count_of)
        query.opens = self
        await query
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            await self._query("COMMIT", (), committed)
        else:
            # Nothing is awaited: a cancelled coroutine must not, and there is no need.
            if self.session is not None:
                self.session.abandon(self)

    def ask(self, query: Query[Any]) -> None:
        """Give `query` to the session. Raises HTTPError 503 if the transaction has been rolled back meanwhile."""
        if self.session is None or self.session.transaction is not self:
            raise unavailable(
                "rolled back", "The transaction was rolled back: the database connection was lost, or it took too long."
            )
        self.session.use(query)

    def _query(self, statement: str, parameters: Sequence[Any], take: Callable[[Query[Any]], R]) -> Query[R]:
        query = Query(self._pool, statement, parameters, take)
        query.within = self
        return query
