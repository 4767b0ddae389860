"""`overload`: more clients than a server can answer at once: what they get, and how late."""

from collections.abc import Iterable
from dataclasses import replace

from benchmarks import catalogue, work
from benchmarks.catalogue import Entry
from benchmarks.load import OVERLOADS, Fields
from benchmarks.plot import Kind
from benchmarks.report import Report, Table
from benchmarks.suites.databases import fill_sqlite
from benchmarks.suites.measuring import Case, Measured, measure
from benchmarks.suites.plan import Plan
from benchmarks.suites.servers import CHECKED, settings_table
from benchmarks.summary import band, duration, figure

LEAD = """Each connection asks again as soon as it has its answer, so that as many requests wait as there are
connections: 64, 256 and 1,000. The rows from SQLite are read by threads, two of ours and eight of Starlette's pool,
with the usual limits of both; nginx has no database, and answers with the constant alone. Every answer with another
status than success is an error, as is a request that has no answer after ten seconds. One process for each server, on
one CPU; wrk on the other. A latency is here the time in a queue: the connections divided by the rate, if it is fair."""

STARLETTE = "Starlette, threads"
AIM = 0.35
"""Of the CPU a request of Starlette on uvicorn, at any number of connections, and no error."""


def run(plan: Plan) -> Report:
    """Measure, and make the report: the aim, then a table for each number of connections."""
    report = Report("overload", "Overload", LEAD)
    path = plan.scratch / "overload.sqlite"
    fill_sqlite(path)
    entries = [replace(entry, environment={work.DATABASE: str(path)}) for entry in catalogue.choose(plan.only, ENTRIES)]
    found = measure(plan, entries, tuple(OVERLOADS), (Fields.REPEATED,), plan.rounds_or(3), plan.seconds_or(3.0, 0.6))
    names = [entry.name for entry in entries]
    ours = [entry.name for entry in entries if entry.kind is Kind.OURS]
    report.tables = [aims_table(found, ours), *(table_of(found, names, name) for name in OVERLOADS)]
    report.tables = [table for table in report.tables if table.rows]
    report.tables.append(settings_table(found, names))
    others = [name for name in names if name not in ours]
    report.ratios = found.ratios(ours, others, tuple(OVERLOADS), (Fields.REPEATED,))
    return report


def overloaded(entries: Iterable[Entry], workload: str) -> list[Entry]:
    """Those that take part in `workload`, under it with ever more connections."""
    more = frozenset(name for name in OVERLOADS if name.rpartition("-")[0] == workload)
    return [replace(entry, workloads=more) for entry in entries if workload in entry.workloads]


ENTRIES = (
    *overloaded((entry for entry in catalogue.ENTRIES if entry.name in CHECKED), "constant"),
    *overloaded(catalogue.DATABASES, "sqlite-threads"),
)


def aims_table(found: Measured, ours: list[str]) -> Table:
    """Ours against Starlette, by the rows that both read."""
    table = Table("Aims", ("ours", "workload", "at most", "ratio", "errors", "reached"), left=frozenset({"workload"}))
    for workload in OVERLOADS.values():
        for name in ours:
            case = Case(name, workload.name, Fields.REPEATED)
            ratio = found.ratio(case, Case(STARLETTE, workload.name, Fields.REPEATED))
            if ratio is not None:
                errors = found.errors(case)
                reached = "yes" if ratio <= AIM and errors == "0" else "no"
                table.rows.append((name, workload.title, f"{AIM:.2f}", f"{ratio:.2f}", errors, reached))
    return table


def table_of(found: Measured, names: list[str], workload: str) -> Table:
    """One number of connections, all servers."""
    table = Table(
        OVERLOADS[workload].title, ("server", "requests/s", "CPU µs a request", "rounds", "p50", "p99", "errors")
    )
    for name in names:
        case = Case(name, workload, Fields.REPEATED)
        cost, rate = found.cost(case), found.rate(case)
        p50, p99 = found.of(case, lambda outcome: outcome.p50), found.of(case, lambda outcome: outcome.p99)
        if cost and rate and p50 and p99:
            latencies = (duration(p50.median), duration(p99.median))
            figures = (f"{rate.median:,.0f}", figure(cost.median), band(cost))
            table.rows.append((name, *figures, *latencies, found.errors(case)))
    return table
