"""`files`: static files, both builds of ours against nginx with sendfile. `--only` brings in any other server."""

from benchmarks import catalogue
from benchmarks.catalogue import BY_NAME
from benchmarks.load import WORKLOADS, Fields
from benchmarks.plot import Row, bars
from benchmarks.report import Report, Table
from benchmarks.suites.measuring import Case, Measured, measure
from benchmarks.suites.plan import Plan
from benchmarks.summary import band, figure

LEAD = """A static file, from the page cache. 16 KiB on 64 keep-alive connections, 100 MiB on 4. nginx is set to send by
`sendfile`. CPU is that of the whole process tree; the load's own CPU, not the server's, bounds the throughput of the
large file, so look at the CPU for each MiB, too."""

OURS = ("Clerestory, httptools", "Clerestory compiled, httptools")
NGINX = "nginx"
SMALL, LARGE = "small-file", "large-file"
MEBIBYTE = 1024 * 1024
AIM_THROUGHPUT, AIM_COST = 0.9, 3.0


def run(plan: Plan) -> Report:
    """Measure both sizes."""
    entries = catalogue.choose(plan.only or (*OURS, NGINX))
    entries = [entry for entry in entries if SMALL in entry.workloads and (plan.only or entry.name in (*OURS, NGINX))]
    rounds, seconds = plan.rounds_or(5), plan.seconds_or(3.0, 0.8)
    found = measure(plan, entries, (SMALL, LARGE), (Fields.REPEATED,), rounds, seconds)
    return make_report(found, [entry.name for entry in entries])


def make_report(found: Measured, names: list[str]) -> Report:
    """Tables, aims and plots."""
    report = Report("files", "Static files", LEAD)
    for workload in (SMALL, LARGE):
        report.tables.append(_table(found, names, workload))
        rows = [
            Row(name, [cost], BY_NAME[name].kind)
            for name in names
            if (cost := found.cost(Case(name, workload, Fields.REPEATED)))
        ]
        if rows:
            title = f"CPU for one {WORKLOADS[workload].title}"
            report.plots[f"files-{workload}"] = bars(title, "Microseconds. Less is better.", rows, ("CPU",), "µs")
    report.notes += _aims(found)
    report.notes += [f"{name}: {reason}" for name, reason in found.absent.items()]
    return report


def _table(found: Measured, names: list[str], workload: str) -> Table:
    columns = (
        "server",
        "requests/s",
        "MiB/s",
        "rounds",
        "of nginx",
        "CPU µs a request",
        "rounds ",
        "of nginx ",
        "µs/MiB",
    )
    table = Table(WORKLOADS[workload].title, (*columns, "errors"))
    nginx = Case(NGINX, workload, Fields.REPEATED)
    reference = found.of(nginx, lambda outcome: outcome.received / outcome.seconds)
    for name in names:
        case = Case(name, workload, Fields.REPEATED)
        cost, rate = found.cost(case), found.rate(case)
        flow = found.of(case, lambda outcome: outcome.received / outcome.seconds / MEBIBYTE)
        each = found.of(case, lambda outcome: outcome.cpu * 1e6 / (outcome.received / MEBIBYTE))
        if cost is None or rate is None or flow is None or each is None:
            continue
        ratio = found.ratio(case, nginx)
        table.rows.append(
            (
                name,
                figure(rate.median),
                figure(flow.median),
                band(flow),
                f"{flow.median * MEBIBYTE / reference.median:.2f}" if reference else "",
                figure(cost.median),
                band(cost),
                f"{ratio:.2f}" if ratio is not None else "",
                figure(each.median),
                found.errors(case),
            )
        )
    return table


def _aims(found: Measured) -> list[str]:
    """What we set out to reach."""
    notes = []
    for name in OURS:
        large, reference = (found.rate(Case(one, LARGE, Fields.REPEATED)) for one in (name, NGINX))
        if large and reference:
            ratio = large.median / reference.median
            reached = "reached" if ratio >= AIM_THROUGHPUT else "not reached"
            aim = f"the aim is {AIM_THROUGHPUT:.1f}: {reached}"
            notes.append(f"{name}, 100 MiB: {ratio:.2f} of nginx's throughput; {aim}.")
        cost = found.ratio(Case(name, SMALL, Fields.REPEATED), Case(NGINX, SMALL, Fields.REPEATED))
        if cost is not None:
            reached = "reached" if cost <= AIM_COST else "not reached"
            notes.append(f"{name}, 16 KiB: {cost:.2f} of nginx's CPU a request; the aim is {AIM_COST:.1f}: {reached}.")
    return notes
