"""`proxy`: a reverse proxy, ours against nginx, HAProxy and what one writes in Python; CPU a request, and memory."""

import math
import selectors
import socket
from collections.abc import Sequence
from contextlib import ExitStack

from benchmarks import machine, proxies, work
from benchmarks.catalogue import Entry
from benchmarks.load import Fields
from benchmarks.plot import Row, bars
from benchmarks.processes import Server, ServerFailed
from benchmarks.proxies import COMPILED_OURS, HAPROXY, NGINX, OURS, PYTHON, UPSTREAM
from benchmarks.report import Report, Table
from benchmarks.suites.measuring import Case, Measured, measure
from benchmarks.suites.plan import Plan
from benchmarks.summary import band, duration, figure, size, spread

LEAD = """A reverse proxy with a CPU to itself; wrk and the upstream share the other. The upstream is nginx, which
answers a small JSON object by `return`; 64 keep-alive connections from wrk, up to 64 kept to the upstream. CPU is user
and system time of the proxy's whole process tree for one completed request; rounds are interleaved, each with new
processes. The target always varies; *fields repeated* is the field block that wrk itself sends, *varying* adds one
`x-request-id` that differs from request to request. Memory is what is the proxy's own (anonymous, in proportion to who
shares it) while slow readers take a large file through it, less what it held before: the most that was seen."""

BOTH = (Fields.REPEATED, Fields.VARYING)
AIM_NGINX, AIM_PYTHON, AIM_MEMORY = 5.0, 0.25, 1024 * 1024

LONGEST_BAR = 10
"""Times as long as ours: who costs more is in the table, and not in the picture."""

READERS = 8
"""Slow readers at a time."""
WINDOW = 64 * 1024
"""Bytes that a reader's socket holds, so that it is the proxy that has to wait."""
PIECE = 32 * 1024
"""Bytes that a reader takes at a time; it has then to wait for its turn."""


def run(plan: Plan) -> Report:
    """Measure CPU, then memory."""
    rounds, seconds = plan.rounds_or(5), plan.seconds_or(2.0, 0.4)
    with UPSTREAM.start(plan.data, plan.scratch, plan.peers, machine.LOAD_CPU) as upstream:
        entries = [entry for entry in proxies.entries(upstream.port) if plan.wants(entry.name)]
        if not entries:
            raise LookupError(f"--only {','.join(plan.only)}: there is no proxy that has that in its name")
        found = measure(plan, entries, ("constant",), BOTH, rounds, seconds)
        held = measure_memory(plan, [entry for entry in entries if entry.name not in found.absent])
    return make_report(entries, found, held)


# --- memory


def measure_memory(plan: Plan, entries: Sequence[Entry]) -> dict[str, tuple[int, int]]:
    """For each proxy the most that it held besides while READERS took the large file, and how many bytes they got."""
    held = {}
    for entry in entries:
        try:
            with entry.start(plan.data, plan.scratch, plan.peers) as server:
                held[entry.name] = slow_readers(server, READERS, plan.pick(work.FILES[work.LARGE_FILE], 8 << 20))
                plan.progress.say(f"{entry.name}: {size(held[entry.name][0])} for {READERS} slow readers")
        except (ServerFailed, OSError) as failure:
            plan.progress.say(f"{entry.name}: slow readers: {failure}")
    return held


def slow_readers(server: Server, readers: int, enough: int) -> tuple[int, int]:
    """Let so many take `enough` bytes of the large file each, slowly. What was held besides, and what was taken."""
    _take(server, readers, PIECE)  # what a first large answer makes for good is not a connection's
    before = server.memory().own
    most, taken = _take(server, readers, enough)
    return max(0, most - before), taken


def _take(server: Server, readers: int, enough: int) -> tuple[int, int]:
    """The most that the server held meanwhile, and the bytes that the readers got together."""
    request = f"GET /files/{work.LARGE_FILE} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    most, taken, looked = 0, 0, 0
    with ExitStack() as stack, selectors.DefaultSelector() as ready:
        got: dict[socket.socket, int] = {}
        reader: socket.socket
        for _ in range(readers):
            reader = stack.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
            reader.settimeout(30)
            reader.connect(("127.0.0.1", server.port))
            reader.sendall(request)
            ready.register(reader, selectors.EVENT_READ, reader)
            got[reader] = 0
        while got:
            for key, _ in ready.select(30) or _nothing_came():
                reader = key.data
                piece = reader.recv(PIECE)
                if not piece:
                    raise ServerFailed(f"ended after {got[reader]} bytes")
                got[reader] += len(piece)
                taken += len(piece)
                if got[reader] >= enough:
                    ready.unregister(reader)
                    del got[reader]
            if taken - looked >= enough // 4:
                looked = taken
                most = max(most, server.memory().own)
    return max(most, server.memory().own), taken


def _nothing_came() -> list[tuple[selectors.SelectorKey, int]]:
    raise ServerFailed("slow readers: nothing came for 30 s")


# --- the report


def make_report(entries: Sequence[Entry], found: Measured, held: dict[str, tuple[int, int]]) -> Report:
    """Aims, tables and a plot."""
    report = Report("proxy", "Reverse proxies side by side", LEAD)
    names = [entry.name for entry in entries]
    report.tables += [table for table in (_aims(found, held), _cpu(found, names), _memory(held)) if table.rows]
    drawn = [entry for entry in entries if _cost(found, entry.name) < LONGEST_BAR * _cost(found, OURS)]
    rows = [
        Row(entry.name, [found.cost(Case(entry.name, "constant", kind)) for kind in BOTH], entry.kind)
        for entry in sorted(drawn, key=lambda entry: _cost(found, entry.name))
    ]
    report.notes += [
        f"{entry.name} is not in the picture: its bar would leave no room for the others."
        for entry in entries
        if entry not in drawn and not math.isinf(_cost(found, entry.name))
    ]
    if rows:
        lead = "Microseconds of the proxy's whole process tree; one process, one CPU. Less is better."
        title = "CPU for one request through a reverse proxy"
        report.plots["proxy"] = bars(title, lead, rows, ("fields repeated", "one field varying"), "µs")
    table = Table("Who took part", ("proxy", "settings", "measured"), left=frozenset({"settings", "measured"}))
    table.rows += [(entry.name, entry.settings, found.absent.get(entry.name, "yes")) for entry in entries]
    report.tables.append(table)
    return report


def _cost(found: Measured, name: str) -> float:
    cost = found.cost(Case(name, "constant", Fields.REPEATED))
    return cost.median if cost is not None else math.inf


def _aims(found: Measured, held: dict[str, tuple[int, int]]) -> Table:
    left = frozenset({"of", "against", "reached"})
    table = Table("Aims", ("", "of", "against", "at most", "found", "reached"), left=left)
    python = min(PYTHON, key=lambda name: _cost(found, name))
    for ours in (OURS, COMPILED_OURS):
        for against, at_most in ((NGINX, AIM_NGINX), (HAPROXY, None), (python, AIM_PYTHON)):
            ratio = found.ratio(Case(ours, "constant", Fields.REPEATED), Case(against, "constant", Fields.REPEATED))
            if ratio is not None:
                limit, reached = (f"{at_most:.2f}", "yes" if ratio <= at_most else "no") if at_most else ("", "")
                table.rows.append(("CPU a request", ours, against, limit, f"{ratio:.2f}", reached))
    if OURS in held:
        each = held[OURS][0] / READERS
        reached = "yes" if each <= AIM_MEMORY else "no"
        table.rows.append(("memory of a slow reader", OURS, "itself", size(AIM_MEMORY), size(each), reached))
    return table


def _cpu(found: Measured, names: Sequence[str]) -> Table:
    columns = ("proxy", "fields", "requests/s", "CPU µs a request", "rounds", "ours ÷ it", "p50", "p99", "errors")
    table = Table("Small JSON", columns, left=frozenset({"fields"}))
    for name in sorted(names, key=lambda name: _cost(found, name)):
        for kind in BOTH:
            case = Case(name, "constant", kind)
            outcomes = found.outcomes.get(case)
            cost, rate = found.cost(case), found.rate(case)
            if not outcomes or cost is None or rate is None:
                continue
            p50, p99 = spread([one.p50 for one in outcomes]), spread([one.p99 for one in outcomes])
            ratio = found.ratio(Case(OURS, "constant", kind), case)
            cells = (name, kind, f"{rate.median:,.0f}", figure(cost.median), band(cost))
            ours = f"{ratio:.2f}" if ratio is not None else ""
            table.rows.append((*cells, ours, duration(p50.median), duration(p99.median), found.errors(case)))
    return table


def _memory(held: dict[str, tuple[int, int]]) -> Table:
    table = Table(f"{READERS} slow readers of a large file", ("proxy", "each took", "memory besides", "for each"))
    for name, (most, taken) in sorted(held.items(), key=lambda one: one[1][0]):
        table.rows.append((name, size(taken / READERS), size(most), size(most / READERS)))
    return table
