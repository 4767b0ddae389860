"""The options that say where and how the server runs."""

from typing import get_args

from clerestory.server.cli.options.option import Group, Option
from clerestory.server.cli.values import (
    DURATION,
    HOST,
    LISTEN,
    PATH,
    PORT,
    SENDERS,
    SWITCH,
    TEXT,
    WORKERS,
    XRAY,
    choice,
)
from clerestory.server.logging.logs import LEVELS, Format
from clerestory.server.options import ParserName, PollerName, RequestIds, XRayMetrics
from clerestory.server.xray.serve.address import USUAL
from clerestory.statemachines.engine import Dispatch

LISTENING = Group(
    "listening",
    "Where it listens",
    "Sockets that systemd hands over (LISTEN_FDS) are served besides those that are named here.",
)
ENGINE = Group("engine", "The engine")
PROCESSES = Group("processes", "Processes")
XRAYS = Group("xray", "The x-ray: every connection, live")
LOGS = Group("logs", "Logs, on standard error")
CONFIGURATION = Group(
    "configuration",
    "Configuration",
    "Any other option may be set by the command line, by its variable in the environment (CLERESTORY_MAX_BODY), or by\n"
    "its key in the configuration file, in TOML (max-body). The first of these holds.",
)

LISTENING_OPTIONS = (
    Option(
        "listen",
        LISTENING,
        LISTEN,
        (),
        "Listen there: HOST:PORT, [::1]:PORT, PORT, unix:PATH, or fd:N, a socket that was inherited. *:PORT is every "
        "address, IPv4 and IPv6; [::]:PORT too, unless ,v6only follows. unix:PATH,mode=660,owner=USER:GROUP sets who "
        "may connect",
        default_help="what --host and --port say",
        brief="Listen there: PORT, unix:PATH, fd:N; repeatable",
        repeated=True,
        meanings=(
            "bind",
            "b",
            "address",
            "addr",
            "l",
            "socket",
            "uds",
            "unix",
            "unix-socket",
            "sock",
            "fd",
        ),
    ),
    Option(
        "host",
        LISTENING,
        HOST,
        "127.0.0.1",
        "Listen on this name or address; 0.0.0.0 stands for every IPv4 address",
        brief="Listen on this address; 0.0.0.0 for every one",
        meanings=("H", "ip", "hostname"),
    ),
    Option(
        "port",
        LISTENING,
        PORT,
        8000,
        "Listen on this port; 0 takes a free one",
        brief="Listen on this port; 0 for a free one",
        meanings=("p", "http-port"),
    ),
    Option(
        "proxy_protocol",
        LISTENING,
        SENDERS,
        (),
        "Expect the PROXY protocol (version 1 or 2) at the beginning of each connection from this network (unix: from "
        "Unix sockets), and refuse the connections of all others",
        default_help="do not expect it",
        repeated=True,
        meanings=("accept-proxy", "haproxy", "proxyprotocol"),
    ),
)

PROCESS_OPTIONS = (
    Option(
        "reload",
        PROCESSES,
        SWITCH,
        False,
        "Replace the processes whenever a source file below --app-dir changes, for development",
        brief="Serve the new code whenever a source file is saved",
        meanings=("watch", "debug-reload", "autoreload", "reload-dir", "dev"),
    ),
    Option(
        "debug",
        PROCESSES,
        SWITCH,
        False,
        "Answer an error in a handler with its traceback, as --reload does; for development, since it shows sources",
        meanings=("traceback", "errors", "development"),
    ),
    Option(
        "user",
        PROCESSES,
        TEXT,
        "",
        "Run as this user, by name or number, once the sockets are bound; the application is imported only then",
        default_help="the user that starts it",
        metavar="USER",
        meanings=("u", "uid", "setuid"),
    ),
    Option(
        "group",
        PROCESSES,
        TEXT,
        "",
        "Run as this group, in the same way",
        default_help="the group of --user",
        metavar="GROUP",
        meanings=("g", "gid", "setgid"),
    ),
    Option(
        "pid_file",
        PROCESSES,
        PATH,
        "",
        "Write the id of the process that takes signals into this file",
        default_help="write none",
        meanings=("pid", "pidfile"),
    ),
    Option(
        "workers",
        PROCESSES,
        WORKERS,
        0,
        "Serve by so many processes below a supervisor, which replaces those that end, and reloads at SIGHUP; "
        "auto is one for each processor",
        default_help="one process, and no supervisor",
        brief="Serve by N processes; SIGHUP reloads without a loss",
        meanings=("w", "processes", "worker-processes", "threads-and-workers", "numprocs"),
    ),
)

ENGINE_OPTIONS = (
    Option(
        "poller",
        ENGINE,
        choice(get_args(PollerName), "POLLER"),
        "auto",
        "Learn which sockets are ready by epoll, poll or select; auto takes the best there is",
    ),
    Option(
        "parser",
        ENGINE,
        choice(get_args(ParserName), "PARSER"),
        "auto",
        "Parse requests with h11 or httptools; auto takes httptools where it is installed",
        spellings=("http",),
    ),
    Option(
        "dispatch",
        ENGINE,
        choice(list(map(str, Dispatch)), "DISPATCH"),
        str(Dispatch.COMPILED),
        "Run the state machines with the built-in engine (compiled) or with the transitions library, which is slow",
    ),
)

XRAY_OPTIONS = (
    Option(
        "xray",
        XRAYS,
        XRAY,
        "auto",
        "Serve the x-ray at HOST:PORT or unix:PATH. It takes a token, $CLERESTORY_XRAY_TOKEN or a generated one, "
        "which ps, top and page find by themselves",
        default_help=f"{USUAL}, or a free port where that is taken",
        off="",
        meanings=("admin", "status", "stats", "dashboard", "metrics"),
    ),
    Option(
        "xray_token",
        XRAYS,
        TEXT,
        "",
        "Let in those who have this token",
        default_help="a generated one",
        secret=True,
    ),
    Option(
        "xray_metrics",
        XRAYS,
        choice(get_args(XRayMetrics), "METRICS"),
        "auto",
        "Let everybody (open) or those with the token (token) read /metrics; auto needs it except from this machine",
        meanings=("prometheus",),
    ),
    Option(
        "slow",
        XRAYS,
        DURATION,
        0.0,
        "Log a request that takes at least so long, such as 500ms or 2s, with what it waited for; waits shows it",
        default_help="none",
        meanings=("slowlog", "slow-log", "slow-request", "log-slow"),
    ),
    Option(
        "otel",
        XRAYS,
        SWITCH,
        False,
        "Export a span for each request by OpenTelemetry, with its states as events; OTEL_EXPORTER_OTLP_ENDPOINT and "
        "the other variables of its SDK say where to",
        meanings=("opentelemetry", "tracing", "trace", "otlp", "traces", "jaeger", "zipkin"),
    ),
)

LOG_OPTIONS = (
    Option(
        "log_format",
        LOGS,
        choice(get_args(Format), "FORMAT"),
        "auto",
        "Write the log as console (it honours NO_COLOR) or as json lines; auto is console on a terminal",
        meanings=("log-config", "json", "use-colors", "no-color", "color"),
    ),
    Option(
        "log_level",
        LOGS,
        choice(LEVELS, "LEVEL"),
        "info",
        "Log from this level: debug (every change of state), info, warning (no access log), error, critical",
        brief="Log from this level: debug, info, warning, error",
        meanings=("verbose", "loglevel", "quiet", "q"),
    ),
    Option(
        "access_log",
        LOGS,
        SWITCH,
        True,
        "Log one line for each request, at level info",
        meanings=("access-logfile", "log-requests", "no-request-logging"),
    ),
    Option(
        "log_queries",
        LOGS,
        SWITCH,
        False,
        "Log what follows the ? of a target, which may hold secrets; without this they are left out",
    ),
    Option(
        "request_ids",
        LOGS,
        choice(get_args(RequestIds), "RESPONSES"),
        "errors",
        "Say a request's id, which the log and the x-ray have too, in x-request-id of these responses: errors or all. "
        "Of a peer that --trust names it is taken over",
        meanings=("request-id", "x-request-id", "correlation-id", "trace-id"),
    ),
)

CONFIGURATION_OPTIONS = (
    Option(
        "config",
        CONFIGURATION,
        PATH,
        None,
        "Read options from this file, in TOML",
        default_help="clerestory.toml in this directory, if it is there",
        brief="Read options from this file, in TOML",
        off="",
        meanings=("c", "configuration", "conf", "settings", "env-file"),
    ),
    Option(
        "check_config",
        CONFIGURATION,
        SWITCH,
        False,
        "Print every option with its value and where it comes from, load what is served, and end",
        brief="Print every option, its value and its source; end",
        typed=True,
        meanings=("test", "validate", "dry-run", "print-config"),
    ),
    Option(
        "help",
        CONFIGURATION,
        SWITCH,
        False,
        "Print the help of a GROUP of options, or of all",
        brief="Print the options of a group, or all of them",
        metavar="[all|GROUP]",
        letter="h",
        typed=True,
        meanings=("usage", "?"),
    ),
    Option(
        "version",
        CONFIGURATION,
        SWITCH,
        False,
        "Print the version, and those of the parts that decide how it behaves",
        letter="V",
        typed=True,
        meanings=("v",),
    ),
)
