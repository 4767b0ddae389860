"""The log's face: what is let through, where it goes, and that everything that logs ends in it."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from clerestory.server.logging.events import STATES, ConsoleRequests, JSONRequests
from clerestory.server.logging.logs import LEVELS, FromLogging, Logs, configure, create
from clerestory.server.logging.writer import CAPACITY

PATIENCE = 10.0
REQUEST = ("7-3", "127.0.0.1:5000", "GET", "/", 200, 0, 345, [1.0] * len(STATES), None)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(logs: Logs, stream: io.StringIO) -> list[dict[str, Any]]:
    """What `logs` have written to `stream`, which are thereby closed."""
    assert logs.close(PATIENCE)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def configured(stream: io.StringIO) -> Iterator[Logs]:
    logs = configure("json", "info", stream)
    yield logs
    logs.close(PATIENCE)


# --- what is let through


def test_an_event_has_its_name_level_time_and_fields(stream: io.StringIO) -> None:
    logs = create("json", "info", stream, clock=lambda: 0.0)
    logs.info("listening", address="127.0.0.1:8000")
    assert written(logs, stream) == [
        {"event": "listening", "level": "info", "time": "1970-01-01T00:00:00.000Z", "address": "127.0.0.1:8000"}
    ]


@pytest.mark.parametrize("level", LEVELS)
def test_events_below_the_level_are_left_out(level: str, stream: io.StringIO) -> None:
    logs = create("json", level, stream)
    for name in LEVELS:
        logs.event(name, f"a_{name}")
    assert [event["level"] for event in written(logs, stream)] == list(LEVELS[LEVELS.index(level) :])


@pytest.mark.parametrize(
    ("level", "asked", "access", "debug"),
    [
        ("debug", True, True, True),
        ("info", True, True, False),
        ("info", False, False, False),
        ("warning", True, False, False),
    ],
)
def test_the_shells_are_told_what_is_worth_gathering(
    level: str, asked: bool, access: bool, debug: bool, stream: io.StringIO
) -> None:
    logs = create("json", level, stream, access=asked)
    assert (logs.access, logs.debug_enabled) == (access, debug)
    assert logs.close(PATIENCE)


def test_an_exception_brings_its_traceback(stream: io.StringIO) -> None:
    logs = create("json", "info", stream)
    try:
        raise ValueError("no such thing\nat all")
    except ValueError as error:
        logs.error("handler_failed", exc_info=error)
    (event,) = written(logs, stream)
    assert event["exception"].startswith("Traceback (most recent call last):\n")
    assert event["exception"].endswith("ValueError: no such thing\nat all")
    assert "exc_info" not in event


def test_the_request_event_goes_through_the_same_lines(stream: io.StringIO) -> None:
    logs = create("json", "info", stream)
    logs.info("before")
    logs.request(*REQUEST)
    logs.info("after")
    assert [event["event"] for event in written(logs, stream)] == ["before", "request", "after"]


def test_dropped_lines_are_told_as_an_event(stream: io.StringIO) -> None:
    logs = create("json", "info", stream)
    logs.info("too_large", field="." * CAPACITY)
    (event,) = written(logs, stream)
    assert (event["event"], event["level"], event["count"]) == ("lines_dropped", "warning", 1)


# --- which format


def test_auto_is_json_where_there_is_no_terminal(stream: io.StringIO) -> None:
    logs = create("auto", "info", stream)
    assert isinstance(logs.request, JSONRequests)
    logs.close(PATIENCE)


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_auto_is_console_on_a_terminal_coloured_unless_told_otherwise(
    environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    logs = create("auto", "info", terminal)
    assert isinstance(logs.request, ConsoleRequests)
    logs.info("listening")
    logs.request(*REQUEST)
    assert logs.close(PATIENCE)
    lines = terminal.getvalue().splitlines()
    assert ["\x1b[" in line for line in lines] == [coloured, coloured]


def test_console_that_is_asked_for_has_no_colours_where_there_is_no_terminal(stream: io.StringIO) -> None:
    logs = create("console", "info", stream)
    logs.info("listening", address="127.0.0.1:8000")
    assert logs.close(PATIENCE)
    assert stream.getvalue()[12:] == "  info     listening  address=127.0.0.1:8000\n"


def test_without_standard_error_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    logs = configure("auto", "info")
    logs.info("listening")
    assert logs.close(PATIENCE)


# --- everything that logs ends here


def test_an_application_that_uses_structlog_logs_here(configured: Logs, stream: io.StringIO) -> None:
    structlog.get_logger().bind(user=7).warning("mail_lost", id=3)
    structlog.get_logger().debug("not_this")
    (event,) = written(configured, stream)
    assert (event["event"], event["level"], event["user"], event["id"]) == ("mail_lost", "warning", 7, 3)


@pytest.mark.parametrize(
    ("number", "level"), [(20, "info"), (25, "warning"), (30, "warning"), (50, "critical"), (60, "critical")]
)
def test_an_application_that_uses_logging_logs_here(
    number: int, level: str, configured: Logs, stream: io.StringIO
) -> None:
    logging.getLogger("app.mail").log(number, "lost %d of %s", 3, "a\nb")
    logging.getLogger("app.mail").debug("not this")
    (event,) = written(configured, stream)
    assert (event["event"], event["level"]) == ("logged", level)
    assert (event["logger"], event["message"]) == ("app.mail", "lost 3 of a\nb")


def test_a_record_whose_arguments_do_not_fit_is_logged_all_the_same(stream: io.StringIO) -> None:
    logs = create("json", "info", stream)
    record = logging.LogRecord("app", logging.WARNING, __file__, 1, "%d of %d", (3,), None)
    FromLogging(logs.logger).handle(record)
    (event,) = written(logs, stream)
    assert event["message"].startswith("%d of %d (TypeError")


def test_a_record_with_an_exception_brings_its_traceback(configured: Logs, stream: io.StringIO) -> None:
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("app").exception("failed")
    (event,) = written(configured, stream)
    assert event["exception"].endswith("ValueError: no")


def test_the_transitions_library_does_not_tell_of_its_callbacks(configured: Logs, stream: io.StringIO) -> None:
    logging.getLogger("transitions.core").info("Executed callback")
    logging.getLogger("transitions.core").warning("of interest")
    assert [event["message"] for event in written(configured, stream)] == ["of interest"]


def test_closing_leaves_structlog_and_logging_as_they_were(stream: io.StringIO) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers), logging.getLogger("transitions").level)
    logs = configure("json", "debug", stream)
    assert structlog.is_configured()
    assert root.level == logging.DEBUG
    assert logs.close(PATIENCE)
    assert (root.level, root.handlers, logging.getLogger("transitions").level) == before
    assert not structlog.is_configured()


# --- a process whose standard error is a pipe

SCRIPT = """
from clerestory.server.logging.logs import configure
logs = configure("json", "info")
for number in range(50_000):
    logs.request(str(number), "127.0.0.1:5000", "GET", "/", 200, 0, 5, [0.0] * 8, None)
print(logs.close(float(input())))
"""


def script() -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", SCRIPT], stdin=pipe, stdout=pipe, stderr=pipe, cwd=os.getcwd())


def test_a_process_whose_log_nobody_reads_goes_on_and_ends_in_time() -> None:
    with script() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"0.01\n")
        process.stdin.flush()
        assert process.stdout.read() == b"False\n"  # and nothing was read from its standard error so far
        assert process.wait(PATIENCE) == 0


def test_a_reader_that_comes_late_is_told_what_it_missed() -> None:
    with script() as process:
        out, err = process.communicate(b"10\n", PATIENCE)
    events = [json.loads(line) for line in err.splitlines()]
    missed = sum(event["count"] for event in events if event["event"] == "lines_dropped")
    assert out == b"True\n"
    assert process.returncode == 0
    assert sum(event["event"] == "request" for event in events) + missed == 50_000


# --- several processes


def test_every_line_of_a_worker_names_it_unless_it_is_about_another(stream: io.StringIO) -> None:
    logs = create("json", "info", stream, worker=3)
    logs.info("listening", address="here")
    logs.info("worker_ready", worker=4)
    logs.request(*REQUEST)
    lines = written(logs, stream)
    assert [event["worker"] for event in lines] == [3, 4, 3]
    assert list(lines[2])[:5] == ["event", "level", "time", "worker", "id"]


def test_people_are_told_too(stream: io.StringIO) -> None:
    logs = create("console", "info", stream, worker=3)
    logs.info("listening", address="here")
    logs.request(*REQUEST)
    assert logs.close(PATIENCE)
    first, second = stream.getvalue().splitlines()
    assert first.endswith("listening  worker=3  address=here")
    assert "  worker=3 peer=127.0.0.1:5000 " in second
