"""`http2`: ours beside hypercorn and granian: CPU, memory, and whether long responses hold up short ones."""

from collections.abc import Sequence

from benchmarks import catalogue, h2, work
from benchmarks.catalogue import Entry
from benchmarks.machine import tool
from benchmarks.plot import Kind
from benchmarks.processes import Server, ServerFailed
from benchmarks.report import Report, Table
from benchmarks.suites.plan import Plan, in_turn
from benchmarks.summary import Spread, band, duration, figure, spread

LEAD = """HTTP/2 with prior knowledge, one process for each server, on one CPU, the load on the other. *CPU a request*:
h2load, 8 connections with 32 requests at a time on each, constant JSON; user and system time of the process tree.
*Memory*: what the process tree holds of its own, by idle connections on which nothing is asked, and by streams on them
that wait for an application which sleeps. *Beside downloads*: a small request, one after the other, alone on a
connection, and beside 20 files of 100 MiB on the same connection, of which each is asked for again at its end."""

SMALL, LARGE, WAIT = "/constant", f"/files/{work.LARGE_FILE}", "/wait"
DOWNLOADS = 20
HYPERCORN = "hypercorn, HTTP/2"
AIM_COST, AIM_FAIR = 0.5, 3.0

Found = dict[str, dict[str, list[float]]]
"""By server, by what was measured, a figure a round."""


def run(plan: Plan) -> Report:
    """Measure, in rounds."""
    if tool("h2load") is None:
        raise LookupError(h2.INSTALL)
    entries = catalogue.choose(plan.only, catalogue.HTTP2)
    rounds, seconds = plan.rounds_or(3), plan.seconds_or(3.0, 0.8)
    connections, streams, asked = plan.pick((1000, 100, 500), (20, 20, 50))
    found: Found = {entry.name: {} for entry in entries}
    absent = {entry.name: missing for entry in entries if (missing := entry.missing(plan.peers))}
    plan.progress.expect(rounds * (len(entries) - len(absent)))
    for turn in range(rounds):
        for entry in in_turn([entry for entry in entries if entry.name not in absent], turn):
            try:
                _measure(plan, entry, found[entry.name], seconds, asked, (connections, streams) if not turn else None)
            except (ServerFailed, OSError) as failure:
                absent[entry.name] = str(failure)
            plan.progress.step(f"{entry.name}, round {turn + 1}")
    return make_report(found, absent, entries, connections, streams)


def _measure(
    plan: Plan, entry: Entry, found: dict[str, list[float]], seconds: float, asked: int, crowd: tuple[int, int] | None
) -> None:
    """One round of one server."""
    with entry.start(plan.data, plan.scratch, plan.peers) as server:
        h2.load(server, SMALL, seconds / 4)
        found.setdefault("cost", []).append(h2.load(server, SMALL, seconds).cost)
        for name, downloads in (("alone", 0), ("beside", DOWNLOADS)):
            wire = h2.Wire(server.port, h2.beginning())
            try:
                times = sorted(h2.latencies(wire, asked, SMALL, LARGE, downloads))
            finally:
                wire.close()
            found.setdefault(f"{name} p50", []).append(times[len(times) // 2])
            found.setdefault(f"{name} p99", []).append(times[len(times) * 99 // 100])
    if crowd is not None:
        with entry.start(plan.data, plan.scratch, plan.peers) as server:
            for name, size in zip(("connection", "stream"), held(server, *crowd), strict=True):
                found.setdefault(name, []).append(size)


def held(server: Server, connections: int, streams: int) -> tuple[float, float]:
    """Bytes of an idle connection, and of an idle stream."""
    wires: list[h2.Wire] = []
    try:
        sizes = []
        for first in (h2.beginning(), h2.asking(streams, WAIT)):
            before = 0
            for number in range(connections + 1):  # the first is not counted
                wires.append(h2.Wire(server.port, first))
                wires[-1].settle()
                before = before if number else server.memory().own
            sizes.append((server.memory().own - before) / connections)
        return sizes[0], (sizes[1] - sizes[0]) / streams
    finally:
        for wire in wires:
            wire.close()


def make_report(
    found: Found, absent: dict[str, str], entries: Sequence[Entry], connections: int, streams: int
) -> Report:
    """The tables, and the aims."""
    report = Report("http2", "HTTP/2", LEAD)
    present = [entry for entry in entries if "cost" in found[entry.name]]
    costs = {entry.name: spread(found[entry.name]["cost"]) for entry in present}
    report.tables.append(_costs(costs))
    memory = Table(
        f"Memory: {connections:,} connections with {streams} streams each", ("server", "idle connection", "idle stream")
    )
    for entry in present:
        if "stream" in found[entry.name]:
            sizes = (found[entry.name][name][0] for name in ("connection", "stream"))
            memory.rows.append((entry.name, *(f"{size / 1024:.1f} KiB" for size in sizes)))
    report.tables.append(memory)
    report.tables.append(_fairness(found, present))
    settings = Table("Who took part", ("server", "settings", "measured"), left=frozenset({"settings", "measured"}))
    settings.rows += [(entry.name, entry.settings, absent.get(entry.name, "yes")) for entry in entries]
    report.tables.append(settings)
    report.notes += _aims(found, costs, present)
    return report


def _costs(costs: dict[str, Spread]) -> Table:
    table = Table("CPU a request", ("server", "µs", "rounds", "of hypercorn's"))
    of = costs.get(HYPERCORN)
    for name, cost in sorted(costs.items(), key=lambda one: one[1].median):
        table.rows.append((name, figure(cost.median), band(cost), f"{cost.median / of.median:.2f}" if of else ""))
    return table


def _fairness(found: Found, present: Sequence[Entry]) -> Table:
    columns = ("server", "alone p50", "alone p99", "beside p50", "beside p99", "p50, times alone", "p99, times alone")
    table = Table(f"A small request beside {DOWNLOADS} downloads on its connection", columns)
    for entry in present:
        median = {name: spread(found[entry.name][name]).median for name in columns[1:5]}
        times = [median[f"beside {part}"] / median[f"alone {part}"] for part in ("p50", "p99")]
        table.rows.append(
            (entry.name, *(duration(median[name]) for name in columns[1:5]), *(f"{one:.1f}" for one in times))
        )
    return table


def _aims(found: Found, costs: dict[str, Spread], present: Sequence[Entry]) -> list[str]:
    notes = []
    for entry in present:
        if entry.kind is not Kind.OURS:
            continue
        if HYPERCORN in costs:
            ratio = costs[entry.name].median / costs[HYPERCORN].median
            notes.append(f"{entry.name}: {ratio:.2f} of hypercorn's CPU a request; the aim is {AIM_COST} at most.")
        alone, beside = (spread(found[entry.name][f"{name} p99"]).median for name in ("alone", "beside"))
        notes.append(
            f"{entry.name}: p99 beside downloads {beside / alone:.1f} times alone; the aim is {AIM_FAIR} at most."
        )
    return notes
