"""How much the backends take: each bound is data, as a deadline is in a table, and an option of the command line.

What waits is bounded by time first, and by memory; its number is a last resort, in thousands. A number that some
hundred ordinary clients reach refuses requests that would have been answered a moment later.

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
    "thread_backlog",
    4096,
    "calls",
    "waiting for a thread, then 503; a few KiB each. What bounds the wait is its deadline: a thousand short calls are "
    "ordinary, and soon done",
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
    "waiting for a session, then 503; 100 per session are a backlog of 0.1 s at 1 ms a query",
)
POSTGRES_MAX_ROWS = Bound(
    "postgres_max_rows", 10_000, "rows", "in a result, else 500; all of it is in memory, and can be asked for in parts"
)
POSTGRES_MAX_BYTES = Bound(
    "postgres_max_bytes",
    16 * 1024 * 1024,
    "bytes",
    "in a result, as PostgreSQL sends it, else 500; Python needs several times as much, for each session at once",
)
POSTGRES_PREPARED = Bound(
    "postgres_prepared",
    100,
    "statements",
    "prepared on each session; they take memory of PostgreSQL's; 0 prepares none, as behind a transaction pooler",
)
POSTGRES_RETRY = Bound(
    "postgres_retry",
    10.0,
    "seconds",
    "between two attempts at a PostgreSQL that cannot be reached; it begins with 0.1 and doubles",
)

UPSTREAM_CONNECTIONS = Bound(
    "upstream_max_connections", 64, "connections", "to one upstream at a time; beyond it requests wait for one"
)
UPSTREAM_CLIENT_SHARE = Bound(
    "upstream_client_share",
    75,
    "percent",
    "of the connections to one upstream, and of its streams, for the requests of one client address; "
    "so that no address can hold all; 0 and 100 are no bound",
)
UPSTREAM_WAITING = Bound(
    "upstream_max_waiting",
    8192,
    "requests",
    "waiting for a connection to one upstream, else 503; as many as an upstream answers in --upstream-slot-timeout",
)
UPSTREAM_WAITING_BYTES = Bound(
    "upstream_max_waiting_bytes",
    64 * 1024 * 1024,
    "bytes",
    "of requests waiting for a connection to one upstream, else 503; 8192 of them with fields of 8 KiB",
)
UPSTREAM_STREAMS = Bound(
    "upstream_max_streams",
    1024,
    "connections",
    "to one upstream for endless responses (event streams), beside the others; more of them count as others",
)
UPSTREAM_REQUESTS = Bound(
    "upstream_max_requests",
    10_000,
    "requests",
    "on one connection to an upstream; so that none stays open for ever",
)
UPSTREAM_UNREQUESTED = Bound(
    "upstream_max_unrequested",
    1,
    "times",
    "that an upstream may send unrequested data; then each connection to it carries one request, until a restart; "
    "0 for no limit",
)
UPSTREAM_INTERIM = Bound(
    "upstream_max_interim", 16, "responses", "of status 1xx before the final one, else 502; they are passed on"
)
UPSTREAM_TUNNELS = Bound(
    "upstream_max_tunnels",
    1024,
    "connections",
    "to one upstream that are upgraded (WebSocket), else 503; beside the others",
)
UPSTREAM_BUFFER = Bound(
    "upstream_buffer",
    1024 * 1024,
    "bytes",
    "of a message between a client and an upstream in memory, then in a file; so a slow client occupies no connection",
)
UPSTREAM_BUFFERS = Bound(
    "upstream_buffers", 64 * 1024 * 1024, "bytes", "of all such messages in memory; as much for each connection"
)
UPSTREAM_FILE = Bound(
    "upstream_file",
    256 * 1024 * 1024,
    "bytes",
    "of such a message in a temporary file, then its sender waits; 0 makes no file",
)
UPSTREAM_FILES = Bound(
    "upstream_files", 1024 * 1024 * 1024, "bytes", "of all such messages in temporary files; a disk has more"
)

BOUNDS = (
    THREADS,
    THREAD_BACKLOG,
    SQLITE_READERS,
    SQLITE_BUSY,
    POSTGRES_SESSIONS,
    POSTGRES_BACKLOG,
    POSTGRES_MAX_ROWS,
    POSTGRES_MAX_BYTES,
    POSTGRES_PREPARED,
    POSTGRES_RETRY,
    UPSTREAM_CONNECTIONS,
    UPSTREAM_CLIENT_SHARE,
    UPSTREAM_WAITING,
    UPSTREAM_WAITING_BYTES,
    UPSTREAM_STREAMS,
    UPSTREAM_REQUESTS,
    UPSTREAM_UNREQUESTED,
    UPSTREAM_INTERIM,
    UPSTREAM_TUNNELS,
    UPSTREAM_BUFFER,
    UPSTREAM_BUFFERS,
    UPSTREAM_FILE,
    UPSTREAM_FILES,
)
