"""The limits and deadlines: one dataclass, from which the command line's options are made.

A deadline's default and reason stand in its machine's table; a limit's stand here. Sizes are bytes, times are seconds.
"""

from dataclasses import dataclass, field, fields
from typing import Any

from handlers.backends import bounds
from statemachines import connection, listener, postgres, postgres_cancel, process, slot, upstream, work
from statemachines.contract import Deadline


def _limit(default: int, unit: str, why: str) -> Any:
    return field(default=default, metadata={"unit": unit, "help": why})


def _deadline(deadline: Deadline) -> Any:
    return field(default=deadline.seconds, metadata={"unit": "seconds", "help": deadline.why})


def _rate(deadline: Deadline) -> Any:
    return field(default=deadline.min_rate, metadata={"unit": "bytes/s", "help": deadline.rate_why})


def _grace(deadline: Deadline) -> Any:
    return field(default=deadline.grace, metadata={"unit": "seconds", "help": deadline.grace_why})


def _bound(bound: bounds.Bound) -> Any:
    return field(default=bound.default, metadata={"unit": bound.unit, "help": bound.why})


@dataclass(frozen=True, slots=True)
class Limits:
    """Every bound the server keeps. `metadata` of each field has its `unit` and a `help` line with the reason."""

    keep_alive_timeout: float = _deadline(connection.KEEP_ALIVE)
    head_timeout: float = _deadline(connection.HEAD)
    body_timeout: float = _deadline(connection.BODY)
    body_min_rate: int = _rate(connection.BODY)
    body_grace: float = _grace(connection.BODY)
    backend_timeout: float = _deadline(connection.BACKEND)
    send_timeout: float = _deadline(connection.SEND)
    send_min_rate: int = _rate(connection.SEND)
    send_grace: float = _grace(connection.SEND)
    tunnel_timeout: float = _deadline(connection.TUNNEL)
    linger_timeout: float = _deadline(connection.LINGER)
    pause_timeout: float = _deadline(listener.PAUSE)
    drain_timeout: float = _deadline(process.DRAIN)

    thread_queue_timeout: float = _deadline(work.QUEUE)
    postgres_connect_timeout: float = _deadline(postgres.CONNECT)
    postgres_login_timeout: float = _deadline(postgres.LOGIN)
    postgres_idle_timeout: float = _deadline(postgres.IDLE)
    postgres_send_timeout: float = _deadline(postgres.SEND)
    postgres_query_timeout: float = _deadline(postgres.QUERY)
    postgres_transaction_timeout: float = _deadline(postgres.HOLD)
    postgres_cancel_timeout: float = _deadline(postgres.CANCEL)
    postgres_reset_timeout: float = _deadline(postgres.RESET)
    postgres_slot_timeout: float = _deadline(slot.SESSION)
    postgres_cancel_send_timeout: float = _deadline(postgres_cancel.SEND)
    postgres_cancel_close_timeout: float = _deadline(postgres_cancel.CLOSE)
    postgres_retry: float = _bound(bounds.POSTGRES_RETRY)
    sqlite_busy: float = _bound(bounds.SQLITE_BUSY)
    upstream_connect_timeout: float = _deadline(upstream.CONNECT)
    upstream_handshake_timeout: float = _deadline(upstream.HANDSHAKE)
    upstream_send_timeout: float = _deadline(upstream.SEND)
    upstream_send_min_rate: int = _rate(upstream.SEND)
    upstream_send_grace: float = _grace(upstream.SEND)
    upstream_continue_timeout: float = _deadline(upstream.CONTINUE)
    upstream_piece_timeout: float = _deadline(upstream.PIECE)
    upstream_response_timeout: float = _deadline(upstream.RESPONSE)
    upstream_take_timeout: float = _deadline(upstream.TAKE)
    upstream_body_timeout: float = _deadline(upstream.BODY)
    upstream_tunnel_timeout: float = _deadline(upstream.TUNNEL)
    upstream_idle_timeout: float = _deadline(upstream.IDLE)
    upstream_slot_timeout: float = _deadline(slot.CONNECTION)
    upstream_max_connections: int = _bound(bounds.UPSTREAM_CONNECTIONS)
    upstream_max_waiting: int = _bound(bounds.UPSTREAM_WAITING)
    upstream_max_requests: int = _bound(bounds.UPSTREAM_REQUESTS)
    upstream_max_interim: int = _bound(bounds.UPSTREAM_INTERIM)
    upstream_max_tunnels: int = _bound(bounds.UPSTREAM_TUNNELS)

    max_requests: int = _limit(
        1000, "requests", "on one connection, then it is closed; frees what long-lived clients pin"
    )
    max_request_line: int = _limit(8190, "bytes", "in a request line, else 414; what most servers take")
    max_field_line: int = _limit(8190, "bytes", "in one field line, else 431; what most servers take")
    max_fields: int = _limit(100, "fields", "in one head or trailer section, else 431")
    max_head: int = _limit(32 * 1024, "bytes", "in a whole head, else 431; several large cookies still fit")
    max_chunk_line: int = _limit(256, "bytes", "in a chunk-size line with its extensions, else 400")
    max_chunk_overhead: int = _limit(
        16 * 1024, "bytes", "of chunk framing more than the body itself has, else 400; stops one-byte chunks"
    )
    max_body: int = _limit(1024 * 1024, "bytes", "in a request body, else 413; a route may set its own")
    max_output: int = _limit(
        64 * 1024,
        "bytes",
        "of a streamed response gathered before they are sent; what produces it waits until the socket has taken them",
    )
    max_linger: int = _limit(256 * 1024, "bytes", "discarded after our last answer before we close")
    max_ranges: int = _limit(16, "ranges", "in one request for a file; beyond it the whole file is sent")
    max_known_files: int = _limit(
        1024,
        "files",
        "of a directory remembered for a second where they were found, in 2 KiB each; 0 searches for each anew",
    )
    max_accepts: int = _limit(64, "connections", "accepted in one go, so that those already here get their turn")
    max_connections: int = _limit(
        0,
        "connections",
        "open at a time; 0 stands for the descriptor limit less a reserve; beyond it clients wait, then get 503",
    )

    threads: int = _bound(bounds.THREADS)
    thread_backlog: int = _bound(bounds.THREAD_BACKLOG)
    sqlite_readers: int = _bound(bounds.SQLITE_READERS)
    postgres_sessions: int = _bound(bounds.POSTGRES_SESSIONS)
    postgres_backlog: int = _bound(bounds.POSTGRES_BACKLOG)
    postgres_max_rows: int = _bound(bounds.POSTGRES_MAX_ROWS)
    postgres_prepared: int = _bound(bounds.POSTGRES_PREPARED)


OPTIONS = fields(Limits)
