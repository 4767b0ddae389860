"""The command line: `python -m server [TARGET] [options]`, and `python -m server check`.

What goes wrong before we listen is said in one line on standard error: what it is, and what to do; exit status 2. The
exit status is 0 after an orderly end, and 1 when a check is broken or the server itself failed.
"""

import errno
import importlib.util
import os
import platform
import socket
import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib import metadata

from server.arguments import UsageError, limits_of, make_parser
from server.log_events import bare
from server.logs import Logs, configure
from server.options import Options
from server.poller import PollerError
from server.targets import Target, TargetError, resolve
from server.xray import replay as replaying
from server.xray.address import AddressError
from statemachines import engine
from statemachines.checks import report
from statemachines.engine import Dispatch
from statemachines.tables import TABLES

FLUSH = 2.0
"""Seconds at the exit for the log to be written: as long as a person waits before pressing Ctrl-C again."""


def main(argv: Sequence[str] | None = None, *, parting: bool = False) -> int:
    """Do what the command line says; hand back the exit status. `parting`: the process ends with it."""
    try:
        words = sys.argv[1:] if argv is None else list(argv)
        if words[:1] == ["replay"]:
            return replay(words[1:])
        arguments = make_parser(program_name(), version()).parse_args(words)
        return check() if arguments.target == "check" else run(arguments, parting=parting)
    except SystemExit as done:  # --help and --version
        return int(done.code or 0)
    except (UsageError, TargetError, PollerError, AddressError) as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:  # before there is a server that takes the signal
        return 130


def program_name() -> str:
    """What was typed to start us."""
    name = os.path.basename(sys.argv[0])
    return "python -m server" if name == "__main__.py" else name


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
    """One line for whoever typed the command."""
    print(f"clerestory: {bare(' '.join(text.split()))}", file=sys.stderr)


def check() -> int:
    """Print what the tables are and whether their checks hold."""
    if os.path.isdir("check"):
        say("this is the command check; to serve the directory check, write ./check")
    page, sound = report(TABLES.values())
    try:
        print(page, end="", flush=True)
    except OSError as error:  # a full disk, or a reader that has gone
        say(f"check: the page cannot be written: {error.strerror}")
        return 1
    return 0 if sound else 1


def replay(words: Sequence[str]) -> int:
    """Hold a recording against its machine's table."""
    status, text = replaying.run(words)
    print(text, file=sys.stderr if status else sys.stdout)
    return status


def run(arguments: Namespace, *, parting: bool = False) -> int:
    """Serve until a signal ends it. Raises UsageError when there is nowhere to listen, TargetError, PollerError."""
    if arguments.parser == "httptools" and importlib.util.find_spec("httptools") is None:
        raise UsageError("--parser httptools: it is not installed: pip install httptools, or take --parser h11")
    from server.process import signals_by_socket

    logs = configure(arguments.log_format, arguments.log_level, access=arguments.access_log)
    try:
        limits = limits_of(arguments)
        target = resolve(arguments.target, database=arguments.database, listing=arguments.listing, limits=limits)
    except BaseException:
        logs.close(FLUSH)
        raise
    # A signal that comes when the loop has ended, while the last is being closed and written, changes nothing.
    with signals_by_socket(parting=parting):
        try:
            return _serve(target, options_of(arguments, target.description), logs)
        finally:
            target.close()
            logs.close(FLUSH)


def options_of(arguments: Namespace, description: str) -> Options:
    """The arguments as the process that serves wants them."""
    return Options(
        host=arguments.host,
        port=arguments.port,
        poller=arguments.poller,
        dispatch=Dispatch(arguments.dispatch),
        parser=arguments.parser,
        access_log=arguments.access_log,
        limits=limits_of(arguments),
        description=description,
        xray=arguments.xray,
        xray_token=os.environ.get("CLERESTORY_XRAY_TOKEN", ""),
    )


def _serve(target: Target, options: Options, logs: Logs) -> int:
    from server.process import serve

    try:
        return serve(target.application, options, logs)
    except (OSError, UnicodeError) as error:  # UnicodeError: a host that is no name at all
        raise UsageError(explain(error, options.host, options.port)) from error
    except (PollerError, AddressError):
        raise
    except Exception as error:  # noqa: BLE001 - the last line of the log says why it ended
        logs.event("critical", "server_failed", exc_info=error)
        return 1


def explain(error: OSError | UnicodeError, host: str, port: int) -> str:
    """Why we cannot listen, and what to do."""
    number = getattr(error, "errno", None)
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"--host {host} cannot be resolved: give an address of this machine, such as 127.0.0.1 or 0.0.0.0"
    if number == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: end what listens there, or choose another --port (0: a free one)"
    if number in (errno.EACCES, errno.EPERM):
        why = "ports below 1024 are for privileged users: choose a --port from 1024" if port < 1024 else "ask why"
        return f"port {port} on {host}: permission denied: {why}"
    if number == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine: give one that is, or 0.0.0.0 for all"
    if number == errno.EAFNOSUPPORT:
        return f"{host}: this system has no addresses of that kind: give another --host"
    return f"cannot listen on {host}, port {port}: {getattr(error, 'strerror', None) or error}"
