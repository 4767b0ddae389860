"""`layers`: where the microseconds of one request go.

The whole is measured as `servers` does it. So is the bare epoll loop, which is what the kernel and Python's calls into
it cost any server: delayed until it is as slow as the whole, since a load that sleeps between two answers must be woken
by each, which makes a send dearer (see `benchmarks.floor`). The layers that have a face of their own are measured
alone, in this process, on the same request. What is left of the whole is the loop and the connection's shell, by
subtraction: the one row that no clock has seen.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks import work
from benchmarks.catalogue import BY_NAME, own
from benchmarks.load import Fields
from benchmarks.plot import Kind, Row, bars
from benchmarks.processes import ServerFailed
from benchmarks.report import Report, Table
from benchmarks.suites import engine, parsers
from benchmarks.suites.measuring import Case, measure
from benchmarks.suites.plan import Plan
from benchmarks.summary import Spread, band, figure, spread
from clerestory.handlers.api.messages import Request, Response
from clerestory.server.http.responses import HeadWriter
from clerestory.statemachines.engine import Dispatch

LEAD = """Where the CPU time of one request goes: constant JSON on keep-alive connections, httptools as parser where it
is installed, history and histograms on, access log off. The whole is the real server under load. The first row is the
bare epoll loop under the same load, delayed until it is as slow as the whole, less the delay and its JSON. The layers
between were measured alone, on the same request; *loop and shell* is what is left of the whole."""

WHOLE, FLOOR, LOGGING = "Clerestory, httptools", "bare epoll loop", "Clerestory, httptools, log"
KERNEL = "system calls and epoll: the bare loop"
HEAD, HANDLER, ANSWER = "request's head: gate and parser", "router and handler, with its JSON", "answer's head"
BARE, RECORDING = "three transitions", "their recording: history, dwell times, counts"
REST, TOTAL, LOG = "loop and shell, by subtraction", "the whole request", "access log on top"
LAYERS = (KERNEL, HEAD, HANDLER, ANSWER, BARE, RECORDING, REST)
PASSES = 5000


def timed(call: Callable[[], object], passes: int = PASSES) -> float:
    """Microseconds of one call."""
    begun = time.process_time()
    for _ in range(passes):
        call()
    return (time.process_time() - begun) * 1e6 / passes


def alone() -> dict[str, Callable[[], float]]:
    """How each layer that has a face of its own is measured, once a round; both kinds of fields for the head."""
    from benchmarks.apps import app  # here, because it looks for its data

    request, writer = Request("GET", "/constant?n=1", ()), HeadWriter()
    answer = app(request)
    assert isinstance(answer, Response)
    table, triggers = engine.PATHS["happy path"]
    full, bare = (
        engine.by_engine(table, triggers, Dispatch.COMPILED, *parts)
        for parts in ((), engine.LEFT_OUT["without any recording"])
    )
    read = next(reader for name, reader in parsers.readers().items() if name.startswith("gate"))
    heads = {kind: parsers.heads(parsers.SMALL, varying=kind is Fields.VARYING) for kind in Fields}
    return {
        "json": lambda: timed(work.constant),
        HANDLER: lambda: timed(lambda: app(Request("GET", "/constant?n=1", ()))) - timed(_make_request),
        ANSWER: lambda: timed(partial(writer.head, answer, "GET", 1, keep_alive=True, now=0.0)),
        BARE: lambda: bare(PASSES) * 1e6 / PASSES,
        "transitions": lambda: full(PASSES) * 1e6 / PASSES,
        **{f"{HEAD}, {kind}": partial(parsers.cost, read, data, 10) for kind, data in heads.items()},
    }


def _make_request() -> Request:
    return Request("GET", "/constant?n=1", ())


def run(plan: Plan) -> Report:
    """Measure the whole, the floor, and the layers alone."""
    rounds, seconds = plan.rounds_or(5), plan.seconds_or(2.0, 0.5)
    found = measure(plan, [BY_NAME[WHOLE], BY_NAME[LOGGING]], ("constant",), tuple(Fields), rounds, seconds)
    samples: dict[str, list[float]] = {}
    for name, layer in alone().items():
        layer()  # warms up
        samples[name] = [layer() for _ in range(max(rounds, 5))]
        plan.progress.say(f"{name}: {figure(min(samples[name]))} µs")
    parts = {name: spread(values) for name, values in samples.items()}
    totals = {
        (name, kind): cost
        for name in (WHOLE, LOGGING)
        for kind in Fields
        if (cost := found.cost(Case(name, "constant", kind)))
    }
    for kind in Fields:
        if (WHOLE, kind) in totals:
            totals[FLOOR, kind] = delayed_floor(plan, totals[WHOLE, kind].median, kind, rounds, seconds)
    report = make_report(parts, totals)
    report.notes += [f"{name}: {reason}" for name, reason in found.absent.items()]
    return report


def delayed_floor(plan: Plan, whole: float, kind: Fields, rounds: int, seconds: float) -> Spread:
    """What the bare loop costs beyond a delay that makes it as slow as the whole: found in two steps, then measured."""
    delay = whole / 2
    for _ in range(2):
        delay = max(0.1, delay + whole - _with_delay(plan, delay, kind, 1, seconds).median)
    cost = _with_delay(plan, delay, kind, rounds, seconds)
    return Spread(cost.median - delay, cost.low - delay, cost.high - delay, cost.rounds)


def _with_delay(plan: Plan, delay: float, kind: Fields, rounds: int, seconds: float) -> Spread:
    """CPU microseconds a request of the bare loop with a delay. Raises ServerFailed."""
    entry = dataclasses.replace(BY_NAME[FLOOR], command=own("-m", "benchmarks.floor", options=(f"{delay:.2f}",)))
    found = measure(plan, [entry], ("constant",), (kind,), rounds, seconds)
    cost = found.cost(Case(FLOOR, "constant", kind))
    if cost is None:
        raise ServerFailed(f"{FLOOR}: {found.absent[FLOOR]}")
    return cost


def layers(parts: dict[str, Spread], totals: dict[tuple[str, Fields], Spread], kind: Fields) -> dict[str, float]:
    """Microseconds by layer, which add up to the whole."""
    found = {
        KERNEL: totals[FLOOR, kind].median - parts["json"].median,
        HEAD: parts[f"{HEAD}, {kind}"].median,
        HANDLER: parts[HANDLER].median,
        ANSWER: parts[ANSWER].median,
        BARE: parts[BARE].median,
        RECORDING: parts["transitions"].median - parts[BARE].median,
    }
    whole = totals[WHOLE, kind].median
    return {**found, REST: whole - sum(found.values()), TOTAL: whole}


def make_report(parts: dict[str, Spread], totals: dict[tuple[str, Fields], Spread]) -> Report:
    """Table and plot."""
    report = Report("layers", "Where a request's microseconds go", LEAD)
    kinds = [kind for kind in Fields if (FLOOR, kind) in totals and (WHOLE, kind) in totals]
    if not kinds:
        return report
    by_kind = {kind: layers(parts, totals, kind) for kind in kinds}
    columns = ("layer", *(word for kind in kinds for word in (f"fields {kind}, µs", f"% of it, {kind}")))
    table = Table("", columns)
    for name in (*LAYERS, TOTAL):
        table.rows.append((name, *_cells(name, [by_kind[kind] for kind in kinds])))
    table.rows.append((LOG, *_log_cells(totals, kinds)))
    whole = ", ".join(f"{kind} {band(totals[WHOLE, kind])}" for kind in kinds if band(totals[WHOLE, kind]))
    table.note = f"Rounds of the whole, µs: {whole}." if whole else ""
    report.tables.append(table)
    rows = [Row(name, [_exact(by_kind[kind][name]) for kind in kinds], Kind.OURS) for name in LAYERS]
    lead = "CPU microseconds by layer. Less is better."
    report.plots["layers"] = bars(report.title, lead, rows, [f"fields {kind}" for kind in kinds], "µs")
    return report


def _cells(name: str, columns: Sequence[dict[str, float]]) -> list[str]:
    return [cell for column in columns for cell in (figure(column[name]), f"{column[name] / column[TOTAL] * 100:.0f}")]


def _log_cells(totals: dict[tuple[str, Fields], Spread], kinds: Sequence[Fields]) -> list[str]:
    cells = []
    for kind in kinds:
        logged = totals.get((LOGGING, kind))
        extra = logged.median - totals[WHOLE, kind].median if logged else None
        cells += [figure(extra), f"{extra / totals[WHOLE, kind].median * 100:.0f}"] if extra is not None else ["", ""]
    return cells


def _exact(value: float) -> Spread:
    return spread([max(value, 0.0)])
