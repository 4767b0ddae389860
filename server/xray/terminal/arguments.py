"""What may be written after `ps`, `waits`, `top`, `show`, `watch`, `close` and `page`; and the help."""

import argparse
import re
import shutil
from collections.abc import Mapping
from typing import NoReturn

SORTS = ("wait", "seconds", "age", "remaining", "bytes_in", "bytes_out", "requests", "state", "peer", "id")

FORMATS = ("text", "mermaid", "perfetto", "recording")

FILTERS = ("kind", "state", "older", "peer", "path", "sort", "limit")

_ABOUT = {
    "ps": "Print what every connection waits for, since when, and until when: one line each, the longest wait first, "
    "those that idle last.",
    "waits": "Print which routes are slow, and what they wait for: of each route's median request, and of its slowest "
    "hundredth, where the time went. Of the last five to ten minutes.",
    "top": "Show, live, what the connections wait for: states with counts and dwell, the longest waits, the rates.",
    "show": "Print everything about one connection: what it waits for, its request, and its path as a time line. "
    "Connections that have ended are remembered for a while.",
    "watch": "Follow one connection: print each transition of its machine as it happens, until it ends.",
    "close": "Close connections: those named, or all that the filters choose. It says which they are, and asks first.",
    "page": "Print a link that opens the x-ray's page in a browser. It works once, within an hour.",
}

_MORE = {
    "ps": """\
examples:
  {prog}                                what is stuck? the longest waits come first
  {prog} --state querying_backend       what waits for the application, and on what
  {prog} --older 10 --sort remaining    what will hit its deadline next
  {prog} --group peer                   whose connections are they?
  {prog} --peer 10.0.0.7 --json         one client's, for a program

exit status: 0; 1 where the filters choose nothing; 2 where there is no answer""",
    "waits": """\
examples:
  {prog}                            the route first that has taken most time in all
  {prog} --sort p99                 the one first whose slowest requests are slowest
  {prog} --route /orders            more of the routes that have this in their name
  {prog} --request 17-3             one of the slow requests that it names, with its path

exit status: 0; 1 where nothing was asked, or not lately; 2 where there is no answer""",
    "top": """\
keys:
  up down  choose a connection       s  sort by the next column    /  filter
  enter    everything about it       r  reverse the order          f  state by state
  c        close it (asks)           C  close all that the filter chooses (asks)
  space    pause, continue           h  these keys                 q  quit

exit status: 0; 2 where there is no answer, or no terminal""",
    "show": """\
examples:
  {prog} 17           a connection; its number is what ps and the log call it
  {prog} listener:5   another machine: ps --kind '*' lists them all
  {prog} 17 --format perfetto > 17.json    a trace, to open in https://ui.perfetto.dev

exit status: 0; 1 if there is no such machine; 2 if the x-ray does not answer""",
    "watch": "exit status: 0 when it has ended; 1 if there is no such machine; 2 if the x-ray does not answer",
    "close": """\
examples:
  {prog} 17 18                                     these two
  {prog} --state awaiting_request --older 10m      those that have been idle for so long
  {prog} --peer 10.0.0.7 --yes                     one client's, without being asked

exit status: 0 when all were closed; 1 where none was chosen, you said no, or some
had gone; 2 where there is no answer""",
    "page": """\
The link holds a key, and the page keeps what it gets for it: do not pass it on.
A browser elsewhere reaches the page through ssh -L; the page of a Unix socket, too:
the command says how.

exit status: 0; 2 where there is no answer""",
}


class UsageError(Exception):
    """What was typed cannot be done; the message is one line."""


class Parser(argparse.ArgumentParser):
    """argparse, without its page of usage before an error."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message.removeprefix('argument ')} ({self.prog} --help says what there is)")


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Lines as wide as the terminal, up to what can be read at a glance."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=min(shutil.get_terminal_size().columns - 2, 100))

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        # An epilogue has its own lines; a description is a paragraph.
        return text if "\n" in text else argparse.HelpFormatter._fill_text(self, text, width, indent)  # noqa: SLF001


def older(text: str) -> str:
    """Seconds, minutes or hours: 30, 5m, 2h."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?[smh]?", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r}: write seconds, such as 30, or 5m, or 2h")
    return text


def limit(text: str) -> int:
    """A number of lines."""
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or not 0 < int(text) <= 20_000:
        raise argparse.ArgumentTypeError(f"{text!r}: write a number of lines, from 1 to 20000")
    return int(text)


def sort(text: str) -> str:
    """One of SORTS, reversed by a `-`."""
    if text.removeprefix("-").replace("-", "_") not in SORTS:
        raise argparse.ArgumentTypeError(f"{text!r}: there are {', '.join(SORTS)}; a - before it reverses the order")
    return ("-" if text.startswith("-") else "") + text.removeprefix("-").replace("-", "_")


def interval(text: str) -> float:
    """Seconds between two looks."""
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})?", text, re.ASCII) or not 0.1 <= float(text) <= 25:
        raise argparse.ArgumentTypeError(f"{text!r}: write seconds from 0.1 to 25")
    return float(text)


def make_parser(command: str, prog: str) -> Parser:
    """The parser of what comes after `command`."""
    prog = f"{prog} {command}"
    parser = Parser(
        prog=prog,
        description=_ABOUT[command],
        epilog=_MORE[command].format(prog=prog),
        formatter_class=Formatter,
        allow_abbrev=False,
        add_help=False,
    )
    if command in ("show", "watch"):
        parser.add_argument("id", metavar="ID", help="its number, or its request's id, as ps and the log say it")
    if command == "close":
        parser.add_argument("ids", metavar="ID", nargs="*", help="the numbers of those to close")
    if command in ("ps", "top", "close"):
        _add_filters(parser, command)
    if command == "show":
        text = "for others to read: text, mermaid, perfetto; or a recording, for `replay`"
        parser.add_argument("--format", metavar="FORMAT", choices=FORMATS, help=text)
    if command == "waits":
        _add_waits(parser)
    if command in ("ps", "show", "waits"):
        parser.add_argument("--secrets", action="store_true", help="show queries and credentials too")
        parser.add_argument("--json", action="store_true", help="the x-ray's own answer, for programs")
    if command == "close":
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--dry-run", action="store_true", help="say which they are, and close none")
    if command in ("top", "watch"):
        usual = {"top": 1.0, "watch": 0.2}[command]
        text = f"between two looks (default: {usual:g})"
        parser.add_argument("--interval", metavar="SECONDS", type=interval, default=usual, help=text)
    _add_server(parser, command)
    return parser


def _add_waits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--route", metavar="TEXT", default="", help="routes that have this in their name; more of each")
    parser.add_argument("--request", metavar="ID", default="", help="one slow request, which is kept with its path")
    text = "by the time that its requests took in all (busy), by p99, p50 or requests (default: busy)"
    parser.add_argument("--sort", choices=("busy", "p99", "p50", "requests"), default="busy", help=text)
    parser.add_argument("--limit", metavar="N", type=limit, default=20, help="at most so many routes (default: 20)")


def _add_filters(parser: argparse.ArgumentParser, command: str) -> None:
    group = parser.add_argument_group("which", "Filters; what is shown has to match all of them.")
    group.add_argument(
        "--state", metavar="STATE", action="append", default=[], help="in this state, such as reading_head; or several"
    )
    group.add_argument("--older", metavar="TIME", type=older, help="in its state for at least 30 (seconds), 5m, 2h")
    group.add_argument("--peer", metavar="TEXT", help="whose address begins so")
    group.add_argument("--path", metavar="TEXT", help="whose request's path begins so")
    if command == "close":
        return
    group.add_argument("--kind", metavar="KIND", help="other machines: listener, process, upstream ...; '*' for all")
    group = parser.add_argument_group("in what order")
    columns = ", ".join(SORTS)
    group.add_argument(
        "--sort",
        metavar="COLUMN",
        type=sort,
        help=f"by one of {columns}; --sort=-COLUMN reverses it (default: wait, which is seconds, but that those "
        "that idle come last)",
    )
    if command == "ps":
        group.add_argument("--limit", metavar="N", type=limit, help="at most so many (default: all)")
        text = "count them instead, by state, or by peer (without its port): whose are they?"
        group.add_argument("--group", metavar="BY", choices=("state", "peer"), help=text)


def _add_server(parser: argparse.ArgumentParser, command: str) -> None:
    group = parser.add_argument_group("which server", "The one of this user that runs, unless one is named.")
    either = group.add_mutually_exclusive_group()
    either.add_argument("--pid", metavar="PID", type=int, help="the server with this process id")
    either.add_argument(
        "--xray",
        metavar="ADDRESS",
        default="",
        help="the address of its x-ray: 127.0.0.1:8001, or unix:PATH; its token, where it wants one, is taken from "
        "$CLERESTORY_TOKEN or from the server's runtime file",
    )
    if command != "page":
        either.add_argument(
            "--fleet",
            metavar="FILE|ADDRESS,...",
            default="",
            help="several servers as one: the addresses of their x-rays, or a file with a name and an address in each "
            "line; the token, where they want one, is the same for all",
        )
    group.add_argument("-h", "--help", action="help", help="this page")


def filters_of(arguments: argparse.Namespace) -> Mapping[str, object]:
    """The filters among the parsed arguments, as the endpoints take them."""
    given = {name: getattr(arguments, name, None) for name in FILTERS}
    given["state"] = ",".join(given["state"] or [])
    return {name: value for name, value in given.items() if value not in ("", None)}
