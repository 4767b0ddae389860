"""SQLite: `await database.read(function)`, `read_once(function)` and `write(function)`, each one transaction.

The laws:

- `function(connection, *arguments)` runs in a thread of the database and inside a transaction, which is committed when
  it returns and rolled back when it raises: nothing is half-written;
- there is one writer, which takes the write lock before it reads (BEGIN IMMEDIATE), so that what it read is still true
  when it writes, and no two writers of this process conflict; readers see the last commit and never wait (WAL);
- a confirmed write is on the disk (`synchronous=FULL`): a process that is killed loses nothing that it has confirmed;
- a write waits for another process's lock at most `busy_timeout`, counted from the request, not from its turn in the
  queue: the writes behind it have been waiting, too;
- temporary conditions (locked, read-only, full, an I/O error) become 503 with Retry-After; a malformed database or
  statement is a fault of the application, and raised unchanged;
- a function of a single statement needs no explicit transaction (`read_once`): the statement is one;
- a read whose client has disconnected is interrupted; a write is not: it is short, and its outcome would be unknown.

A database in memory has a single connection and so a single thread, for reads and writes.

What it costs (two cores of an AMD EPYC, CPython 3.11): reading one row takes 8 us directly and 30 to 60 us of CPU
through a thread, nearly all of it for changing threads, and for the interpreter lock, which the module releases and
takes again several times for each statement. This is the price for the rare read that waits for a disk, or for
another process: on the loop's thread it would make every client wait. A write also costs one fsync, 2 ms on the disk
here.
"""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from math import ceil
from typing import Any, Concatenate, ParamSpec, TypeVar

from clerestory.handlers.api.errors import BackendError
from clerestory.handlers.api.operations import Executor
from clerestory.handlers.backends.pool.bounds import SQLITE_BUSY, SQLITE_READERS
from clerestory.handlers.backends.threads.threads import ThreadPool
from clerestory.handlers.backends.threads.work import ThreadCall, function_name

P = ParamSpec("P")
T = TypeVar("T")

STEPS = 10
"""The number of steps in which the time to wait for a lock is reduced; setting it costs 3 us."""

MEMORY_PAGES = 64 * 1024
"""Pages of 4 KiB that a database in memory may have: 256 MiB; then it is full, like a disk."""

_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY: "The database is locked.",
    sqlite3.SQLITE_LOCKED: "The database is locked.",
    sqlite3.SQLITE_PROTOCOL: "The database is locked.",
    sqlite3.SQLITE_READONLY: "The database is read-only.",
    sqlite3.SQLITE_FULL: "The database is full.",
    sqlite3.SQLITE_IOERR: "The database has a disk error.",
    sqlite3.SQLITE_CANTOPEN: "The database cannot be opened.",
    sqlite3.SQLITE_PERM: "The database cannot be opened.",
    sqlite3.SQLITE_NOMEM: "The database is out of memory.",
}

# After these errors a connection's view of its file may stay wrong: it is replaced.
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
        raise ValueError(f"{url!r} is not a database URL: use sqlite:///PATH or sqlite:///:memory:")
    if rest and not rest.startswith("/"):
        raise ValueError(
            f"{url!r} names a host, but SQLite is a file: use sqlite:///PATH (four slashes for an absolute path)"
        )
    return rest[1:] or ":memory:"


class Transaction(ThreadCall[T]):
    """A function that runs within one transaction of `database`."""

    __slots__ = ("_clock", "_database", "_until")

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
        self._clock: Callable[[], float] | None = None
        self._until = 0.0

    def start(self, executor: Executor) -> None:
        """As ThreadCall.start. The time to wait for a lock of another process starts now."""
        self._clock = executor.loop.clock
        self._until = self._clock() + self._database.busy_timeout
        super().start(executor)

    def busy_timeout(self) -> float:
        """How long it may still wait for a lock, rounded up to tenths, so that it seldom has to be set."""
        whole = self._database.busy_timeout
        if self._clock is None or not whole:
            return whole
        left = max(0.0, self._until - self._clock()) / whole
        return min(ceil(left * STEPS) / STEPS, 1.0) * whole

    def cancel(self) -> None:
        super().cancel()
        self._database.interrupt(self)


class Database:
    """The database at `url`. Raises ValueError for a malformed URL, sqlite3.Error if it cannot be opened.

    Awaiting its operations raises what the function raises, and HTTPError 503 if the database is unavailable.
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
        self.busy_timeout = busy_timeout
        self._waits = busy_timeout
        """How long the writer's connection is set to wait for a lock."""
        self._writers = ThreadPool(1, backlog, "sqlite" if self.in_memory else "sqlite writer")
        self._readers = self._writers if self.in_memory else ThreadPool(readers, backlog, "sqlite reader")
        self._mutex = threading.Lock()
        self._reading: dict[Transaction[Any], sqlite3.Connection] = {}
        # By thread; the threads end only with the database. The writer's is opened here, on the thread that starts the
        # server, so that a wrong path is reported at once.
        self._connections: dict[int, sqlite3.Connection] = {}
        self._writer: sqlite3.Connection | None = self._open(reading=False)

    def prepare(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `function(connection, ...)` in a write transaction, on this thread: for a schema, before serving begins.

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
        """An operation: `function(connection, ...)` on one snapshot of the database, without changing it."""
        return Transaction(self, self._readers, "BEGIN", function, (args, kwargs))

    def read_once(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Transaction[T]:
        """As `read`, for a function that executes a single statement: a quarter cheaper. Two statements would see two
        snapshots."""
        # In memory there is one connection, which can write: there the transaction prevents a read from writing.
        return Transaction(self, self._readers, "BEGIN" if self.in_memory else "", function, (args, kwargs))

    def write(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Transaction[T]:
        """An operation: `function(connection, ...)`, all of it or nothing."""
        return Transaction(self, self._writers, "BEGIN IMMEDIATE", function, (args, kwargs))

    def close(self, timeout: float = 0.0) -> list[str]:
        """End the threads and close the connections; return what is still running after `timeout` seconds in total."""
        pools = [self._writers] if self.in_memory else [self._readers, self._writers]
        stuck = [running for pool in pools for running in pool.close(timeout / len(pools))]
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
        """On a thread of the database: run `function`, and commit or roll back."""
        reading = begin != "BEGIN IMMEDIATE"
        connection = None
        try:
            connection = self._connection(reading)
            if reading:
                with self._mutex:
                    self._reading[transaction] = connection
            elif not self.in_memory:
                self._wait_for(transaction.busy_timeout(), connection)
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
            # A function that writes in a read has a bug: the disk is not read-only.
            detail = None if reading and code == sqlite3.SQLITE_READONLY else _UNAVAILABLE.get(code)
            if detail is None:
                raise
            raise BackendError(503, error.sqlite_errorname, detail, "SQLite", ((b"retry-after", b"1"),)) from error
        finally:
            with self._mutex:
                self._reading.pop(transaction, None)
            if connection is not None:
                _roll_back(connection)
        return result

    def _wait_for(self, seconds: float, connection: sqlite3.Connection) -> None:
        """Set how long the writer waits for a lock that another process holds."""
        if seconds != self._waits:
            connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")
            self._waits = seconds

    def interrupt(self, transaction: Transaction[Any]) -> None:
        """Stop the running statement of `transaction`, if it is still reading."""
        with self._mutex:
            connection = self._reading.get(transaction)
            if connection is not None:
                connection.interrupt()

    def _connection(self, reading: bool) -> sqlite3.Connection:
        """This thread's connection, opened if necessary."""
        if not reading or self.in_memory:
            if self._writer is None:
                self._writer = self._open(reading=False)
                self._waits = self.busy_timeout
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
            timeout=self.busy_timeout,
            isolation_level=None,  # transactions begin and end explicitly
            check_same_thread=False,  # first used, and closed, by the thread that starts and ends the server
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
        """Close this thread's connection, ignoring errors; the next transaction opens another."""
        with self._mutex:
            self._reading.pop(transaction, None)  # `interrupt` must not find a closed one
            if reading:
                connection = self._connections.pop(threading.get_ident(), None)
            else:
                connection, self._writer = self._writer, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _roll_back(connection: sqlite3.Connection) -> None:
    """Roll back what was not committed, if anything; SQLite may have done so itself."""
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
