"""The limits and deadlines: one dataclass, from which the command line's options are made.

A deadline's default and reason stand in its machine's table; a limit's stand here. Sizes are bytes, times are seconds.
"""

from dataclasses import dataclass, field, fields
from typing import Any

from clerestory.handlers.backends.pool import bounds
from clerestory.handlers.websocket import bounds as websocket_bounds
from clerestory.statemachines import (
    application,
    breaker,
    connection,
    h2_connection,
    inquiry,
    lifespan,
    listener,
    postgres,
    postgres_cancel,
    postgres_reset,
    probe,
    process,
    proxy_protocol,
    resolution,
    slot,
    sources,
    upstream,
    watchdog,
    websocket,
    work,
    worker,
)
from clerestory.statemachines.contract import Deadline


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
    handshake_timeout: float = _deadline(connection.HANDSHAKE)
    head_timeout: float = _deadline(connection.HEAD)
    body_timeout: float = _deadline(connection.BODY)
    body_min_rate: int = _rate(connection.BODY)
    body_grace: float = _grace(connection.BODY)
    backend_timeout: float = _deadline(connection.BACKEND)
    handler_total: float = field(
        default=300.0,
        metadata={
            "unit": "seconds",
            "help": "of waiting in all until a handler's response begins, then 504; however many operations that are",
        },
    )
    half_close_timeout: float = _deadline(connection.HALF_CLOSE)
    send_timeout: float = _deadline(connection.SEND)
    send_min_rate: int = _rate(connection.SEND)
    send_grace: float = _grace(connection.SEND)
    exchange_timeout: float = _deadline(connection.EXCHANGE)
    tunnel_timeout: float = _deadline(connection.TUNNEL)
    linger_timeout: float = _deadline(connection.LINGER)
    linger_total: float = field(
        default=30.0,
        metadata={"unit": "seconds", "help": "in all for a client to finish sending what our last response refused"},
    )
    http2_settings_timeout: float = _deadline(h2_connection.SETTINGS)
    http2_stall_timeout: float = _deadline(h2_connection.STALL)
    pause_timeout: float = _deadline(listener.PAUSE)
    refuse_timeout: float = _deadline(listener.REFUSAL)
    proxy_protocol_timeout: float = _deadline(proxy_protocol.HEADER)
    last_request_timeout: float = _deadline(process.LAST)
    drain_timeout: float = _deadline(process.DRAIN)
    worker_start_timeout: float = _deadline(worker.START)
    worker_back_off: float = _deadline(worker.BACK_OFF)
    worker_retire_timeout: float = _deadline(worker.RETIREMENT)
    worker_stop_timeout: float = _deadline(worker.STOP)
    worker_abort_timeout: float = _deadline(worker.ABORT)
    worker_leave_timeout: float = _deadline(worker.LEAVE)
    blocked_timeout: float = _deadline(worker.SILENCE)
    reload_interval: float = _deadline(sources.LOOK)
    inquiry_timeout: float = _deadline(inquiry.ANSWER)
    watchdog_interval: float = _deadline(watchdog.REST)
    watchdog_timeout: float = _deadline(watchdog.ANSWER)

    application_timeout: float = _deadline(application.APPLICATION)
    application_stream_timeout: float = _deadline(application.STREAM)
    application_leave_timeout: float = _deadline(application.LEAVE)
    application_cancel_timeout: float = _deadline(application.CANCEL)
    websocket_ping_interval: float = _deadline(websocket.PING)
    websocket_pong_timeout: float = _deadline(websocket.PONG)
    websocket_send_timeout: float = _deadline(websocket.SEND)
    websocket_take_timeout: float = _deadline(websocket.TAKE)
    websocket_close_timeout: float = _deadline(websocket.CLOSE)
    lifespan_startup_timeout: float = _deadline(lifespan.STARTUP)
    lifespan_shutdown_timeout: float = _deadline(lifespan.SHUTDOWN)
    lifespan_cancel_timeout: float = _deadline(lifespan.CANCEL)

    thread_queue_timeout: float = _deadline(work.QUEUE)
    postgres_connect_timeout: float = _deadline(postgres.CONNECT)
    postgres_login_timeout: float = _deadline(postgres.LOGIN)
    postgres_idle_timeout: float = _deadline(postgres.IDLE)
    postgres_send_timeout: float = _deadline(postgres.SEND)
    postgres_prepare_timeout: float = _deadline(postgres.PREPARE)
    postgres_query_timeout: float = _deadline(postgres.QUERY)
    postgres_transaction_timeout: float = _deadline(postgres.HOLD)
    postgres_discard_timeout: float = _deadline(postgres_reset.DISCARD)
    postgres_cancel_timeout: float = _deadline(postgres_reset.CANCEL)
    postgres_rollback_timeout: float = _deadline(postgres_reset.ROLL_BACK)
    postgres_reset_timeout: float = _deadline(postgres_reset.RESET)
    postgres_slot_timeout: float = _deadline(slot.SESSION)
    postgres_cancel_send_timeout: float = _deadline(postgres_cancel.SEND)
    postgres_cancel_close_timeout: float = _deadline(postgres_cancel.CLOSE)
    postgres_retry: float = _bound(bounds.POSTGRES_RETRY)
    sqlite_busy: float = _bound(bounds.SQLITE_BUSY)
    upstream_resolve_timeout: float = _deadline(resolution.RESOLVE)
    upstream_connect_timeout: float = _deadline(upstream.CONNECT)
    upstream_handshake_timeout: float = _deadline(upstream.HANDSHAKE)
    upstream_send_timeout: float = _deadline(upstream.SEND)
    upstream_send_min_rate: int = _rate(upstream.SEND)
    upstream_send_grace: float = _grace(upstream.SEND)
    upstream_continue_timeout: float = _deadline(upstream.CONTINUE)
    upstream_piece_timeout: float = _deadline(upstream.PIECE)
    upstream_piece_min_rate: int = _rate(upstream.PIECE)
    upstream_piece_grace: float = _grace(upstream.PIECE)
    upstream_response_timeout: float = _deadline(upstream.RESPONSE)
    upstream_exchange_timeout: float = _deadline(upstream.EXCHANGE)
    upstream_take_timeout: float = _deadline(upstream.TAKE)
    upstream_take_min_rate: int = _rate(upstream.TAKE)
    upstream_take_grace: float = _grace(upstream.TAKE)
    upstream_body_timeout: float = _deadline(upstream.BODY)
    upstream_tunnel_timeout: float = _deadline(upstream.TUNNEL)
    upstream_idle_timeout: float = _deadline(upstream.IDLE)
    upstream_down_timeout: float = _deadline(breaker.DOWN)
    upstream_probe_interval: float = _deadline(probe.INTERVAL)
    upstream_probe_timeout: float = _deadline(probe.ANSWER)
    upstream_slot_timeout: float = _deadline(slot.CONNECTION)
    upstream_max_connections: int = _bound(bounds.UPSTREAM_CONNECTIONS)
    upstream_client_share: int = _bound(bounds.UPSTREAM_CLIENT_SHARE)
    upstream_max_waiting: int = _bound(bounds.UPSTREAM_WAITING)
    upstream_max_waiting_bytes: int = _bound(bounds.UPSTREAM_WAITING_BYTES)
    upstream_max_streams: int = _bound(bounds.UPSTREAM_STREAMS)
    upstream_max_requests: int = _bound(bounds.UPSTREAM_REQUESTS)
    upstream_max_unrequested: int = _bound(bounds.UPSTREAM_UNREQUESTED)
    upstream_max_interim: int = _bound(bounds.UPSTREAM_INTERIM)
    upstream_max_tunnels: int = _bound(bounds.UPSTREAM_TUNNELS)
    upstream_buffer: int = _bound(bounds.UPSTREAM_BUFFER)
    upstream_buffers: int = _bound(bounds.UPSTREAM_BUFFERS)
    upstream_file: int = _bound(bounds.UPSTREAM_FILE)
    upstream_files: int = _bound(bounds.UPSTREAM_FILES)

    max_requests: int = _limit(
        1000, "requests", "on one connection, then it is closed; so that no client holds one for ever"
    )
    strict_targets: bool = field(
        default=False,
        metadata={
            "unit": "switch",
            "help": "refuse with 400 what browsers leave unencoded in a target although RFC 3986 does not allow it, "
            "such as {|} or a lone %; by default it is accepted, and percent-encoded",
        },
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
    max_proxy_header: int = _limit(
        2048,
        "bytes",
        "in a header of the PROXY protocol, else it is refused; HAProxy's has a few hundred at most",
    )
    max_output: int = _limit(
        64 * 1024,
        "bytes",
        "of a streamed response gathered before they are sent; what produces it waits until the socket has taken them",
    )
    max_linger: int = _limit(
        256 * 1024 * 1024,
        "bytes",
        "discarded after our last answer before we close; many clients read a 413 only when they have sent all",
    )
    max_lingering: int = _limit(
        256,
        "connections",
        "discarding more than 64K each at a time; others are closed then, and their clients may miss the answer",
    )
    max_ranges: int = _limit(16, "ranges", "in one request for a file; beyond it the whole file is sent")
    max_known_files: int = _limit(
        1024,
        "files",
        "of a directory remembered for a second where they were found, in 2 KiB each; 0 searches for each anew",
    )
    max_accepts: int = _limit(
        1024, "connections", "accepted in one turn, within 2 ms unless the loop is busy, so that others get their turn"
    )
    max_handshakes: int = _limit(
        1024,
        "connections",
        "whose TLS handshake is under way; beyond it those that have taken longest are closed, so that clients that "
        "begin one and stop do not keep others out",
    )
    max_connections: int = _limit(
        0,
        "connections",
        "open at a time; 0 stands for the descriptor limit less a reserve; beyond it those that have idled longest are "
        "closed; if none has idled, new clients get 503",
    )

    http2_max_streams: int = _limit(
        100, "streams", "open at a time on one HTTP/2 connection; the next is refused, and may be sent again"
    )
    http2_max_resets: int = _limit(
        200,
        "streams",
        "of one HTTP/2 connection reset within a second, by the client or for its fault, then it is closed; a browser "
        "resets what it had asked for when its user leaves a page",
    )
    http2_max_controls: int = _limit(
        1000,
        "frames",
        "of one HTTP/2 connection within a second that carry nothing (PING, SETTINGS, PRIORITY, DATA of a few bytes), "
        "then it is closed",
    )
    http2_max_continuations: int = _limit(
        8, "frames", "of CONTINUATION behind one HEADERS, then the HTTP/2 connection is closed"
    )
    http2_window: int = _limit(
        64 * 1024,
        "bytes",
        "of a body that an HTTP/2 client may send on one stream before they are taken; at least 65,535",
    )
    http2_max_unread: int = _limit(
        1024 * 1024,
        "bytes",
        "of all bodies of one HTTP/2 connection that were not taken yet, beyond which all of its streams wait",
    )

    websocket_max_message: int = _bound(websocket_bounds.MESSAGE)
    websocket_max_frame: int = _bound(websocket_bounds.FRAME)
    websocket_max_fragments: int = _bound(websocket_bounds.FRAGMENTS)
    websocket_max_queue: int = _bound(websocket_bounds.QUEUE)
    websocket_max_controls: int = _bound(websocket_bounds.CONTROLS)
    websocket_max_unsent: int = _bound(websocket_bounds.UNSENT)
    websocket_compression: bool = field(
        default=False,
        metadata={
            "unit": "switch",
            "help": "compress messages of WebSocket clients that offer it (permessage-deflate), each by itself; by "
            "default not: it costs more time than it saves on messages of less than a kilobyte",
        },
    )

    max_requests_per_worker: int = _limit(
        0, "requests", "and up to a tenth more at random, then a worker is replaced by a fresh one; 0 for no limit"
    )
    max_memory: int = _limit(
        0,
        "bytes",
        "resident in one worker, then it is replaced by a fresh one; 0 for no limit",
    )

    threads: int = _bound(bounds.THREADS)
    thread_backlog: int = _bound(bounds.THREAD_BACKLOG)
    sqlite_readers: int = _bound(bounds.SQLITE_READERS)
    postgres_sessions: int = _bound(bounds.POSTGRES_SESSIONS)
    postgres_backlog: int = _bound(bounds.POSTGRES_BACKLOG)
    postgres_max_rows: int = _bound(bounds.POSTGRES_MAX_ROWS)
    postgres_max_bytes: int = _bound(bounds.POSTGRES_MAX_BYTES)
    postgres_prepared: int = _bound(bounds.POSTGRES_PREPARED)


OPTIONS = fields(Limits)
