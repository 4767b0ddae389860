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

UPSTREAM_CONNECTIONS = Bound(
    "upstream_max_connections", 64, "connections", "to one upstream at a time; beyond it requests wait for one"
)
UPSTREAM_WAITING = Bound(
    "upstream_max_waiting",
    256,
    "requests",
    "waiting for a connection to one upstream, else 503; four for each connection",
)
UPSTREAM_REQUESTS = Bound(
    "upstream_max_requests",
    10_000,
    "requests",
    "on one connection to an upstream; frees what it pins to long-lived ones",
)
UPSTREAM_INTERIM = Bound(
    "upstream_max_interim", 16, "responses", "of status 1xx before the final one, else 502; they are not handed on"
)
UPSTREAM_TUNNELS = Bound(
    "upstream_max_tunnels",
    1024,
    "connections",
    "to one upstream that are upgraded (WebSocket), else 503; besides the others",
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
    UPSTREAM_CONNECTIONS,
    UPSTREAM_WAITING,
    UPSTREAM_REQUESTS,
    UPSTREAM_INTERIM,
    UPSTREAM_TUNNELS,
)
