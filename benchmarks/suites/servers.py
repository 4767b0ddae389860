"""`servers`: ours against every peer, under six workloads, fields repeated and varying."""

from dataclasses import dataclass

from benchmarks import catalogue
from benchmarks.catalogue import EVERY_NAME
from benchmarks.load import EVERY, WORKLOADS, Fields
from benchmarks.plot import Row, bars
from benchmarks.report import Report, Table
from benchmarks.suites.measuring import Case, Measured, measure
from benchmarks.suites.plan import Plan
from benchmarks.summary import band, duration, figure

LEAD = """One process for each server, on one CPU, with the settings best for it; wrk on the other CPU, one thread, 64
keep-alive connections (4 for the large file). CPU is user and system time of the whole process tree for one completed
request; the spread is the lowest and highest of the rounds, which are interleaved, each with new processes. No two
requests in a row are the same: the target always varies. *Fields repeated* is the field block that wrk itself sends;
*varying* adds one `x-request-id` that differs from request to request. Every answer was compared with what it must be
before anything was measured."""

PLAIN, COMPILED = "Clerestory", "Clerestory compiled"
HTTPTOOLS = f"{PLAIN}, httptools"
BOTH = (Fields.REPEATED, Fields.VARYING)


@dataclass(frozen=True, slots=True)
class Aim:
    """At most this part of the other's CPU a request, for constant JSON."""

    ours: str
    against: str
    fields: Fields
    at_most: float


AIMS = tuple(
    Aim(f"{build}, {parser}", against, fields, at_most)
    for parser, against, fields, at_most in (
        ("httptools", "bare epoll loop", Fields.REPEATED, 1.8),
        ("httptools", "nginx", Fields.REPEATED, 2.0),
        ("httptools", "granian ASGI", Fields.REPEATED, 0.75),
        ("httptools", "granian ASGI", Fields.VARYING, 0.95),
        ("httptools", "uvicorn, uvloop + httptools", Fields.REPEATED, 0.38),
        ("httptools", "uvicorn, uvloop + httptools", Fields.VARYING, 0.50),
        ("h11", "uvicorn, asyncio + h11", Fields.REPEATED, 0.12),
        ("h11", "uvicorn, asyncio + h11", Fields.VARYING, 0.40),
        ("httptools, log", "uvicorn, uvloop + httptools", Fields.REPEATED, 0.55),
    )
    for build in (PLAIN, COMPILED)
)


def run(plan: Plan) -> Report:
    """Measure, and make the report: a table and a plot for each workload, and the aims."""
    entries = catalogue.choose(plan.only)
    workloads = plan.workloads or plan.pick(tuple(WORKLOADS), ("constant",))
    found = measure(plan, entries, workloads, BOTH, plan.rounds_or(5), plan.seconds_or(2.0, 0.4))
    report = Report("servers", "Servers side by side", LEAD)
    names = [entry.name for entry in entries]
    aims = aims_table(found)
    if aims.rows:
        report.tables.append(aims)
    for name in workloads:
        table = workload_table(found, names, name)
        if table.rows:
            report.tables.append(table)
            report.plots[f"servers-{name}"] = workload_plot(found, names, name)
    report.tables.append(settings_table(found, names))
    return report


def workload_table(found: Measured, names: list[str], workload: str, ours: str = HTTPTOOLS) -> Table:
    """One workload: two rows a server, the cheapest first. The ratio is to `ours` with the same fields."""
    columns = ("server", "fields", "requests/s", "CPU µs a request", "rounds", "ours ÷ it", "p50", "p99", "errors")
    table = Table(EVERY[workload].title, columns, left=frozenset({"fields"}))
    for name in by_cost(found, names, workload):
        for kind in BOTH:
            case = Case(name, workload, kind)
            cost, rate = found.cost(case), found.rate(case)
            if cost is None or rate is None:
                continue
            p50, p99 = (found.of(case, value) for value in (lambda o: o.p50, lambda o: o.p99))
            assert p50 is not None
            assert p99 is not None
            ratio = found.ratio(Case(ours, workload, kind), case)
            table.rows.append(
                (
                    name,
                    kind,
                    f"{rate.median:,.0f}",
                    figure(cost.median),
                    band(cost),
                    f"{ratio:.2f}" if ratio is not None else "",
                    duration(p50.median),
                    duration(p99.median),
                    found.errors(case),
                )
            )
    return table


def by_cost(found: Measured, names: list[str], workload: str) -> list[str]:
    """The servers that were measured under this workload, the cheapest first."""
    costs = {name: found.cost(Case(name, workload, Fields.REPEATED)) for name in names}
    measured = {name: cost.median for name, cost in costs.items() if cost is not None}
    return sorted(measured, key=measured.__getitem__)


def workload_plot(found: Measured, names: list[str], workload: str) -> str:
    """CPU a request, two bars a server."""
    rows = [
        Row(name, [found.cost(Case(name, workload, kind)) for kind in BOTH], EVERY_NAME[name].kind)
        for name in by_cost(found, names, workload)
    ]
    title = f"CPU for one request: {EVERY[workload].title}"
    lead = "Microseconds of the whole process tree; one process, one CPU. Less is better."
    return bars(title, lead, rows, ("fields repeated", "one field varying"), "µs")


def aims_table(found: Measured) -> Table:
    """What we set out to reach, for those of both sides that were measured."""
    table = Table(
        "Aims, constant JSON",
        ("CPU a request of", "against", "fields", "at most", "found", "reached"),
        left=frozenset({"against", "fields", "reached"}),
    )
    for aim in AIMS:
        ratio = found.ratio(Case(aim.ours, "constant", aim.fields), Case(aim.against, "constant", aim.fields))
        if ratio is not None:
            reached = "yes" if ratio <= aim.at_most else "no"
            table.rows.append((aim.ours, aim.against, aim.fields, f"{aim.at_most:.2f}", f"{ratio:.2f}", reached))
    return table


def settings_table(found: Measured, names: list[str]) -> Table:
    """How each was run, and why one is missing."""
    table = Table("Who took part", ("server", "settings", "measured"), left=frozenset({"settings", "measured"}))
    for name in names:
        table.rows.append((name, EVERY_NAME[name].settings, found.absent.get(name, "yes")))
    return table
