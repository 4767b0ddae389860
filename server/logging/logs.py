"""The log: structlog's events and the one `request` event of each exchange, as console or JSON lines.

Everything that is logged passes here: our own events, those of an application that uses structlog or the standard
library's logging. It leaves as lines without a control character (`server.logging.events`), through a buffer that never
makes the loop wait (`server.logging.writer`).

`create` makes a `Logs` and touches nothing else; `configure` makes the one of the process, and points structlog and
the standard library at it until it is closed.

Deliberately not here: files, rotation, syslog. Standard error is the log; what collects it knows how to keep it.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, MutableMapping
from typing import Any, Literal, TextIO

import structlog

from clerestory.server.logging.events import (
    Clock,
    ConsoleRequests,
    JSONRequests,
    Put,
    RequestLine,
    Stamp,
    console_line,
    json_line,
)
from clerestory.server.logging.redaction import without_queries
from clerestory.server.logging.writer import Turns, Writer, sink_for

Format = Literal["auto", "console", "json"]
LEVELS = ("debug", "info", "warning", "error", "critical")

Event = MutableMapping[str, Any]
Log = Callable[..., Any]


class Logs:
    """What the shells log to.

    `debug`, `info`, `warning`, `error` take an event's name and its fields: `logs.info("listening", address=...)`;
    `exc_info=error` adds a traceback. `request` is for each exchange, and only to be called when `access` is true;
    `debug_enabled` is asked before a state change is described.
    """

    __slots__ = (
        "_writer",
        "access",
        "always",
        "debug",
        "debug_enabled",
        "error",
        "info",
        "logger",
        "on_close",
        "queries",
        "request",
        "settings",
        "terminal",
        "warning",
    )

    def __init__(
        self, writer: Writer, settings: dict[str, Any], request: RequestLine, level: int, *, access: bool
    ) -> None:
        self._writer = writer
        self.settings = settings
        """What `structlog.configure` takes."""
        self.queries = False
        """Whether events name targets with their queries."""
        self.terminal = False
        """Whether people read it as it is written: it may say what is of use once."""
        self.on_close: Callable[[], None] = lambda: None
        self.logger = structlog.wrap_logger(
            settings["logger_factory"](), settings["processors"], settings["wrapper_class"]
        ).bind()
        self.request = request
        self.access = access and level <= logging.INFO
        self.debug_enabled = level <= logging.DEBUG
        self.always: Log = structlog.wrap_logger(
            settings["logger_factory"](), settings["processors"], structlog.make_filtering_bound_logger(logging.NOTSET)
        ).info
        """For what is to be read whatever the level: where we listen."""
        self.debug: Log = self.logger.debug
        self.info: Log = self.logger.info
        self.warning: Log = self.logger.warning
        self.error: Log = self.logger.error

    def event(self, level: str, name: str, **fields: Any) -> None:
        """Log the event `name` at `level`, one of LEVELS."""
        getattr(self.logger, level)(name, **fields)

    def close(self, timeout: float = 2.0) -> bool:
        """Write what is buffered; False when that was not done within `timeout` seconds. Later events are dropped."""
        self.on_close()
        return self._writer.close(timeout)


class Lines:
    """The logger that structlog ends in: it takes finished lines. structlog calls it by the level's name."""

    def __init__(self, put: Put) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = self.msg = put


class FromLogging(logging.Handler):
    """Takes the records of the standard library's logging: the logger's name and the message are fields."""

    def __init__(self, logger: Any) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Log `record` as the event `logged`."""
        try:
            message = record.getMessage()
        except Exception as error:  # noqa: BLE001 - the caller's format string and arguments do not go together
            message = f"{record.msg} ({error!r})"
        level = next((name for name in LEVELS if record.levelno <= getattr(logging, name.upper())), "critical")
        getattr(self._logger, level)("logged", logger=record.name, message=message, exc_info=record.exc_info)


def create(
    format: Format = "auto",  # noqa: A002
    level: str = "info",
    stream: TextIO | None = None,
    *,
    access: bool = True,
    queries: bool = False,
    clock: Clock = time.time,
    worker: int = 0,
    turns: Turns | None = None,
) -> Logs:
    """Logs that write to `stream`: for tests, and for those who want more than one. Each line names the `worker` that
    this process is, if it is one; `turns` are taken with other processes that write there.

    `auto` is `console` where `stream` is a terminal, else `json`. The `request` event has the level info: it is logged
    when `access` is true and `level` is info or below. What is left out without `queries`: server.logging.redaction.
    """
    terminal = stream is not None and stream.isatty()
    colours = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    people = format == "console" or (format == "auto" and terminal)
    stamp = Stamp(clock, local=people)

    def render(_logger: Any, _method: str, event: Event) -> str:
        if worker:
            event = {"worker": worker} | dict(event)  # unless the event is about another one
        return console_line(event, stamp(), colours=colours) if people else json_line(event, stamp())

    def redact(_logger: Any, _method: str, event: Event) -> Event:
        if not queries and isinstance(event.get("exception"), str):
            event["exception"] = without_queries(event["exception"])
        return event

    def report(count: int) -> str:
        return render(None, "", {"event": "lines_dropped", "level": "warning", "count": count})

    writer = Writer(sink_for(stream), report, turns=turns)
    put, number = writer.put, getattr(logging, level.upper())
    lines = Lines(put)
    settings = {
        "processors": [structlog.processors.add_log_level, structlog.processors.format_exc_info, redact, render],
        "wrapper_class": structlog.make_filtering_bound_logger(number),
        "logger_factory": lambda *_: lines,
    }
    request = ConsoleRequests(put, stamp, worker, colours=colours) if people else JSONRequests(put, stamp, worker)
    logs = Logs(writer, settings, request, number, access=access)
    logs.queries = queries
    logs.terminal = terminal and people
    return logs


def configure(
    format: Format = "auto",  # noqa: A002
    level: str = "info",
    stream: TextIO | None = None,
    *,
    access: bool = True,
    queries: bool = False,
    worker: int = 0,
    turns: Turns | None = None,
) -> Logs:
    """The logs of the process, on standard error unless told otherwise. As `create`; besides, structlog's own loggers
    and the standard library's end in them until they are closed."""
    logs = create(format, level, stream or sys.stderr, access=access, queries=queries, worker=worker, turns=turns)
    root, library = logging.getLogger(), logging.getLogger("transitions")
    handler, levels = FromLogging(logs.logger), (root.level, library.level)

    def undo() -> None:
        root.removeHandler(handler)
        root.setLevel(levels[0])
        library.setLevel(levels[1])
        structlog.reset_defaults()

    number = getattr(logging, level.upper())
    root.addHandler(handler)
    root.setLevel(number)
    library.setLevel(max(number, logging.WARNING))  # at info it tells of every callback
    structlog.configure(**logs.settings)
    logs.on_close = undo
    return logs
