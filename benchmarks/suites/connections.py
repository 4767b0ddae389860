"""`connections`: what ten thousand idle connections cost beside the active ones, in CPU, in latency and in memory.

Idle connections have made one request each and are kept alive; processes of their own hold them. CPU and p99 are those
of 64 active connections beside them; how many of the idle ones the server has closed meanwhile is counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks import load
from benchmarks.catalogue import BY_NAME, Entry, choose
from benchmarks.idle import crowd
from benchmarks.load import WORKLOADS, Fields, Outcome
from benchmarks.plot import Row, bars
from benchmarks.processes import Server, ServerFailed
from benchmarks.report import Report, Table
from benchmarks.suites.measuring import WARMING, told
from benchmarks.suites.plan import Plan, in_turn
from benchmarks.summary import Spread, band, duration, figure, spread

LEAD = """64 active keep-alive connections (constant JSON, fields repeated) beside idle ones, each of which has made one
request; and the memory of the server's process tree for one idle connection: what its anonymous memory (PSS, so that
pages shared within the tree count once) grew by, divided by their number. Not in it are the kernel's buffers, and what
a server reserves when it starts, as nginx does for all the connections that it may ever have."""

CONSTANT = WORKLOADS["constant"]
SIZES = (0, 100, 1_000, 10_000)
BESIDE = ("Clerestory, httptools", "Clerestory, h11", "nginx", "granian ASGI", "uvicorn, uvloop + httptools")
"""Who is measured beside idle connections, unless `--only` says otherwise; memory is measured for all."""
SAME = ("Clerestory, httptools, log", "Clerestory, h11, log", "Clerestory, stock dispatch", "bare epoll loop + 20 µs")
"""Differ from others here by nothing that an idle connection has."""
AIM_COST, AIM_TAIL = 1.10, 1.5


@dataclass(slots=True)
class Found:
    """A value for each round: by server and number of idle connections, and bytes a connection by server."""

    active: dict[tuple[str, int], list[Outcome]] = field(default_factory=dict)
    memory: dict[str, list[float]] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


def run(plan: Plan) -> Report:
    """Measure both, round by round."""
    entries = [entry for entry in choose(plan.only) if entry.name not in SAME]
    sizes = plan.pick(SIZES, (0, 10_000))
    count = plan.pick(5_000, 1_000)
    beside = [entry for entry in entries if plan.only or entry.name in BESIDE[: plan.pick(len(BESIDE), 1)]]
    beside = [entry for entry in beside if entry.idle_limit >= max(sizes)]
    found = Found()
    rounds, seconds = plan.rounds_or(5), plan.seconds_or(2.0, 0.8)
    plan.progress.expect(rounds * (len(beside) * len(sizes) + len(entries)))
    for turn in range(rounds):
        for entry in in_turn(entries, turn):
            missing = entry.missing(plan.peers)
            if missing:
                found.absent[entry.name] = f"not installed; needs {missing}"
            else:
                _one_round(plan, found, entry, sizes if entry in beside else (), count, seconds)
    return make_report(found, [entry.name for entry in entries], sizes)


def _one_round(plan: Plan, found: Found, entry: Entry, sizes: Sequence[int], count: int, seconds: float) -> None:
    try:
        with entry.start(plan.data, plan.scratch, plan.peers) as server:
            _measure_memory(plan, found, entry, server, count)
        if sizes:
            with entry.start(plan.data, plan.scratch, plan.peers) as server:
                _measure_active(plan, found, entry, server, sizes, seconds)
    except ServerFailed as failure:
        found.absent[entry.name] = f"failed: {failure}"
        plan.progress.say(f"{entry.name}: {failure}")


def _measure_memory(plan: Plan, found: Found, entry: Entry, server: Server, count: int) -> None:
    """Bytes of memory for one more idle connection. The first ten are not counted: they make what is made once."""
    count = min(count, entry.idle_limit)
    load.verify(server, CONSTANT, Fields.REPEATED)
    with crowd(server.port) as idle:
        idle.grow_to(10)
        before = server.memory()
        idle.grow_to(10 + count)
        after = server.memory()
        lost = idle.lost()
    each = (after.own - before.own) / count
    found.memory.setdefault(entry.name, []).append(each)
    found.held[entry.name] = count
    found.lost[entry.name] = found.lost.get(entry.name, 0) + lost
    plan.progress.step(f"{entry.name:26}  {count:,} idle: {each / 1024:.2f} KiB each, {lost} lost")


def _measure_active(
    plan: Plan, found: Found, entry: Entry, server: Server, sizes: Sequence[int], seconds: float
) -> None:
    """CPU and latency of active connections beside more and more idle ones."""
    with crowd(server.port) as idle:
        for size in sizes:
            idle.grow_to(size)
            load.run(server, CONSTANT, Fields.REPEATED, WARMING)
            outcome = load.run(server, CONSTANT, Fields.REPEATED, seconds)
            found.active.setdefault((entry.name, size), []).append(outcome)
            plan.progress.step(f"{entry.name:26}  beside {size:,} idle: {told(outcome)}")
        found.lost[entry.name] = found.lost.get(entry.name, 0) + idle.lost()


def make_report(found: Found, names: Sequence[str], sizes: Sequence[int]) -> Report:
    """Tables and plots."""
    report = Report("connections", "Idle connections", LEAD)
    active = [name for name in names if (name, sizes[0]) in found.active]
    if active:
        report.tables.append(_beside_table(found, active, sizes))
        rows = [Row(name, [_cost(found, name, size) for size in sizes], BY_NAME[name].kind) for name in active]
        lead = "CPU microseconds for one request on 64 active connections. Less is better."
        series = [f"beside {size:,} idle" for size in sizes]
        report.plots["connections-cpu"] = bars("Active beside idle connections", lead, rows, series, "µs")
    if found.memory:
        each = {name: spread([max(value, 0.0) / 1024 for value in found.memory[name]]) for name in found.memory}
        order = sorted(each, key=lambda name: each[name].median)
        table = Table("Memory of one idle connection", ("server", "KiB", "rounds", "connections", "lost"))
        for name in order:
            held, lost = f"{found.held[name]:,}", f"{found.lost[name]:,}"
            table.rows.append((name, f"{each[name].median:.2f}", band(each[name]), held, lost))
        report.tables.append(table)
        rows = [Row(name, [each[name]], BY_NAME[name].kind) for name in order]
        lead = "KiB of the process tree for one idle keep-alive connection after one request. Less is better."
        report.plots["connections-memory"] = bars("Memory of an idle connection", lead, rows, ("KiB",), "KiB")
    report.notes += [f"{name}: {reason}" for name, reason in found.absent.items()]
    return report


def _cost(found: Found, name: str, size: int) -> Spread | None:
    outcomes = found.active.get((name, size))
    return spread([outcome.cost for outcome in outcomes]) if outcomes else None


def _beside_table(found: Found, names: Sequence[str], sizes: Sequence[int]) -> Table:
    columns = ("server", "idle", "CPU µs a request", "rounds", "of none idle", "p99", "of none idle ")
    table = Table("64 active beside idle ones", columns)
    for name in names:
        for size in sizes:
            cost, none = _cost(found, name, size), _cost(found, name, sizes[0])
            if cost is None or none is None:
                continue
            tail, tail_none = (spread([o.p99 for o in found.active[name, at]]).median for at in (size, sizes[0]))
            table.rows.append(
                (
                    name,
                    f"{size:,}",
                    figure(cost.median),
                    band(cost),
                    f"{cost.median / none.median:.2f}",
                    duration(tail),
                    f"{tail / tail_none:.2f}" if tail_none else "",
                )
            )
    table.note = f"Aims beside 10,000 idle: at most {AIM_COST:.2f} of the CPU and {AIM_TAIL:.1f} of the p99."
    return table
