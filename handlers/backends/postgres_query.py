"""One statement and its parameters: what a handler awaits, and what a session carries out.

Parameters are written `$1`, `$2`, ... as PostgreSQL does; they are turned into what goes over the wire by psycopg's
adapters, when the query is made, so that what can not be adapted is raised where it stands. Rows come back by them too.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from psycopg import abc, pq
from psycopg.adapt import PyFormat

from handlers.backends.postgres_errors import error_of, unavailable
from handlers.operations import Executor, Operation

if TYPE_CHECKING:
    from handlers.backends.postgres import Transaction
    from handlers.backends.postgres_pool import Pool
    from handlers.backends.postgres_session import Session
    from handlers.backends.slot import Slot

Rows = list[tuple[Any, ...]]
R = TypeVar("R")

MAX_PARAMETERS = 65535
"""What the protocol can count."""

_FATAL_ERROR = int(pq.ExecStatus.FATAL_ERROR)


class Query(Operation, Generic[R]):
    """A statement, awaited once. `take` makes the result from it when it has ended well."""

    __slots__ = (
        "_executor",
        "_take",
        "error",
        "formats",
        "key",
        "opens",
        "parameters",
        "pool",
        "rows",
        "session",
        "slot",
        "statement",
        "tag",
        "types",
        "within",
    )

    def __init__(
        self, pool: "Pool", statement: str, parameters: Sequence[Any], take: "Callable[[Query[Any]], R]"
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
        self.tag = b""
        """What the server says it has done: `INSERT 0 1`."""
        self.error: Exception | None = None
        self.session: Session | None = None
        self.slot: Slot[Any] | None = None
        """Where it waits for a session."""
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

    # --- what a session does with it

    def receive(self, result: pq.abc.PGresult, transformer: abc.Transformer) -> None:
        """Take one part of the result: rows, the end, or the error."""
        if result.status == _FATAL_ERROR:
            # The first error is the cause, what follows from it is not.
            self.error = self.error or error_of(result)
            return
        if result.ntuples:
            transformer.set_pgresult(result)
            try:
                self.rows += transformer.load_rows(0, result.ntuples, cast("Any", tuple))
            except Exception as error:  # noqa: BLE001 - a value that Python can not hold; raised at the await
                self.error = self.error or error
            finally:
                transformer.set_pgresult(None)
        self.tag = result.command_status or self.tag

    def fail(self, error: Exception) -> None:
        """Have it end by `error`, unless there is one already."""
        self.error = self.error or error

    def deliver(self) -> None:
        """Tell whoever waits, if anybody does. What he does next may ask the same session again."""
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
    """How many rows it has changed, or found: the last word of the server's tag. 0 where rows are not the matter."""
    last = query.tag.rpartition(b" ")[2]
    return int(last) if last.isdigit() else 0


def committed(query: Query[Any]) -> None:
    """Nothing, but HTTPError 503 where the server has rolled back what it was asked to commit: an error within the
    transaction was passed over."""
    if query.tag != b"COMMIT":
        raise unavailable("The database has undone the change, for a part of it failed.")
