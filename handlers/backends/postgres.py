"""PostgreSQL: `rows = await database.fetch(...)`, `await database.execute(...)`, `async with database.transaction()`.

    rows = await database.fetch("SELECT id, subject FROM emails WHERE id = $1", (42,))

    async with database.transaction() as transaction:
        await transaction.execute("INSERT INTO ...", (...))
        await transaction.execute("UPDATE ...", (...))

The laws:

- every session is a state machine on the server's own loop (statemachines.postgres); there is no thread;
- a statement outside a transaction is a transaction of its own; parameters are `$1`, `$2`, ..., never put in the text;
- a transaction is committed when its block ends and rolled back when it is left by an error; it holds a session from
  its first statement on, so a block waits for nothing that has not to be within it;
- a query that is given up (the client left, a deadline passed) is cancelled in the server, not only forgotten;
- nothing is asked twice: when the server is lost within a statement, it is not known whether it was done (503);
- what another may mend is HTTPError 503 with Retry-After (postgres_errors), what took too long 504.

Deliberately not here: COPY, LISTEN, cursors: results are bounded, and asked for in stretches.

Nor libpq's pipeline mode. Five queries sent and read in one go cost 33 us of CPU each where one by one they cost 53;
but two in a pipeline cost 46, and one 66 (psycopg 3.3, libpq 18, over the loopback). To gain, it takes several queries
of *different* clients on one session: then a slow one holds up those behind it, and to cancel one would cancel
whichever the server has come to. Within a transaction a handler needs each answer to say what comes next.
"""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import psycopg

from handlers.backends.bounds import BOUNDS
from handlers.backends.postgres_address import parse_url
from handlers.backends.postgres_errors import unavailable
from handlers.backends.postgres_pool import Pool
from handlers.backends.postgres_query import Query, Rows, committed, count_of, rows_of
from statemachines import postgres, postgres_cancel, slot
from statemachines.contract import Deadline

R = TypeVar("R")

LIMITS = {bound.option for bound in BOUNDS if bound.option.startswith("postgres_")} | {
    spec.deadline.option
    for table in (postgres.TABLE, slot.POSTGRES, postgres_cancel.TABLE)
    for spec in table.specs
    if isinstance(spec.deadline, Deadline)
}
"""What a database of one's own may be given."""

PREPARE_TIMEOUT = 5
"""Seconds in which the database must be reached when the server starts."""


class Database:
    """The database at `url`. Raises ValueError for a malformed URL; it is not reached before it is asked.

    Awaiting its operations raises psycopg's error for a statement that is wrong, HTTPError 503 where the database is
    not to be had, and 504 when it takes too long.

    `limits` are deadlines and bounds by option, such as `postgres_sessions=4`; those not given are the server's.
    """

    def __init__(self, url: str, **limits: float) -> None:
        if unknown := limits.keys() - LIMITS:
            raise TypeError(f"there is no limit {min(unknown)}")
        self.place = parse_url(url)
        self.pool = Pool(self.place, limits)

    def fetch(self, statement: str, parameters: Sequence[Any] = ()) -> Query[Rows]:
        """An operation: the rows of the result, as tuples."""
        return Query(self.pool, statement, parameters, rows_of)

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Query[int]:
        """An operation: how many rows were changed, or found."""
        return Query(self.pool, statement, parameters, count_of)

    def transaction(self, begin: str = "BEGIN") -> "Transaction":
        """A transaction, for `async with`; `begin` may say more: `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`."""
        return Transaction(self.pool, begin)

    def prepare(self, function: "Callable[[psycopg.Connection[Any]], R]") -> R:
        """Run `function(connection)` in a transaction, here and now: for a schema, before serving begins.

        Raises what it raises, psycopg.Error included.
        """
        with psycopg.connect(self.place.whole, connect_timeout=PREPARE_TIMEOUT) as connection:
            return function(connection)

    def close(self) -> None:
        """End the thread that looks names up. The sessions are machines, and end with their loop."""
        self.pool.threads.close()


class Transaction:
    """One transaction. `session` is what it holds, once it has begun."""

    __slots__ = ("_begin", "_pool", "session")

    def __init__(self, pool: Pool, begin: str) -> None:
        self._pool = pool
        self._begin = begin
        self.session: Any = None

    def fetch(self, statement: str, parameters: Sequence[Any] = ()) -> Query[Rows]:
        """As Database.fetch, within the transaction."""
        return self._query(statement, parameters, rows_of)

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Query[int]:
        """As Database.execute, within the transaction."""
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
            # Nothing is awaited: who is being given up may not, and nobody needs to wait for it.
            self.session.abandon(self)

    def ask(self, query: Query[Any]) -> None:
        """Give `query` to the session. Raises HTTPError 503 when the transaction has been undone meanwhile."""
        if self.session is None or self.session.transaction is not self:
            raise unavailable("The transaction has been undone: the database was lost, or it took too long.")
        self.session.use(query)

    def _query(self, statement: str, parameters: Sequence[Any], take: Callable[[Query[Any]], R]) -> Query[R]:
        query = Query(self._pool, statement, parameters, take)
        query.within = self
        return query
