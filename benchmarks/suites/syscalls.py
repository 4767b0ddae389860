"""`syscalls`: what a server asks of the kernel for one request on the usual keep-alive path.

`strace -c -f` is attached to the server when it has been warmed up, so many requests are made, strace is asked to
stop, and its counts are divided by the requests. Once with one connection, where each request has a wait of its own,
and once with 64 that ask at the same moment, where requests share their waits.
"""

import contextlib
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.catalogue import BY_NAME, Entry, choose
from benchmarks.idle import REQUEST, is_whole, open_one
from benchmarks.machine import LOAD_CPU, pinned, tool
from benchmarks.plot import Row, bars
from benchmarks.processes import Server, ServerFailed, tree
from benchmarks.report import Report, Table
from benchmarks.suites.plan import Plan
from benchmarks.summary import figure, spread

LEAD = """System calls for one request (constant JSON, keep-alive, fields repeated), counted by `strace -c -f` attached
to the warm server. With one connection every request has a wait of its own; with 64 that ask at the same moment,
requests share their waits. Our law: one share of a wait, one receive, one send, and no `epoll_ctl`."""

USUAL = (
    *("Clerestory, httptools", "Clerestory, h11", "bare epoll loop", "nginx", "granian ASGI", "node http"),
    *("uvicorn, uvloop + httptools", "uvicorn, asyncio + h11"),
)
CONNECTIONS = (1, 64)
INSTALL = "install strace (Debian: apt-get install strace)"
ATTACHING = 5.0
"""Seconds for strace to attach."""


def unavailable() -> str:
    """Why system calls cannot be counted here; empty when they can."""
    strace = tool("strace")
    if strace is None:
        return INSTALL
    child = subprocess.run([strace, "-c", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    return "" if child.returncode == 0 else f"strace may not trace here: {child.stderr.strip()[-200:]}"


def parse(summary: str) -> dict[str, int]:
    """Calls by name, from strace's table: `% time, seconds, usecs/call, calls, [errors,] syscall`."""
    rows = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", summary, re.MULTILINE)
    return {name: int(calls) for calls, name in rows if name != "total"}


def count(server: Server, connections: int, requests: int, output: Path) -> dict[str, float]:
    """System calls for one request. Raises ServerFailed when strace does not attach or the server does not answer."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(open_one(server.port, number)) for number in range(connections)]
        turns = max(1, requests // connections)
        _exchange(clients, 20)
        strace = _attach(server, output)
        try:
            _exchange(clients, turns)
        finally:
            strace.send_signal(signal.SIGINT)
            strace.communicate(timeout=10)
    calls = parse(output.read_text())
    if not calls:
        raise ServerFailed("strace counted nothing")
    return {name: number / (turns * connections) for name, number in calls.items()}


def _attach(server: Server, output: Path) -> subprocess.Popen[str]:
    """strace on the whole tree, threads included; returns when it has said that it is attached."""
    attached = [option for pid in tree(server.process.pid) for option in ("-p", str(pid))]
    command = [tool("strace") or "strace", "-c", "-f", "-o", str(output), *attached]
    with pinned(LOAD_CPU):
        strace = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert strace.stderr is not None
    if not select.select([strace.stderr], [], [], ATTACHING)[0] or "attached" not in (said := strace.stderr.readline()):
        strace.kill()
        strace.communicate()
        raise ServerFailed(f"strace did not attach: {said.strip() or 'no word'}")
    time.sleep(0.1)  # the first is announced; the tree's others follow at once
    return strace


def _exchange(clients: Sequence[socket.socket], turns: int) -> None:
    """In each turn ask on all connections, then take all the answers."""
    for turn in range(turns):
        for client in clients:
            client.sendall(REQUEST % turn)
        for client in clients:
            answer = b""
            while not is_whole(answer):
                piece = client.recv(65536)
                if not piece:
                    raise ServerFailed("closed a keep-alive connection under strace")
                answer += piece


Calls = dict[str, float]


def run(plan: Plan) -> Report:
    """Count for each server, with one connection and with many."""
    report = Report("syscalls", "System calls of one request", LEAD)
    reason = unavailable()
    if reason:
        report.notes.append(f"Not measured: {reason}.")
        return report
    entries = [entry for entry in choose(plan.only) if plan.only or entry.name in USUAL]
    requests = plan.pick(6400, 1280)
    found: dict[str, dict[int, Calls]] = {}
    plan.progress.expect(len(entries))
    for entry in entries:
        missing = entry.missing(plan.peers)
        if missing:
            report.notes.append(f"{entry.name}: not installed; needs {missing}")
            continue
        try:
            found[entry.name] = _of(plan, entry, requests)
            plan.progress.step(f"{entry.name}: {told(found[entry.name][1])}")
        except (ServerFailed, OSError) as failure:
            report.notes.append(f"{entry.name}: failed: {failure}")
            plan.progress.say(report.notes[-1])
    return make_report(report, found)


def _of(plan: Plan, entry: Entry, requests: int) -> dict[int, Calls]:
    with entry.start(plan.data, plan.scratch, plan.peers) as server:
        output = plan.scratch / f"{server.port}.strace"
        return {connections: count(server, connections, requests, output) for connections in CONNECTIONS}


def told(calls: Calls) -> str:
    """Calls of one request in words, the most frequent first; what is called for less than a hundredth is left out."""
    often = sorted(calls.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {figure(number)}" for name, number in often if number >= 0.01)


def make_report(report: Report, found: dict[str, dict[int, Calls]]) -> Report:
    """Tables and plot."""
    for connections in CONNECTIONS:
        title = "One connection" if connections == 1 else f"{connections} connections that ask at the same moment"
        table = Table(title, ("server", "calls", "of which"), left=frozenset({"of which"}))
        for name, by_connections in found.items():
            calls = by_connections[connections]
            table.rows.append((name, f"{sum(calls.values()):.2f}", told(calls)))
        report.tables.append(table)
    rows = [
        Row(name, [spread([sum(by_connections[at].values())]) for at in CONNECTIONS], BY_NAME[name].kind)
        for name, by_connections in found.items()
    ]
    if rows:
        series = [f"{at} connection{'s' if at > 1 else ''}" for at in CONNECTIONS]
        report.plots["syscalls"] = bars(report.title, "Counted by strace. Less is better.", rows, series, "calls")
    return report
