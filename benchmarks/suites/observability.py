"""`observability`: the price of looking in. History, histograms and access log, each switched off in turn.

History and histograms have no switch in the server: `benchmarks.builds` leaves the lines that keep them out.
"""

from benchmarks.builds import Build
from benchmarks.catalogue import Entry, ours
from benchmarks.load import WORKLOADS, Fields
from benchmarks.plot import Kind, Row, bars
from benchmarks.report import Report, Table
from benchmarks.suites.measuring import Case, Measured, measure
from benchmarks.suites.plan import Plan
from benchmarks.summary import band, figure

LEAD = """CPU for one request of constant JSON on 64 keep-alive connections, with one thing more switched off in each
row; httptools as parser. The row without the access log is what the other pages measure. First plain Python, then
compiled to C."""

PARSER = ("--parser", "auto")
BASE, BARE = "access log off", "and histograms off"
COMPILED = "compiled: "


def _entries(prefix: str, *, compiled: bool) -> tuple[Entry, ...]:
    quiet = ours(*PARSER, "--no-access-log")
    whole = Build(compiled)
    return (
        Entry(prefix + "everything on", ours(*PARSER, "--access-log"), Kind.OURS, build=whole),
        Entry(prefix + BASE, quiet, Kind.OURS, build=whole),
        Entry(prefix + "and history off", quiet, Kind.OURS, build=Build(compiled, ("history",))),
        Entry(prefix + BARE, quiet, Kind.OURS, build=Build(compiled, ("history", "dwell", "count"))),
    )


ENTRIES = _entries("", compiled=False) + _entries(COMPILED, compiled=True)
AIM = 1.08


def run(plan: Plan) -> Report:
    """Measure the rows side by side."""
    entries = [entry for entry in ENTRIES if plan.wants(entry.name) and not (plan.quick and is_dear(entry.build))]
    found = measure(plan, entries, ("constant",), tuple(Fields), plan.rounds_or(9), plan.seconds_or(2.0, 0.8))
    return make_report(found)


def is_dear(build: Build) -> bool:
    """Whether a build takes minutes to make and serves no other suite."""
    return build.compiled and bool(build.left_out)


def make_report(found: Measured) -> Report:
    """Tables and plot."""
    report = Report("observability", "The price of looking in", LEAD)
    names = [entry.name for entry in ENTRIES if found.cost(_case(entry.name, Fields.REPEATED))]
    for fields in Fields:
        columns = ("switched", "CPU µs a request", "rounds", "of all off", "requests/s", "errors")
        table = Table(f"{WORKLOADS['constant'].title}, fields {fields}", columns)
        for name in names:
            case = _case(name, fields)
            cost, rate = found.cost(case), found.rate(case)
            if cost is not None and rate is not None:
                prefix = COMPILED if name.startswith(COMPILED) else ""
                ratio = found.ratio(case, _case(prefix + BARE, fields))
                of_off = f"{ratio:.2f}" if ratio is not None else ""
                row = (name, figure(cost.median), band(cost), of_off, f"{rate.median:,.0f}", found.errors(case))
                table.rows.append(row)
        if table.rows:
            report.tables.append(table)
    for prefix in ("", COMPILED):
        price = found.ratio(_case(prefix + BASE, Fields.REPEATED), _case(prefix + BARE, Fields.REPEATED))
        if price is not None:
            reached = "reached" if price <= AIM else "not reached"
            what = f"{prefix}history and histograms on, over off"
            report.notes.append(f"{what}: {price:.2f}; the aim is {AIM:.2f}: {reached}.")
    report.notes += [f"{name}: {reason}" for name, reason in found.absent.items()]
    if names:
        rows = [Row(name, [found.cost(_case(name, fields)) for fields in Fields], Kind.OURS) for name in names]
        lead = "CPU microseconds for one request. Less is better."
        report.plots["observability"] = bars(report.title, lead, rows, ("fields repeated", "one field varying"), "µs")
    return report


def _case(name: str, fields: Fields) -> Case:
    return Case(name, "constant", fields)
