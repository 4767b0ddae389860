"""`observability`: the price of looking in. History, histograms and access log, each switched off in turn.

The switch `--record` is there for this measurement alone: a server whose history is off cannot be asked what happened.
"""

import subprocess
import sys
from functools import cache

from benchmarks.catalogue import Entry, is_ours_there, ours
from benchmarks.load import WORKLOADS, Fields
from benchmarks.plot import Kind, Row, bars
from benchmarks.processes import ROOT
from benchmarks.report import Report, Table
from benchmarks.suites.measuring import Case, Measured, measure
from benchmarks.suites.plan import Plan
from benchmarks.summary import band, figure

LEAD = """CPU for one request of constant JSON on 64 keep-alive connections, with one thing more switched off in each
row; httptools as parser. The row without the access log is what the other pages measure."""

PARSER = ("--parser", "auto")
BASE, BARE = "access log off", "and histograms off"
ENTRIES = (
    Entry("everything on", ours(*PARSER, "--access-log"), Kind.OURS),
    Entry(BASE, ours(*PARSER, "--no-access-log"), Kind.OURS),
    Entry("and history off", ours(*PARSER, "--no-access-log", "--record", "no-history"), Kind.OURS),
    Entry(BARE, ours(*PARSER, "--no-access-log", "--record", "none"), Kind.OURS),
)
NEEDS_SWITCH = ENTRIES[2:]
AIM = 1.08


@cache
def has_switch() -> bool:
    """Whether the server has `--record` already."""
    if not is_ours_there():
        return False
    command = [sys.executable, "-m", "server", "--help"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return "--record" in told.stdout


def run(plan: Plan) -> Report:
    """Measure the rows side by side."""
    entries = [entry for entry in ENTRIES if plan.wants(entry.name) and (has_switch() or entry not in NEEDS_SWITCH)]
    found = measure(plan, entries, ("constant",), tuple(Fields), plan.rounds_or(9), plan.seconds_or(2.0, 0.8))
    for entry in NEEDS_SWITCH:
        if not has_switch():
            found.absent[entry.name] = "the server has no --record yet"
    return make_report(found)


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
                ratio = found.ratio(case, _case(BARE, fields))
                of_off = f"{ratio:.2f}" if ratio is not None else ""
                row = (name, figure(cost.median), band(cost), of_off, f"{rate.median:,.0f}", found.errors(case))
                table.rows.append(row)
        if table.rows:
            report.tables.append(table)
    price = found.ratio(_case(BASE, Fields.REPEATED), _case(BARE, Fields.REPEATED))
    if price is not None:
        reached = "reached" if price <= AIM else "not reached"
        report.notes.append(f"History and histograms on, over off: {price:.2f}; the aim is {AIM:.2f}: {reached}.")
    report.notes += [f"{name}: {reason}" for name, reason in found.absent.items()]
    if names:
        rows = [Row(name, [found.cost(_case(name, fields)) for fields in Fields], Kind.OURS) for name in names]
        lead = "CPU microseconds for one request. Less is better."
        report.plots["observability"] = bars(report.title, lead, rows, ("fields repeated", "one field varying"), "µs")
    return report


def _case(name: str, fields: Fields) -> Case:
    return Case(name, "constant", fields)
