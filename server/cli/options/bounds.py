"""The options that are made from the limits: each field of `Limits` is one, with its unit, default and reason."""

from dataclasses import Field

from clerestory.server.cli.options.option import Group, Option
from clerestory.server.cli.options.running import PROCESSES
from clerestory.server.cli.options.tls import HTTP2
from clerestory.server.cli.values import SWITCH, kind_of
from clerestory.server.config import OPTIONS

TIMEOUTS = Group("timeouts", "Timeouts", "How long the server waits. Seconds may have a fraction.")
LIMITS = Group("limits", "Limits", "How much the server takes. Bytes may be written 64K, 1M or 1G.")
APPLICATION = Group("application", "An application: TARGET is module:attribute")
THREADS = Group("threads", "Threads, for what blocks")
SQLITE = Group("sqlite", "SQLite")
POSTGRES = Group("postgres", "PostgreSQL")
UPSTREAM = Group("upstream", "Upstreams", "What a reverse proxy waits for, and how much it takes.")

_BY_PREFIX = {
    "worker": PROCESSES,
    "blocked": PROCESSES,
    "reload": PROCESSES,
    "application": APPLICATION,
    "lifespan": APPLICATION,
    "thread": THREADS,
    "threads": THREADS,
    "sqlite": SQLITE,
    "postgres": POSTGRES,
    "upstream": UPSTREAM,
    "http2": HTTP2,
}
"""The group of a limit, by the first word of its name; of all others, by its unit."""

ZERO_MEANS_NONE = {
    *("body_min_rate", "send_min_rate", "body_grace", "send_grace", "max_body", "max_connections"),
    "postgres_prepared",
    *("half_close_timeout", "max_lingering"),
    *("blocked_timeout", "max_requests_per_worker", "max_memory"),
    *(
        "upstream_send_min_rate",
        "upstream_send_grace",
        "upstream_piece_min_rate",
        "upstream_piece_grace",
        "upstream_take_min_rate",
        "upstream_take_grace",
        "upstream_client_share",
        "upstream_max_waiting",
        "upstream_max_streams",
        "upstream_max_unrequested",
        "upstream_max_interim",
        "upstream_max_tunnels",
        "upstream_buffer",
        "upstream_buffers",
        "upstream_file",
        "upstream_files",
    ),
}
"""The limits that may be 0. Of the others 0 would serve nothing, or wait forever."""

SPELLINGS = {
    "keep_alive_timeout": ("timeout-keep-alive", "keep-alive"),
    "drain_timeout": ("timeout-graceful-shutdown", "graceful-timeout"),
    "max_connections": ("limit-concurrency", "worker-connections"),
    "max_request_line": ("limit-request-line",),
    "max_fields": ("limit-request-fields",),
    "max_field_line": ("limit-request-field-size",),
}
"""What uvicorn and gunicorn call the same."""

MEANINGS = {
    "max_body": ("client-max-body-size", "max-body-size", "max-request-size", "upload-limit", "limit-request-body"),
    "max_head": ("h11-max-incomplete-event-size", "max-header-size", "max-headers"),
    "application_timeout": ("timeout", "t", "request-timeout"),
    "drain_timeout": ("shutdown-timeout", "stop-timeout"),
    "max_requests": ("keepalive-requests", "keep-alive-requests"),
    "threads": ("worker-threads", "blocking-threads"),
    "max_requests_per_worker": ("limit-max-requests", "workers-lifetime"),
    "max_memory": ("workers-max-rss", "max-rss"),
}

BRIEF = {"max_body": "Bytes in a request body, such as 16M; then 413"}


def _sentence(unit: str, reason: str) -> str:
    if unit == "switch":
        return reason[0].upper() + reason[1:]
    return f"{'Bytes a second' if unit == 'bytes/s' else unit.capitalize()} {reason}"


def option_of(field: "Field[float]") -> Option:
    """The option that sets a field of `Limits`."""
    name, unit = field.name, str(field.metadata["unit"])
    timed = unit in ("seconds", "bytes/s") or name.endswith("_rate")
    switch = unit == "switch"
    return Option(
        name,
        _BY_PREFIX.get(name.partition("_")[0], TIMEOUTS if timed else LIMITS),
        SWITCH if switch else kind_of(unit, zero=name in ZERO_MEANS_NONE),
        field.default,
        _sentence(unit, field.metadata["help"]),
        brief=BRIEF.get(name, ""),
        spellings=SPELLINGS.get(name, ()),
        meanings=MEANINGS.get(name, ()),
    )


OPTIONS_OF_LIMITS = tuple(option_of(field) for field in OPTIONS)
