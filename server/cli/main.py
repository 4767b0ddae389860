"""The command line: `clerestory [TARGET] [options]`, and `clerestory check`.

What goes wrong before we listen is said in one line on standard error: what it is, and what to do; exit status 2. The
exit status is 0 after an orderly end, and 1 when a check is broken or the server itself failed.
"""

import errno
import importlib.util
import os
import platform
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

from clerestory.server.cli import help as helping
from clerestory.server.cli.assembly import check_goals, gather, goal_of, how_of, limits_of, options_of, target_of
from clerestory.server.cli.edge import tells_passwords
from clerestory.server.cli.options.option import Goal
from clerestory.server.cli.settings import Settings, UsageError, configuration_page
from clerestory.server.cli.sites import plans_of, serve_all
from clerestory.server.cli.targets import Dress, Target, TargetError, resolve
from clerestory.server.http2 import MissingError
from clerestory.server.logging.events import bare
from clerestory.server.logging.logs import Logs, configure
from clerestory.server.logging.turns import Turns, make_turns
from clerestory.server.loop.poller import PollerError
from clerestory.server.net.addresses import Address
from clerestory.server.net.sockets import OpenError
from clerestory.server.net.tls import CertificateError
from clerestory.server.options import Options
from clerestory.server.process.assignment import NONE, Assignment, take_assignment
from clerestory.server.process.identity import IdentityError
from clerestory.server.process.pidfile import PidFileError
from clerestory.server.xray.exports import replay as replaying
from clerestory.server.xray.serve.address import AddressError
from clerestory.statemachines import engine
from clerestory.statemachines.checks import report
from clerestory.statemachines.tables import TABLES

if TYPE_CHECKING:
    from clerestory.server.process.signals import Signals

FLUSH = 2.0
"""Seconds at the exit for the log to be written: as long as a person waits before pressing Ctrl-C again."""


def main(argv: Sequence[str] | None = None, *, parting: bool = False) -> int:
    """Do what the command line says; return the exit status. `parting`: the process ends with it."""
    try:
        assignment = take_assignment()
        words = sys.argv[1:] if argv is None else list(argv)
        if words[:1] == ["replay"]:
            return replay(words[1:])
        typed, settings = gather(words, os.environ)
        if typed.help is not None:
            return show(helping.page(typed.help, program_name()))
        if typed.version:
            return show(version() + "\n")
        if settings["target"] == "check":
            return check()
        return run(settings, command_of(argv), assignment, parting=parting)
    except (
        UsageError,
        TargetError,
        PollerError,
        AddressError,
        CertificateError,
        IdentityError,
        MissingError,
        PidFileError,
    ) as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:  # before there is a server that takes the signal
        return 130


def program_name() -> str:
    """What was typed to start us."""
    name = os.path.basename(sys.argv[0])
    return "clerestory" if name == "__main__.py" else name


def version() -> str:
    """Our version, and those of what decides how we behave."""
    parts = []
    for name in ("clerestory", "h11", "httptools", "transitions"):
        try:
            parts.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            parts.append(f"{name} (not installed)")
    if not engine.__file__.endswith(".py"):
        parts[0] += ", compiled to C"
    return ", ".join([*parts, f"Python {platform.python_version()} on {platform.system()}"])


def say(text: str) -> None:
    """One line for the user."""
    print(f"clerestory: {bare(' '.join(text.split()))}", file=sys.stderr)


def check() -> int:
    """Print what the tables are and whether their checks hold."""
    if os.path.isdir("check"):
        say("this is the command check; to serve the directory check, write ./check")
    page, sound = report(TABLES.values())
    return show(page, "check") or (0 if sound else 1)


def show(page: str, what: str = "help") -> int:
    """Print a page; return the exit status."""
    try:
        print(page, end="", flush=True)
    except OSError as error:  # a full disk, or a reader that has gone
        say(f"{what}: the page cannot be written: {error.strerror}")
        return 1
    return 0


def replay(words: Sequence[str]) -> int:
    """Hold a recording against its machine's table."""
    status, text = replaying.run(words)
    print(text, file=sys.stderr if status else sys.stdout)
    return status


def command_of(argv: Sequence[str] | None) -> list[str]:
    """The command that a worker is executed as: the one that was typed, with the same interpreter and its options."""
    if argv is not None:
        return [sys.executable, "-m", "clerestory", *argv]
    return [sys.executable, *sys.orig_argv[1:]]


def run(
    settings: Settings, command: Sequence[str], assignment: Assignment | None = None, *, parting: bool = False
) -> int:
    """Serve until a signal ends it. Raises UsageError when there is nowhere to listen, TargetError, PollerError."""
    if settings["parser"] == "httptools" and importlib.util.find_spec("httptools") is None:
        raise UsageError("--parser httptools: it is not installed: pip install httptools, or take --parser h11")
    if settings["otel"] and not _has_opentelemetry():
        raise UsageError("--otel: OpenTelemetry is not installed: pip install opentelemetry-exporter-otlp-proto-http")
    plans = plans_of(settings)
    check_goals(settings.given(), [plan.target for plan in plans])
    if settings["check_config"]:
        serve_all(plans, _resolve).close()
        return show(configuration_page(settings), "configuration")
    from clerestory.server.process.signals import signals_by_socket

    options = options_of(settings, "")
    supervises = assignment is None and bool(options.workers or options.reload or options.user or options.group)
    turns = turns_of(assignment, supervises=supervises)
    logs = configure(
        settings["log_format"],
        settings["log_level"],
        access=settings["access_log"],
        queries=settings["log_queries"],
        worker=assignment.number if assignment is not None else 0,
        turns=turns,
    )
    if assignment is None and any(tells_passwords(plan.settings) for plan in plans):
        logs.warning("basic_auth_without_tls", hint="passwords can be read on the way: serve TLS, or let a proxy do so")
    if supervises:
        try:
            served = ", ".join(plan.target or "the built-in mail site" for plan in plans)
            options = replace(options, workers=max(options.workers, 1), description=served)
            return _supervise(options, command, logs, turns, parting=parting)
        finally:
            logs.close(FLUSH)
    try:
        target = serve_all(plans, _resolve)
    except BaseException:
        logs.close(FLUSH)
        raise
    # A signal that comes when the loop has ended, while the last is being closed and written, changes nothing.
    with signals_by_socket(parting=parting) as signals:
        try:
            if settings.path and assignment is None:
                logs.info("configuration", path=os.path.abspath(settings.path))
            return _serve(target, options_of(settings, target.description), logs, signals, assignment)
        finally:
            target.close()
            logs.close(FLUSH)


def _has_opentelemetry() -> bool:
    """Whether what --otel needs is installed."""
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


def _resolve(settings: Mapping[str, Any]) -> Target:
    """What TARGET names. What a file or the environment says of directories is for directories."""
    of_files = goal_of(settings["target"]) is Goal.DIRECTORY
    return resolve(
        target_of(settings),
        database=settings["database"] if settings["target"] is None else None,
        listing=settings["listing"] and of_files,
        types=settings["types"] if of_files else None,
        limits=limits_of(settings),
        how=how_of(settings),
        dress=Dress(settings["fallback"] or "", settings["header"], settings["cache_control"]),
    )


def turns_of(assignment: Assignment | None, *, supervises: bool) -> Turns | None:
    """The turns that a supervisor and its workers write their log by; a process alone needs none."""
    if assignment is not None:
        return Turns(assignment.turns) if assignment.turns != NONE else None
    return make_turns() if supervises else None


def _supervise(options: Options, command: Sequence[str], logs: Logs, turns: Turns | None, *, parting: bool) -> int:
    from clerestory.server.process.supervise import supervise
    from clerestory.server.xray.inspector import Inspector

    try:
        return supervise(options, command, logs, Inspector(), turns, parting=parting)
    except OpenError as error:
        raise UsageError(explain(error.address, error.cause)) from error


def _serve(
    target: Target, options: Options, logs: Logs, signals: "Signals", assignment: Assignment | None = None
) -> int:
    from clerestory.server.process.serving import serve
    from clerestory.server.xray.inspector import Inspector

    try:
        return serve(target.application, options, logs, signals, Inspector(), assignment)
    except OpenError as error:
        raise UsageError(explain(error.address, error.cause)) from error
    except (PollerError, AddressError, CertificateError, IdentityError, MissingError, PidFileError):
        raise
    except Exception as error:  # noqa: BLE001 - the last line of the log says why it ended
        logs.event("critical", "server_failed", exc_info=error)
        return 1


def explain(address: Address, error: OSError | UnicodeError) -> str:
    """Why we cannot listen on `address`, and what to do."""
    number, host, port = getattr(error, "errno", None), address.host, address.port
    said = getattr(error, "strerror", None) or str(error)
    if address.path:
        return f"{address}: {said}{_about_file(number)}"
    if not host:
        return f"--listen {address}: {said}"
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"host {host} cannot be resolved: give an address of this machine, such as 127.0.0.1 or 0.0.0.0"
    if number == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: end what listens there, or choose another --port (0: a free one)"
    if number in (errno.EACCES, errno.EPERM):
        why = "ports below 1024 are for privileged users: choose a --port from 1024" if port < 1024 else "ask why"
        return f"port {port} on {host}: permission denied: {why}"
    if number == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine: give one that is, or 0.0.0.0 for all"
    if number == errno.EAFNOSUPPORT:
        return f"{host}: this system has no addresses of that kind: give another --host"
    return f"cannot listen on {address}: {said}"


def _about_file(number: int | None) -> str:
    """What to do about a Unix socket's file."""
    return {
        errno.EADDRINUSE: ": a server listens there: end it, or choose another path",
        errno.EEXIST: ": choose another path",
        errno.ENOENT: ": create its directory, or choose another path",
        errno.EACCES: ": choose a directory that this user may write to",
        errno.EPERM: ": only the superuser may give a file to another user",
    }.get(number or 0, "")
