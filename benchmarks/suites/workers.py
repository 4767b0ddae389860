"""`workers`: what several processes cost, how evenly they share, and how soon a reload or a saved file is served."""

import contextlib
import http.client
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from benchmarks import hosting, load
from benchmarks.catalogue import Entry, ours, peer
from benchmarks.hosting import OPTIONS, OURS, PLAIN, UVICORN_NAME
from benchmarks.load import EVERY, HOSTING, Fields
from benchmarks.machine import WORKERS_CPUS, tool
from benchmarks.plot import Kind
from benchmarks.processes import Server, ServerFailed, cpu_seconds, free_port
from benchmarks.report import Report, Table
from benchmarks.suites.measuring import WARMING
from benchmarks.suites.plan import Plan, in_turn
from benchmarks.suites.reload import GRANIAN, helpers_of, workers_of
from benchmarks.summary import band, duration, figure, spread

LEAD = """*CPU*: user and system time of the whole process tree for a request, by 64 keep-alive connections and with a
new connection for each request, with one worker and with two; *share* is what the busier worker took of what both did.
The workers have the CPUs that the load leaves; where there are two CPUs only, they share them with it. *Reload*: from
SIGHUP to the first answer of a new worker, with two workers. *Save*: from writing the application's file to the first
answer of the new code. Both are asked for on new connections, one after the other. Medians, and the slowest."""

AIM_COST, AIM_SHARE, AIM_SAVE = 1.05, 0.6, 1.0
WORKLOADS = ("json", "close")
TOO_LONG = 60.0
"""Seconds until a reload has failed."""
BETWEEN = 0.5
"""Seconds between a reload that is done and the next."""

APPLICATION = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("this application serves HTTP")
    head = {{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]}}
    await send(head)
    await send({{"type": "http.response.body", "body": b"{word:06d}"}})
"""
"""What is saved, each time with another word."""


@dataclass(slots=True)
class Found:
    """A value a round: µs a request and the busier one's share, by server, workers and workload; seconds, by server."""

    costs: dict[tuple[str, int, str], list[float]] = field(default_factory=dict)
    shares: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    reloads: dict[str, list[float]] = field(default_factory=dict)
    saves: dict[str, list[float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


def run(plan: Plan) -> Report:
    """Measure the three, each in rounds. `--only` names some of cpu, reload, save."""
    if tool("wrk") is None:
        raise LookupError(load.INSTALL_WRK)
    found = Found()
    parts: dict[str, Callable[[Plan, Found], None]] = {"cpu": _costs, "reload": _reloads, "save": _saves}
    if not any(plan.wants(name) for name in parts):
        raise LookupError(f"--only: there are {', '.join(parts)}")
    for name, measure in parts.items():
        if plan.wants(name):
            measure(plan, found)
    return make_report(found)


# --- CPU, and who takes how much


def _costs(plan: Plan, found: Found) -> None:
    entries = [(entry, count) for entry in _ours(plan, found) for count in (1, 2)]
    rounds, seconds = plan.rounds_or(5), plan.seconds_or(3.0, 0.4)
    plan.progress.expect(rounds * len(entries))
    for turn in range(rounds):
        for entry, count in in_turn(entries, turn):
            command = _with(entry, "--workers", str(count))
            try:
                with command.start(plan.data, plan.scratch, plan.peers, *WORKERS_CPUS) as server:
                    _settle(server, count)
                    for name in WORKLOADS:
                        _measure(found, server, entry.name, count, name, seconds)
            except (ServerFailed, OSError) as failure:
                found.absent[f"{entry.name}, {count} workers"] = str(failure)
            plan.progress.step(f"{entry.name}, {count} workers, round {turn + 1}")


def _ours(plan: Plan, found: Found) -> list[Entry]:
    """Ours, compiled and plain; a quick run goes without the compiled build."""
    entries = [
        one for one in hosting.ours_with(hosting.APP, "--interface", "asgi") if not plan.quick or one.name == PLAIN
    ]
    found.absent |= {entry.name: f"needs {missing}" for entry in entries if (missing := entry.missing(plan.peers))}
    return [entry for entry in entries if entry.name not in found.absent]


def _with(entry: Entry, *words: str) -> Entry:
    return replace(entry, command=lambda place: [*entry.command(place), *words])


def _measure(found: Found, server: Server, name: str, count: int, workload: str, seconds: float) -> None:
    load.run(server, EVERY[workload], Fields.REPEATED, WARMING)
    workers = workers_of(server) - helpers_of(server)
    before = {pid: cpu_seconds(pid) for pid in workers}
    outcome = load.run(server, EVERY[workload], Fields.REPEATED, seconds)
    spent = sorted(cpu_seconds(pid) - before[pid] for pid in workers)
    found.costs.setdefault((name, count, workload), []).append(outcome.cost)
    if count > 1 and any(spent):
        found.shares.setdefault((name, workload), []).append(spent[-1] / sum(spent))


def _settle(server: Server, count: int) -> None:
    """Return when so many workers are there, and answer."""
    until = time.monotonic() + TOO_LONG
    while len(workers_of(server) - helpers_of(server)) < count:
        if time.monotonic() > until:
            raise ServerFailed(f"it has no {count} workers after {TOO_LONG:.0f} s")
        time.sleep(0.02)
    load.verify(server, HOSTING["json"], Fields.REPEATED)


# --- how soon


def reloading() -> list[Entry]:
    """The servers that take SIGHUP, with two workers."""
    bound, wsgi = (
        "--host 127.0.0.1 --port {port} --workers 2 --no-access-log --log-level error",
        "benchmarks.peers.wsgi:app",
    )
    words = (*OPTIONS, "--no-xray", "--interface", "asgi", "--workers", "2")
    return [
        Entry(PLAIN, ours(*words, target=hosting.APP), Kind.OURS),
        Entry(UVICORN_NAME, peer("uvicorn", hosting.APP, bind=bound), needs=("uvicorn",)),
        Entry("gunicorn gthread", peer("gunicorn", wsgi, "-w", "2", "-k", "gthread", bind="-b 127.0.0.1:{port}"),
              needs=("gunicorn",)),
        Entry("granian", peer("granian", "--interface", "asgi", hosting.APP, bind=GRANIAN), needs=("granian",)),
    ]  # fmt: skip


def _reloads(plan: Plan, found: Found) -> None:
    entries, times = _present(plan, reloading(), found), plan.pick(10, 2)
    plan.progress.expect(len(entries))
    for entry in entries:
        try:
            with entry.start(plan.data, plan.scratch, plan.peers, *WORKERS_CPUS) as server:
                for _ in range(times):
                    found.reloads.setdefault(entry.name, []).append(_reload(server))
                    time.sleep(BETWEEN)
        except (ServerFailed, OSError) as failure:
            found.absent[f"{entry.name}, SIGHUP"] = str(failure)
        plan.progress.step(f"{entry.name}: SIGHUP")


def _present(plan: Plan, entries: Sequence[Entry], found: Found) -> list[Entry]:
    found.absent |= {entry.name: f"needs {missing}" for entry in entries if (missing := entry.missing(plan.peers))}
    return [entry for entry in entries if entry.name not in found.absent]


def _reload(server: Server) -> float:
    """Seconds from SIGHUP until a worker answers that was not there before."""
    _settle_pid(server)
    before = {str(pid).encode() for pid in workers_of(server)}
    return until_answered(server, "/pid", lambda body: body not in before, lambda: _hang_up(server))


def _hang_up(server: Server) -> None:
    os.kill(server.process.pid, signal.SIGHUP)


def _settle_pid(server: Server) -> None:
    """Return when two workers are there, and only two: those of the time before have gone."""
    until = time.monotonic() + TOO_LONG
    while len(workers_of(server) - helpers_of(server)) != 2:
        if time.monotonic() > until:
            raise ServerFailed(f"after {TOO_LONG:.0f} s there are not two workers")
        time.sleep(0.02)


def until_answered(server: Server, target: str, is_new: Callable[[bytes], bool], begin: Callable[[], None]) -> float:
    """Seconds from `begin` until an answer is new; what is lost meanwhile is asked again. Raises ServerFailed."""
    begin()
    begun = time.monotonic()
    while time.monotonic() - begun < TOO_LONG:
        server.check_alive()
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", target, headers={"Connection": "close"})
            answer = connection.getresponse()
            if answer.status == 200 and is_new(answer.read()):
                return time.monotonic() - begun
        connection.close()
        time.sleep(0.002)
    raise ServerFailed(f"nothing new is answered after {TOO_LONG:.0f} s")


def saving(directory: str) -> list[Entry]:
    """The servers that look for saved files, and what they are told to serve."""
    watched = ("--reload", "--reload-dir", directory, "--app-dir", directory)
    bound = "--host 127.0.0.1 --port {port} --no-access-log --log-level error"
    words = (*OPTIONS, "--no-xray", "--interface", "asgi", "--reload", "--app-dir", directory)
    return [
        Entry(PLAIN, ours(*words, target="saved:app"), Kind.OURS),
        Entry(UVICORN_NAME, peer("uvicorn", "saved:app", *watched, bind=bound), needs=("uvicorn",)),
    ]


def _save(file: Path, number: int) -> None:
    file.write_text(APPLICATION.format(word=number))


def _saves(plan: Plan, found: Found) -> None:
    directory = plan.scratch / f"saved-{free_port()}"
    directory.mkdir()
    file = directory / "saved.py"
    entries, times = _present(plan, saving(str(directory)), found), plan.pick(10, 2)
    plan.progress.expect(len(entries))
    for entry in entries:
        _save(file, 0)
        try:
            with entry.start(plan.data, plan.scratch, plan.peers, *WORKERS_CPUS) as server:
                until_answered(server, "/", (b"%06d" % 0).__eq__, lambda: None)
                for number in range(1, times + 1):
                    time.sleep(BETWEEN)
                    word = b"%06d" % number
                    took = until_answered(server, "/", word.__eq__, partial(_save, file, number))
                    found.saves.setdefault(entry.name, []).append(took)
        except (ServerFailed, OSError) as failure:
            found.absent[f"{entry.name}, --reload"] = str(failure)
        plan.progress.step(f"{entry.name}: a saved file")


# --- the report


def make_report(found: Found) -> Report:
    """The tables, and the aims as notes."""
    report = Report("workers", "Several processes", LEAD)
    table = Table(
        "CPU a request", ("server", "workload", "1 worker", "2 workers", "rounds", "2 ÷ 1", "share of the busier")
    )
    for name in (OURS, PLAIN):
        for workload in WORKLOADS:
            one, two = (found.costs.get((name, count, workload)) for count in (1, 2))
            shares = found.shares.get((name, workload))
            if not one or not two or not shares:
                continue
            ratio, share = spread(two).median / spread(one).median, spread(shares).median
            costs = (figure(spread(one).median), figure(spread(two).median), band(spread(two)))
            table.rows.append((name, EVERY[workload].title, *costs, f"{ratio:.2f}", f"{share:.2f}"))
            case = f"{name}, {EVERY[workload].title}"
            said = f"{case}: 2 workers take {ratio:.2f} of the CPU of 1; the aim is {AIM_COST} at most"
            report.notes.append(f"{said}: {_reached(ratio <= AIM_COST)}.")
            said = f"{case}: the busier takes {share:.2f}; the aim is {AIM_SHARE} at most"
            report.notes.append(f"{said}: {_reached(share <= AIM_SHARE)}.")
    report.tables = [one for one in (table, _times("SIGHUP to serving", found.reloads),
                                     _times("Save to serving", found.saves)) if one.rows]  # fmt: skip
    if mine := found.saves.get(PLAIN):
        median = spread(mine).median
        said = f"{PLAIN}: a saved file is served after {duration(median)}; the aim is {AIM_SAVE:.0f} s at most"
        report.notes.append(f"{said}: {_reached(median <= AIM_SAVE)}.")
    report.notes += [f"{name}: {reason}" for name, reason in found.absent.items()]
    return report


def _reached(reached: bool) -> str:
    return "reached" if reached else "not reached"


def _times(title: str, found: dict[str, list[float]]) -> Table:
    table = Table(title, ("server", "median", "slowest", "number"))
    for name, times in found.items():
        table.rows.append((name, duration(spread(times).median), duration(max(times)), str(len(times))))
    return table
