"""SQLite: `await database.read(function)`, `read_once(function)` and `write(function)`, each one transaction.

The laws:

- `function(connection, *arguments)` runs in a thread of the database's own and inside a transaction, which is committed
  when it returns and rolled back when it raises: there is nothing half-written;
- there is one writer, which takes the write lock before it reads (BEGIN IMMEDIATE), so that what it read is still true
  when it writes, and no two writers of this process meet; readers see the last commit and wait for nobody (WAL);
- an answered write is on the disk (`synchronous=FULL`): a process that is killed loses nothing it has answered;
- what another may mend (locked, read-only, full, an I/O error) is a 503 with Retry-After; a malformed database or
  statement is a fault of ours, and raised as it is;
- a function of a single statement needs no transaction begun and ended for it (`read_once`): the statement is one;
- a read whose client has left is interrupted; a write is not, for it is short and its end would be unknown.

A database in memory has a single connection and so a single thread, for reads and writes.

What it costs (two cores of an AMD EPYC, CPython 3.11): reading one row takes 8 us in place and 30 to 60 us of CPU
through a thread, nearly all of it the way there and back, and waiting for the interpreter lock, which the module gives
up and takes again several times for each statement. It is paid for the rare read that waits for a disk, or for
another process: in place it would make every client wait. A write costs one fsync besides, 2 ms on the disk here.
"""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Concatenate, ParamSpec, TypeVar

from handlers.backends.bounds import SQLITE_BUSY, SQLITE_READERS
from handlers.backends.threads import ThreadCall, ThreadPool, function_name
from handlers.errors import HTTPError

P = ParamSpec("P")
T = TypeVar("T")

MEMORY_PAGES = 64 * 1024
"""Pages of 4 KiB that a database in memory may have: 256 MiB, then it is full as a disk would be."""

_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY: "The database is locked.",
    sqlite3.SQLITE_LOCKED: "The database is locked.",
    sqlite3.SQLITE_PROTOCOL: "The database is locked.",
    sqlite3.SQLITE_READONLY: "The database is read-only.",
    sqlite3.SQLITE_FULL: "The database is full.",
    sqlite3.SQLITE_IOERR: "The database's disk fails.",
    sqlite3.SQLITE_CANTOPEN: "The database cannot be opened.",
    sqlite3.SQLITE_PERM: "The database cannot be opened.",
    sqlite3.SQLITE_NOMEM: "The database has no memory left.",
}

# After these a connection's idea of its file may be wrong for good.
_SPOILING = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY,
    }
)


def parse_url(url: str) -> str:
    """The path in `sqlite:///PATH` (so an absolute one has four slashes), or `:memory:`. Raises ValueError."""
    scheme, separator, rest = url.partition("://")
    if scheme != "sqlite" or not separator:
        raise ValueError(f"{url!r} is no database: sqlite:///PATH, or sqlite:///:memory:")
    if rest and not rest.startswith("/"):
        raise ValueError(f"{url!r} names a host; SQLite is a file: sqlite:///PATH, with four slashes when absolute")
    return rest[1:] or ":memory:"


class Transaction(ThreadCall[T]):
    """A function that runs within one transaction of `database`."""

    __slots__ = ("_database",)

    def __init__(
        self,
        database: "Database",
        pool: ThreadPool,
        begin: str,
        function: Callable[..., T],
        arguments: tuple[tuple[Any, ...], dict[str, Any]],
    ) -> None:
        super().__init__(pool, database.transact, ((self, begin, function, arguments), {}), function_name(function))
        self._database = database

    def cancel(self) -> None:
        super().cancel()
        self._database.interrupt(self)


class Database:
    """The database at `url`. Raises ValueError for a malformed URL, sqlite3.Error when it cannot be opened.

    Awaiting its operations raises what the function raises, and HTTPError 503 when the database is not to be had.
    """

    def __init__(
        self,
        url: str,
        readers: int = int(SQLITE_READERS.default),
        backlog: int | None = None,
        busy_timeout: float = SQLITE_BUSY.default,
    ) -> None:
        self.path = parse_url(url)
        self.in_memory = self.path == ":memory:"
        self._busy_timeout = busy_timeout
        self._writers = ThreadPool(1, backlog, "sqlite" if self.in_memory else "sqlite writer")
        self._readers = self._writers if self.in_memory else ThreadPool(readers, backlog, "sqlite reader")
        self._mutex = threading.Lock()
        self._reading: dict[Transaction[Any], sqlite3.Connection] = {}
        # By thread; a thread of ours ends only with the database. The writer's is opened here, by whoever starts the
        # server, so that what is wrong with the path is said at once.
        self._connections: dict[int, sqlite3.Connection] = {}
        self._writer: sqlite3.Connection | None = self._open(reading=False)

    def prepare(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `function(connection, ...)` in a write transaction, here and now: for a schema, before serving begins.

        Raises what it raises, sqlite3.Error included.
        """
        connection = self._connection(reading=False)
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = function(connection, *args, **kwargs)
            connection.execute("COMMIT")
        finally:
            _roll_back(connection)
        return result

    def read(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Transaction[T]:
        """An operation: `function(connection, ...)` on one state of the database, which it leaves as it is."""
        return Transaction(self, self._readers, "BEGIN", function, (args, kwargs))

    def read_once(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Transaction[T]:
        """As `read`, for a function that executes a single statement: a quarter cheaper. Two would see two states."""
        # In memory there is one connection, which may write: there it is the transaction that keeps a read from it.
        return Transaction(self, self._readers, "BEGIN" if self.in_memory else "", function, (args, kwargs))

    def write(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Transaction[T]:
        """An operation: `function(connection, ...)`, all of it or nothing."""
        return Transaction(self, self._writers, "BEGIN IMMEDIATE", function, (args, kwargs))

    def close(self, patience: float = 0.0) -> list[str]:
        """End the threads and close the connections; hands back what still runs after `patience` seconds in all."""
        pools = [self._writers] if self.in_memory else [self._readers, self._writers]
        stuck = [running for pool in pools for running in pool.close(patience / len(pools))]
        if not stuck:
            with self._mutex:
                connections = [*self._connections.values(), self._writer]
                self._connections.clear()
                self._writer = None
            for connection in connections:
                if connection is not None:
                    connection.close()
        return stuck

    def transact(
        self,
        transaction: Transaction[T],
        begin: str,
        function: Callable[..., T],
        arguments: tuple[tuple[Any, ...], dict[str, Any]],
    ) -> T:
        """On a thread of ours: run `function`, and commit or roll back."""
        reading = begin != "BEGIN IMMEDIATE"
        connection = None
        try:
            connection = self._connection(reading)
            if reading:
                with self._mutex:
                    self._reading[transaction] = connection
            if begin:
                connection.execute(begin)
            result = function(connection, *arguments[0], **arguments[1])
            if begin:
                connection.execute("ROLLBACK" if reading else "COMMIT")
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if connection is not None and code in _SPOILING and not self.in_memory:
                self._discard(transaction, reading)
                connection = None
            # A function that writes where it said it would read has a bug, and no disk is read-only.
            detail = None if reading and code == sqlite3.SQLITE_READONLY else _UNAVAILABLE.get(code)
            if detail is None:
                raise
            raise HTTPError(503, detail, ((b"retry-after", b"1"),)) from error
        finally:
            with self._mutex:
                self._reading.pop(transaction, None)
            if connection is not None:
                _roll_back(connection)
        return result

    def interrupt(self, transaction: Transaction[Any]) -> None:
        """Stop the statement that `transaction` is reading by, if it is still at it."""
        with self._mutex:
            connection = self._reading.get(transaction)
            if connection is not None:
                connection.interrupt()

    def _connection(self, reading: bool) -> sqlite3.Connection:
        """This thread's connection, opened if need be."""
        if not reading or self.in_memory:
            if self._writer is None:
                self._writer = self._open(reading=False)
            return self._writer
        ident = threading.get_ident()
        connection = self._connections.get(ident)
        if connection is None:
            connection = self._open(reading=True)
            with self._mutex:
                self._connections[ident] = connection
        return connection

    def _open(self, reading: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path,
            timeout=self._busy_timeout,
            isolation_level=None,  # transactions are begun and ended here, not by guesses about statements
            check_same_thread=False,  # closed, and at first used, by whoever starts and ends the server
        )
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            if reading:
                connection.execute("PRAGMA query_only = ON")
            else:
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
                connection.execute("PRAGMA synchronous = FULL")
            if self.in_memory:
                connection.execute(f"PRAGMA max_page_count = {MEMORY_PAGES}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _discard(self, transaction: Transaction[Any], reading: bool) -> None:
        """Close this thread's connection, whatever it says; the next transaction opens another."""
        with self._mutex:
            self._reading.pop(transaction, None)  # who would interrupt it must not find it closed
            if reading:
                connection = self._connections.pop(threading.get_ident(), None)
            else:
                connection, self._writer = self._writer, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _roll_back(connection: sqlite3.Connection) -> None:
    """Undo what was not committed: nothing, if all went well or SQLite has done so itself."""
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
