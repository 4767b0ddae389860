"""The command line's grammar: which options there are, what a value may be, and the help.

Every field of `Limits` is an option, made from its metadata. A value that is wrong is a UsageError: one line.
"""

import argparse
import dataclasses
import difflib
import re
import shutil
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, get_args

from server.config import OPTIONS, Limits
from server.logs import LEVELS, Format
from server.options import ParserName, PollerName
from server.targets import Origins, is_url
from server.xray.address import USUAL, AddressError, parse
from statemachines.engine import Dispatch

DESCRIPTION = """\
Clerestory serves HTTP/1.1 from one process, in which every connection is an
explicit state machine. The address is printed once it is really listening;
Ctrl-C or SIGTERM finishes what is in flight, a second one ends at once."""

EXAMPLES = """\
examples:
  {prog}                                   the built-in mail site, on http://127.0.0.1:8000
  {prog} --database sqlite:///mail.db      the same, kept in a file
  {prog} . --listing --port 0              this directory, on a free port
  {prog} myapp:router --host 0.0.0.0       an application, for the whole network
  {prog} http://127.0.0.1:9000             a reverse proxy of what is served there
  {prog} ./check                           a directory that is named as the command below
  {prog} check                             prove the state machines' tables, and print them
  {prog} --max-body 16M --body-timeout 60  room for uploads over slow lines"""

ZERO_MEANS_NONE = {
    *("body_min_rate", "send_min_rate", "body_grace", "send_grace", "max_body", "max_connections"),
    *(
        "upstream_send_min_rate",
        "upstream_send_grace",
        "upstream_max_waiting",
        "upstream_max_interim",
        "upstream_max_tunnels",
    ),
}
"""The limits that may be 0. Of the others 0 would serve nothing, or wait for ever."""

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?|\.[0-9]{1,9}", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,15})([KMG]?)", re.ASCII | re.IGNORECASE)
_FACTORS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class UsageError(Exception):
    """What was typed cannot be done; the message is one line."""


class Parser(argparse.ArgumentParser):
    """argparse, without its page of usage before an error."""

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument ")
        if message.startswith("unrecognized arguments: "):
            wrong = message.split()[2]
            near = difflib.get_close_matches(wrong.partition("=")[0], self._option_string_actions, 1)
            message += f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"{message} (--help lists the options)")


class ServerParser(Parser):
    """The parser of the whole command line: a TARGET that is a URL takes with it what belongs to it."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        parsed, rest = super().parse_known_args(args, namespace)
        if is_url(parsed.target):
            urls = (parsed.target, *parsed.upstream)
            parsed.target = Origins(urls, tuple(parsed.trust), parsed.upstream_host, parsed.probe, parsed.upstream_ca)
        elif parsed.upstream or parsed.trust or parsed.upstream_host or parsed.probe or parsed.upstream_ca:
            what = "--upstream, --upstream-host, --upstream-ca, --probe and --trust"
            self.error(f"{what} are for a reverse proxy: give an http:// URL as TARGET")
        return parsed, rest


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Room for our longest option, so that most take one line; lines no longer than can be read at a glance."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=min(shutil.get_terminal_size().columns - 2, 118))


# --- values


def port(text: str) -> int:
    """A TCP port; 0 means a free one."""
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: write a number from 0 (a free one) to 65535")
    return int(text)


def host(text: str) -> str:
    """A name or an address; brackets around an IPv6 address are dropped."""
    if not text or not text.isprintable() or " " in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not a host: write a name or an address, such as 127.0.0.1")
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def xray(text: str) -> str:
    """An address of the x-ray, or `auto`."""
    try:
        return text if text == "auto" else str(parse(text))
    except AddressError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def seconds(text: str, *, zero: bool = False) -> float:
    """A number of seconds, more than 0 (or from 0)."""
    if not _SECONDS.fullmatch(text) or (float(text) == 0 and not zero):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds {'from' if zero else 'above'} 0")
    return float(text)


def amount(text: str, *, zero: bool = False, suffixes: bool = False) -> int:
    """A whole number, more than 0 (or from 0); with `suffixes`, K, M and G stand for powers of 1024."""
    found = _SIZE.fullmatch(text)
    if not found or (found[2] and not suffixes) or (int(found[1]) == 0 and not zero):
        kind = "a number of bytes" if suffixes else "a whole number"
        example = ", such as 4096, 64K or 1M" if suffixes else ""
        raise argparse.ArgumentTypeError(f"{text!r} is not {kind} {'from' if zero else 'above'} 0{example}")
    return int(found[1]) * _FACTORS[found[2].upper()]


def _reader(field: "dataclasses.Field[float]") -> Callable[[str], float]:
    zero, unit = field.name in ZERO_MEANS_NONE, field.metadata["unit"]
    if unit == "seconds":
        return lambda text: seconds(text, zero=zero)
    return lambda text: amount(text, zero=zero, suffixes=unit.startswith("bytes"))


# --- the parser


def make_parser(prog: str, version: str) -> Parser:
    """The parser of the whole command line."""
    parser = ServerParser(
        prog=prog,
        description=DESCRIPTION,
        epilog=EXAMPLES.format(prog=prog),
        formatter_class=Formatter,
        usage="%(prog)s [TARGET] [options]\n       %(prog)s check | replay FILE\n"
        "       %(prog)s ps | top | show ID | watch ID | close ID",
        allow_abbrev=False,
        add_help=False,
    )
    _add_target(parser)
    _add_proxy(parser)
    _add_socket(parser)
    _add_xray(parser)
    _add_logs(parser)
    _add_limits(parser)
    about = parser.add_argument_group("about")
    about.add_argument("-h", "--help", action="help", help="this page")
    about.add_argument("--version", action="version", version=version, help="print the version, and end")
    return parser


def _add_target(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is served")
    group.add_argument(
        "target",
        metavar="TARGET",
        nargs="?",
        help="a directory: its files; module:attribute: that application; http[s]://HOST:PORT: a reverse proxy of what "
        "is served there; nothing: the built-in mail site; "
        "`check`: serve nothing, but prove the state machines' tables (the directory of that name is ./check)",
    )
    group.add_argument("--listing", action="store_true", help="list a directory that has no index.html")
    group.add_argument(
        "--database",
        metavar="URL",
        help="where the mail site keeps its messages: sqlite:///PATH or postgresql://USER@HOST/NAME "
        "(default: in memory, with a thousand samples)",
    )


def _add_proxy(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("a reverse proxy")
    group.add_argument(
        "--upstream",
        metavar="URL",
        action="append",
        default=[],
        help="a further http[s]://HOST:PORT besides TARGET; each request goes to the one with the fewest under way",
    )
    group.add_argument(
        "--upstream-host",
        action="store_true",
        help="tell an upstream its own host and port in Host (default: those that the client asked for)",
    )
    group.add_argument(
        "--upstream-ca",
        metavar="FILE",
        help="verify the certificates of https:// upstreams by the authorities in this file, in PEM (default: by those "
        "that the system trusts); they are always verified",
    )
    group.add_argument(
        "--probe",
        metavar="PATH",
        help="ask each upstream for this every 5 seconds, and ask those first that answer below 500 (default: do not)",
    )
    group.add_argument(
        "--trust",
        metavar="CIDR",
        action="append",
        default=[],
        help="believe what a peer in that network says of its client in Forwarded and X-Forwarded-* (default: nobody)",
    )


def _add_socket(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where and how")
    group.add_argument(
        "--host",
        type=host,
        default="127.0.0.1",
        help="name or address to listen on; 0.0.0.0 stands for every IPv4 address (default: %(default)s)",
    )
    group.add_argument(
        "--port", type=port, default=8000, help="port to listen on; 0 takes a free one (default: %(default)s)"
    )
    choice(
        group,
        "--poller",
        get_args(PollerName),
        "who tells which sockets are ready: auto (the best there is), epoll, poll, select",
    )
    choice(
        group,
        "--parser",
        get_args(ParserName),
        "who reads requests: auto (httptools where it is installed), h11, httptools",
    )
    choice(
        group,
        "--dispatch",
        list(map(str, Dispatch)),
        "who walks the tables: compiled (our edges), transitions (the library)",
    )


def _add_xray(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the x-ray: every connection, live")
    either = group.add_mutually_exclusive_group()
    either.add_argument(
        "--xray",
        metavar="ADDRESS",
        type=xray,
        default="auto",
        help=f"where it is served: HOST:PORT or unix:PATH; beyond this machine it takes a token, "
        f"$CLERESTORY_XRAY_TOKEN or one that is made up (default: {USUAL}, or a free port where that is taken)",
    )
    either.add_argument("--no-xray", dest="xray", action="store_const", const="", help="none")


def _add_logs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("logs, on standard error")
    choice(
        group,
        "--log-format",
        get_args(Format),
        "auto (console on a terminal, else JSON lines), console (heeds NO_COLOR), json",
    )
    choice(
        group,
        "--log-level",
        LEVELS,
        "debug (every change of state), info, warning (no access log), error, critical",
        "info",
    )
    group.add_argument(
        "--access-log",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="one line for each request, at level info (default: on)",
    )


def choice(
    group: argparse._ArgumentGroup,  # what add_argument_group returns has no public name
    option: str,
    choices: Sequence[str],
    text: str,
    default: str | None = None,
) -> None:
    """An option that takes one of `choices`, the first of them by default."""
    metavar, default = option.rpartition("-")[2].upper(), default or choices[0]
    group.add_argument(option, choices=choices, default=default, metavar=metavar, help=f"{text} (default: {default})")


def _add_limits(parser: argparse.ArgumentParser) -> None:
    deadlines = parser.add_argument_group(
        "deadlines", "How long we wait. Each line begins with the default;\nseconds may have a fraction."
    )
    limits = parser.add_argument_group(
        "limits", "How much we take. Each line begins with the default;\nbytes may be written 64K, 1M or 1G."
    )
    upstreams = parser.add_argument_group(
        "what a reverse proxy asks", "How long it waits for an upstream, and how much it takes. As above."
    )
    for field in OPTIONS:
        unit, text = field.metadata["unit"], field.metadata["help"]
        timed = unit == "seconds" or field.name.endswith("_rate")
        group = upstreams if field.name.startswith("upstream_") else deadlines if timed else limits
        group.add_argument(
            "--" + field.name.replace("_", "-"),
            metavar=unit.upper() if timed or unit == "bytes" else "N",
            type=_reader(field),
            default=field.default,
            help=f"{in_words(field.default, unit)} {text}".replace("%", "%%"),
        )


def in_words(value: Any, unit: str) -> str:
    """`15 seconds`, `64K bytes`, `100 fields`."""
    if unit == "seconds":
        return f"{value:g} {unit if value != 1 else 'second'}"
    if unit == "bytes" and value and value % 1024 == 0:
        return f"{value // 1024}K {unit}" if value % (1 << 20) else f"{value >> 20}M {unit}"
    return f"{value} {unit}"


def limits_of(arguments: argparse.Namespace) -> Limits:
    """The limits among the parsed arguments."""
    return Limits(**{field.name: getattr(arguments, field.name) for field in OPTIONS})
