"""`servers`: ours against every peer, under six workloads, fields repeated and varying."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import catalogue, h2
from benchmarks.catalogue import EVERY_NAME, Entry
from benchmarks.load import EVERY, WORKLOADS, Fields
from benchmarks.machine import tool
from benchmarks.plot import Kind, Row, bars
from benchmarks.report import Report, Table
from benchmarks.suites.measuring import WARMING, Case, Measured, measure
from benchmarks.suites.plan import Plan, in_turn
from benchmarks.summary import band, duration, figure, spread

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


BARE, NGINX, GRANIAN, UVICORN = "bare epoll loop", "nginx", "granian ASGI", "uvicorn, uvloop + httptools"
RELEASED = f"{COMPILED}, httptools"
AIMS = (
    Aim(RELEASED, BARE, Fields.REPEATED, 1.5),
    Aim(RELEASED, NGINX, Fields.REPEATED, 1.3),
    Aim(RELEASED, GRANIAN, Fields.REPEATED, 0.60),
    Aim(RELEASED, UVICORN, Fields.REPEATED, 0.35),
    Aim(RELEASED, NGINX, Fields.VARYING, 1.8),
    Aim(RELEASED, GRANIAN, Fields.VARYING, 0.80),
    Aim(RELEASED, UVICORN, Fields.VARYING, 0.50),
    Aim(f"{RELEASED}, log", RELEASED, Fields.REPEATED, 1.25),
    Aim(HTTPTOOLS, UVICORN, Fields.REPEATED, 0.50),
    Aim(f"{COMPILED}, h11", "uvicorn, asyncio + h11", Fields.REPEATED, 0.12),
    Aim(f"{COMPILED}, h11", "uvicorn, asyncio + h11", Fields.VARYING, 0.40),
)
"""What we set out to reach; the released build is the compiled one."""

CHECKED = (RELEASED, HTTPTOOLS, NGINX, GRANIAN, UVICORN)
"""Those that a second load generator is set on, too."""
CHECKED_TARGET = "/constant?n=1"


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
    if "constant" in workloads and tool("h2load"):
        report.tables.append(second_table(found, second_load(plan, entries, found)))
    report.tables.append(settings_table(found, names))
    ours = [entry.name for entry in entries if entry.kind is Kind.OURS]
    report.ratios = found.ratios(ours, (BARE, NGINX, GRANIAN, "granian WSGI", UVICORN), workloads, BOTH)
    return report


def second_load(plan: Plan, entries: Sequence[Entry], found: Measured) -> dict[str, list[float]]:
    """CPU microseconds a request under h2load instead of wrk, a value for each round: a figure that two load
    generators agree on is not of either's making."""
    costs: dict[str, list[float]] = {}
    chosen = [entry for entry in entries if entry.name in CHECKED and entry.name not in found.absent]
    rounds, seconds = plan.rounds_or(5), plan.seconds_or(2.0, 0.4)
    plan.progress.expect(rounds * len(chosen))
    for turn in range(rounds):
        for entry in in_turn(chosen, turn):
            with entry.start(plan.data, plan.scratch, plan.peers) as server:
                h2.load(server, CHECKED_TARGET, WARMING, clients=64, streams=1, http1=True)
                load = h2.load(server, CHECKED_TARGET, seconds, clients=64, streams=1, http1=True)
            costs.setdefault(entry.name, []).append(load.cost)
            plan.progress.step(f"round {turn + 1} of {rounds}  {entry.name:26}  h2load: {figure(load.cost)} µs CPU")
    return costs


def second_table(found: Measured, costs: dict[str, list[float]]) -> Table:
    """Both load generators side by side: the costs differ with how they wait, the ratios should not."""
    columns = ("server", "wrk, CPU µs", "h2load, CPU µs", "rounds", "ours ÷ it, wrk", "ours ÷ it, h2load")
    table = Table("Constant JSON by a second load generator, fields repeated", columns)
    ours = costs.get(RELEASED)
    for name, values in costs.items():
        case, first = Case(name, "constant", Fields.REPEATED), found.cost(Case(name, "constant", Fields.REPEATED))
        second = spread(values)
        by_wrk = found.ratio(Case(RELEASED, "constant", Fields.REPEATED), case)
        by_h2load = spread(ours).median / second.median if ours else None
        ratios = (f"{ratio:.2f}" if ratio is not None else "" for ratio in (by_wrk, by_h2load))
        table.rows.append((name, figure(first.median) if first else "", figure(second.median), band(second), *ratios))
    return table


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
