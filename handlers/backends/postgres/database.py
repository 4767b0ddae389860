"""PostgreSQL: `rows = await database.fetch(...)`, `await database.execute(...)`, `async with database.transaction()`.

    rows = await database.fetch("SELECT id, subject FROM emails WHERE id = $1", (42,))

    async with database.transaction() as transaction:
        await transaction.execute("INSERT INTO ...", (...))
        await transaction.execute("UPDATE ...", (...))

The laws:

- every session is a state machine on the server's own loop (statemachines.postgres), without threads;
- a statement outside a transaction is a transaction of its own; parameters are `$1`, `$2`, ..., never part of the text;
- a transaction is committed when its block ends and rolled back when it is left by an error; it holds a session from
  its first statement on, so keep unrelated awaits out of the block;
- a query that is abandoned (the client has left, a deadline has passed) is also cancelled in the server;
- a session is reset before the next request gets it: no setting, lock or temporary table is left behind;
- nothing is retried: if the connection is lost during a statement, its outcome is unknown (503);
- temporary conditions are HTTPError 503 with Retry-After (errors.py), timeouts 504.

Deliberately not here: COPY, LISTEN, cursors. Results are limited; request large ones in parts.

Also not here: libpq's pipeline mode. Five queries in one pipeline cost 33 us of CPU each, and 53 one by one; but two in
a pipeline cost 46, and one 66 (psycopg 3.3, libpq 18, over the loopback). A gain would need several queries of
*different* clients on one session: then a slow one delays those behind it, and a cancel request would hit whichever
query is running. Within a transaction a handler needs each result to decide what comes next.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import psycopg

from clerestory.handlers.backends.pool.bounds import BOUNDS
from clerestory.handlers.backends.postgres.address import parse_url
from clerestory.handlers.backends.postgres.hygiene import Hygiene
from clerestory.handlers.backends.postgres.pool import Pool
from clerestory.handlers.backends.postgres.query import Query, Rows, Transaction, count_of, rows_of
from clerestory.statemachines import postgres, postgres_cancel, postgres_reset, slot
from clerestory.statemachines.contract import Deadline

R = TypeVar("R")

LIMITS = {bound.option for bound in BOUNDS if bound.option.startswith("postgres_")} | {
    spec.deadline.option
    for table in (postgres.TABLE, slot.POSTGRES, postgres_reset.TABLE, postgres_cancel.TABLE)
    for spec in table.specs
    if isinstance(spec.deadline, Deadline)
}
"""The limits that a Database accepts."""

PREPARE_TIMEOUT = 5
"""Seconds in which the database must be reached when the server starts."""


class Database:
    """The database at `url`. Raises ValueError for a malformed URL; it connects when it is first used.

    Awaiting its operations raises psycopg's error for a wrong statement, HTTPError 503 if the database is unavailable,
    and 504 if it takes too long.

    A session is reset before the next request gets it: settings, role, locks, temporary tables and the like. `kept`
    names what need not be reset (hygiene.KINDS), such as `{"sequences"}`. There is no reset if the statements are known
    to leave nothing behind (statement.py). `harmless` adds to those: functions of the application by name, and
    `insert`, `update`, `delete`, `merge` if no trigger changes the session. With `reset_always` a session is reset
    after every use.

    `limits` are deadlines and bounds by option, such as `postgres_sessions=4`; those not given are the server's.
    """

    def __init__(
        self,
        url: str,
        *,
        kept: Collection[str] = (),
        harmless: Collection[str] = (),
        reset_always: bool = False,
        **limits: float,
    ) -> None:
        if unknown := limits.keys() - LIMITS:
            raise TypeError(f"unknown limit {min(unknown)}")
        self.place = parse_url(url)
        self.pool = Pool(self.place, limits, hygiene=Hygiene(kept, harmless=harmless, always=reset_always))

    def fetch(self, statement: str, parameters: Sequence[Any] = ()) -> Query[Rows]:
        """An operation: the rows of the result, as tuples."""
        return Query(self.pool, statement, parameters, rows_of)

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Query[int]:
        """An operation: the number of rows that were changed, or found."""
        return Query(self.pool, statement, parameters, count_of)

    def transaction(self, begin: str = "BEGIN") -> Transaction:
        """A transaction, for `async with`; `begin` may say more: `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`."""
        return Transaction(self.pool, begin)

    def prepare(self, function: "Callable[[psycopg.Connection[Any]], R]") -> R:
        """Run `function(connection)` in a transaction, on this thread: for a schema, before serving begins.

        Raises what it raises, psycopg.Error included.
        """
        with psycopg.connect(self.place.whole, connect_timeout=PREPARE_TIMEOUT) as connection:
            return function(connection)

    def close(self) -> None:
        """End the thread that resolves names. The sessions are machines, and end with their loop."""
        self.pool.threads.close()
