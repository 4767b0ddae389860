"""`profile`: what the profile of waiting costs a request, with it and without it side by side.

It has no switch in the server: `benchmarks.builds` leaves it out. In each round both servers run, and are loaded
in turn, a second each, several times; the ratio is taken of each such pair, and their median is told. What the machine
does besides costs both alike.
"""

from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from statistics import median, quantiles

from benchmarks import load, work
from benchmarks.builds import Build
from benchmarks.catalogue import Entry, ours
from benchmarks.load import EVERY, Fields
from benchmarks.plot import Kind
from benchmarks.processes import ServerFailed
from benchmarks.report import Report, Table
from benchmarks.suites.databases import fill_sqlite
from benchmarks.suites.measuring import Case, Measured
from benchmarks.suites.plan import Plan, in_turn
from benchmarks.summary import figure

LEAD = """CPU for one request on 64 keep-alive connections, user and system time of all threads: with the profile of
waiting, and without it. Constant JSON waits for nothing, so that it is the dearest by share; JSON from SQLite waits for
a thread, which is noted of each request. No access log; httptools as parser. The ratio is the median of many pairs of
measurements of a second, one right after the other, and the spread is from the first to the third quarter of them. Each
round has new processes."""

AIM = 1.03
PAIRS = 6
"""Pairs of measurements in a round."""
WARMING = 0.6
"""Seconds of load before each measurement: a profile that has seen no request lately adds all of the first ones."""
PARSER = ("--parser", "httptools", "--no-access-log")
OFF = ", no profile"
TARGETS = {"constant": "benchmarks.apps:app", "sqlite-threads": "benchmarks.apps_databases:sqlite"}


def _entries() -> tuple[Entry, ...]:
    return tuple(
        Entry(
            f"{'compiled' if compiled else 'plain'} {workload}{'' if on else OFF}",
            ours(*PARSER, target=target),
            Kind.OURS,
            workloads=frozenset({workload}),
            build=Build(compiled, () if on else ("profile",)),
        )
        for compiled in (False, True)
        for workload, target in TARGETS.items()
        for on in (True, False)
    )


ENTRIES = _entries()


def run(plan: Plan) -> Report:
    """Measure the pairs side by side."""
    path = plan.scratch / "profile.sqlite"
    fill_sqlite(path)
    entries = [replace(entry, environment={work.DATABASE: str(path)}) for entry in ENTRIES if plan.wants(entry.name)]
    pairs = [(one, other) for one, other in pairwise(entries) if other.name == one.name + OFF]
    rounds, found = plan.rounds_or(5), Measured()
    plan.progress.expect(rounds * len(pairs))
    for turn in range(rounds):
        for pair in in_turn(pairs, turn):
            _one_round(plan, found, pair)
            plan.progress.step(f"round {turn + 1} of {rounds}  {pair[0].name}")
    return make_report(found)


def _one_round(plan: Plan, found: Measured, pair: tuple[Entry, Entry]) -> None:
    """Start both of a pair, and measure them in turn."""
    try:
        with ExitStack() as stack:
            servers = [stack.enter_context(entry.start(plan.data, plan.scratch, plan.peers)) for entry in pair]
            for turn in range(plan.pick(PAIRS, 1)):
                for entry, server in in_turn([*zip(pair, servers, strict=True)], turn):
                    (workload,) = entry.workloads
                    load.run(server, EVERY[workload], Fields.REPEATED, WARMING)
                    outcome = load.run(server, EVERY[workload], Fields.REPEATED, plan.seconds_or(1.0, 0.3))
                    found.outcomes.setdefault(Case(entry.name, workload, Fields.REPEATED), []).append(outcome)
    except ServerFailed as failure:
        found.absent[pair[0].name] = f"failed: {failure}"
        plan.progress.say(f"{pair[0].name}: {failure}")


def make_report(found: Measured) -> Report:
    """The table, and whether the aim was reached."""
    report = Report("profile", "What the profile of waiting costs", LEAD)
    columns = ("build and request", "CPU µs with", "without", "ratio", "half of the ratios", "requests/s", "errors")
    table = Table("With and without", columns)
    for entry in ENTRIES:
        (workload,) = entry.workloads
        case, off = (Case(name, workload, Fields.REPEATED) for name in (entry.name, entry.name + OFF))
        cost, without, rate = found.cost(case), found.cost(off), found.rate(case)
        if cost is None or without is None or rate is None:
            continue
        ratios = found.paired(case, off)
        ratio = median(ratios)
        title = f"{entry.name.partition(' ')[0]}: {EVERY[workload].title}"
        told = (f"{ratio:.3f}", quarters(ratios), f"{rate.median:,.0f}", found.errors(case))
        table.rows.append((title, figure(cost.median), figure(without.median), *told))
        reached = "reached" if ratio <= AIM else "not reached"
        report.notes.append(f"{title}: {ratio:.3f}; the aim is {AIM:.2f}: {reached}.")
    if table.rows:
        report.tables.append(table)
    report.notes += [f"{name}: {reason}" for name, reason in found.absent.items()]
    return report


def quarters(values: list[float]) -> str:
    """The first and the third quarter of `values`, as a cell; empty where there are too few."""
    if len(values) < 4:
        return ""
    first, _, third = quantiles(values, n=4)
    return f"{figure(first)}-{figure(third)}"
