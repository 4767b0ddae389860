"""How much the backends take: each bound is data, as a deadline is in a table, and an option of the command line.

A pool reads its bounds from its loop's limits, unless it is given others.
"""

from typing import NamedTuple


class Bound(NamedTuple):
    """At most `default` of `unit` `why`; `option` is the limit that says otherwise. Seconds may have a fraction."""

    option: str
    default: float
    unit: str
    why: str


THREADS = Bound(
    "threads",
    8,
    "threads",
    "for blocking calls; these mostly wait for a disk or a peer, so there may be more than processors",
)
THREAD_BACKLOG = Bound(
    "thread_backlog", 64, "calls", "waiting for a thread, then 503; more would only wait longer for the same refusal"
)
SQLITE_READERS = Bound(
    "sqlite_readers", 2, "threads", "that read from SQLite; what is in memory one reads as fast as two"
)
SQLITE_BUSY = Bound(
    "sqlite_busy", 5.0, "seconds", "for another process to give up its lock on SQLite, then 503; a long transaction"
)
POSTGRES_SESSIONS = Bound(
    "postgres_sessions",
    10,
    "sessions",
    "with PostgreSQL; each is a process there, and a few for each of its processors work best",
)
POSTGRES_BACKLOG = Bound(
    "postgres_backlog",
    1000,
    "queries",
    "waiting for a session, then 503; a hundred for each are a tenth of a second at a millisecond a query",
)
POSTGRES_MAX_ROWS = Bound(
    "postgres_max_rows", 10_000, "rows", "in a result, else 500; all of it is in memory, and can be asked for in parts"
)
POSTGRES_PREPARED = Bound(
    "postgres_prepared", 100, "statements", "prepared on each session; they take memory of PostgreSQL's"
)
POSTGRES_RETRY = Bound(
    "postgres_retry",
    10.0,
    "seconds",
    "between two attempts at a PostgreSQL that can not be reached; it begins with 0.1 and doubles",
)

BOUNDS = (
    THREADS,
    THREAD_BACKLOG,
    SQLITE_READERS,
    SQLITE_BUSY,
    POSTGRES_SESSIONS,
    POSTGRES_BACKLOG,
    POSTGRES_MAX_ROWS,
    POSTGRES_PREPARED,
    POSTGRES_RETRY,
)
