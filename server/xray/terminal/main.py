"""One command, from its words to its exit status: 0, 1 for `no`, 2 where it could not be asked or answered."""

import io
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence

from clerestory.server.xray.terminal import COMMANDS, commands
from clerestory.server.xray.terminal.arguments import UsageError, filters_of, make_parser
from clerestory.server.xray.terminal.client import GoneError, XRay, XRayError
from clerestory.server.xray.terminal.servers import choose
from clerestory.server.xray.terminal.streams import Streams
from clerestory.server.xray.terminal.waits import Ended, Waits

INTERRUPTED = 128 + signal.SIGINT


def main(words: Sequence[str], prog: str = "clerestory") -> int:
    """Do what `words` say, the first of which is one of COMMANDS."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that is not UTF-8 sees ? and no traceback
            stream.reconfigure(errors="replace")
    waits = Waits()
    try:
        with waits.taken():
            status = _run(words, prog, Streams(sys.stdout, sys.stderr, sys.stdin, waits))
            sys.stdout.flush()
    except Ended as end:
        return 128 + end.number
    except SystemExit as done:  # --help
        return int(done.code or 0)
    except BrokenPipeError:  # who read us has seen enough: `ps | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:  # before the signals were taken, or after
        return INTERRUPTED
    return status


def _run(words: Sequence[str], prog: str, streams: Streams) -> int:
    command = words[0]
    assert command in COMMANDS
    try:
        arguments = make_parser(command, prog).parse_args(words[1:])
        client = _meant(arguments, streams)
        try:
            return _command(command)(client, arguments, streams)
        finally:
            client.close()
    except (UsageError, XRayError) as error:
        streams.complain(str(error))
        return 1 if isinstance(error, GoneError) else 2


def _meant(arguments: Namespace, streams: Streams) -> XRay:
    if not getattr(arguments, "fleet", ""):
        return choose(arguments.xray, arguments.pid, waits=streams.waits)
    from clerestory.server.xray.terminal.fleet import Fleet, servers_of

    return Fleet(servers_of(arguments.fleet), streams.waits)


def _command(name: str) -> Callable[..., int]:
    if name == "top":
        from clerestory.server.xray.terminal.top import top

        return lambda client, arguments, streams: top(client, dict(filters_of(arguments)), arguments.interval, streams)
    if name == "waits":
        from clerestory.server.xray.terminal.routes import waits

        return waits
    found: Callable[[XRay, object, Streams], int] = getattr(commands, name)
    return found
