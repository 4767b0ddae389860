"""`python -m benchmarks [SUITE ...]`: measure, print tables, write pages and plots.

Without a suite all of them are run. A quick or partial run writes to `results/scratch`, so that it never takes the
place of the published figures; `--output` says otherwise. `--check` compares with those, and writes nothing.
"""

import argparse
import importlib
import os
import signal
import sys
import tempfile
import types
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import machine, published, work
from benchmarks.environment import DEFAULT, Peers, PeersUnavailable
from benchmarks.load import INSTALL_WRK, WORKLOADS
from benchmarks.report import Report
from benchmarks.suites.plan import Plan, Progress

SUITES = (
    "engine",
    "parsers",
    "servers",
    "connections",
    "observability",
    "profile",
    "xray",
    "files",
    "syscalls",
    "layers",
    "databases",
    "overload",
    "proxy",
    "reload",
    "http2",
    "hosting",
    "tls",
    "workers",
)
LOADED = {
    "servers",
    "overload",
    "connections",
    "observability",
    "profile",
    "files",
    "layers",
    "databases",
    "proxy",
    "hosting",
    "tls",
    "workers",
}
WITH_PEERS = {
    "servers",
    "overload",
    "connections",
    "syscalls",
    "databases",
    "proxy",
    "reload",
    "http2",
    "hosting",
    "tls",
    "workers",
}
RESULTS = Path(__file__).parent / "results"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the server, and others beside it.")
    made.add_argument("suite", nargs="*", metavar="SUITE", help=f"{', '.join(SUITES)}; all of them when none is given")
    made.add_argument("--quick", action="store_true", help="one short round each: all suites in three minutes")
    made.add_argument(
        "--check",
        action="store_true",
        help="write nothing; compare the ratios with the published ones, say what got slower, and end with 1 then",
    )
    made.add_argument("--rounds", type=int, metavar="N", help="interleaved rounds (each suite has its own default)")
    made.add_argument("--seconds", type=float, metavar="S", help="of load for each measurement")
    made.add_argument(
        "--only", default="", metavar="A,B", help="only servers, or rows, whose name has one of these in it"
    )
    made.add_argument("--workloads", default="", metavar="A,B", help=f"for servers: {', '.join(WORKLOADS)}")
    made.add_argument("--peers", type=Path, default=DEFAULT, metavar="PATH", help="the peers' virtual environment")
    made.add_argument("--no-install", action="store_true", help="do not install peers; list the missing ones")
    made.add_argument("--output", type=Path, metavar="DIR", help=f"where pages and plots go (default: {RESULTS})")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suites; 0, 1 when one got slower, or 2 when the command line or the machine lacks something."""
    options = parser().parse_args(arguments)
    if unknown := [name for name in options.suite if name not in SUITES]:
        return _refuse(f"there is no suite {', '.join(unknown)}; there are {', '.join(SUITES)}")
    only, workloads = _words(options.only), _words(options.workloads)
    if unknown := [name for name in workloads if name not in WORKLOADS]:
        return _refuse(f"there is no workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    suites = options.suite or (list(SUITES) if not options.check else published.suites(RESULTS))
    try:
        before = {name: published.read(name, RESULTS) for name in suites} if options.check else {}
    except LookupError as reason:
        return _refuse(str(reason))
    partial = options.quick or bool(only) or bool(workloads)
    output = options.output or (RESULTS / "scratch" if partial else RESULTS)
    progress, skipped, slower = Progress(), list[str](), list[str]()
    peers = Peers(options.peers)
    if not WITH_PEERS.isdisjoint(suites) and not options.no_install:
        try:
            peers.make(progress.say)
        except PeersUnavailable as reason:
            progress.say(f"{reason}; the peers will be listed as not installed")
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as directory:
        data, scratch = Path(directory, "data"), Path(directory, "scratch")
        scratch.mkdir()
        work.prepare(data)
        os.environ[work.DATA] = str(data)
        plan = Plan(data, scratch, peers, options.quick, options.rounds, options.seconds, only, workloads, progress)
        for name in suites:
            if name in LOADED and machine.tool("wrk") is None:
                skipped.append(name)
                continue
            progress.say(f"{name}: begun")
            try:
                report = _suite(name).run(plan)
            except LookupError as reason:
                return _refuse(str(reason))
            if options.check:
                slower += _compare(report, before[name])
            else:
                _hand_over(report, output, plan)
    if skipped:
        return _refuse(f"not measured: {', '.join(skipped)}: {INSTALL_WRK}")
    for name in slower:
        print(f"slower: {name}", file=sys.stderr)
    return 1 if slower else 0


def _suite(name: str) -> types.ModuleType:
    return importlib.import_module(f"benchmarks.suites.{name}")


def _compare(report: Report, before: Mapping[str, float]) -> list[str]:
    """Print what was found and how it compares; the names of what got slower."""
    changes = published.changes(before, report.ratios)
    report.tables.append(published.table(changes))
    print(report.text(), flush=True)
    return [change.name for change in changes if change.is_slower]


def _hand_over(report: Report, output: Path, plan: Plan) -> None:
    """Print it, write it, say where."""
    print(report.text(), flush=True)
    libraries = machine.library_versions("h11", "httptools", "transitions", "structlog", "psycopg")
    versions = {"Libraries": ", ".join(f"{name} {version}" for name, version in libraries.items())}
    if report.name in WITH_PEERS | {"files"}:
        versions["Peers"] = ", ".join(f"{name} {version}" for name, version in peer_versions(plan.peers).items())
    for path in report.write(output, machine.particulars(versions, quick=plan.quick)):
        plan.progress.say(f"written: {path}")
    if report.ratios:
        plan.progress.say(f"written: {published.write(report.name, output, report.ratios)}")


def peer_versions(peers: Peers) -> dict[str, str]:
    """The versions of the peers and of the tools beside them."""
    names = ("uvicorn", "uvloop", "httptools", "h11", "hypercorn", "gunicorn", "waitress", "cheroot", "granian")
    found = {
        name: peers.versions[name]
        for name in (*names, "aiohttp", "tornado", "starlette", "fastapi", "websockets", "httpx", "asyncpg", "psycopg")
        if name in peers.versions
    }
    return found | machine.tool_versions()


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _refuse(reason: str) -> int:
    print(f"python -m benchmarks: {reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are ended on the way out
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing was written for the suite that was running")
