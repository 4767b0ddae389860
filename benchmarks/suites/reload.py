"""`reload`: what is lost while the workers of a server are replaced, all by SIGHUP, or one after the other.

Clients that do not retry (benchmarks.careful) ask for small answers and for a file of 16 KiB, on connections that they
keep and on new ones. Meanwhile the server is told to reload, again and again: each time when the workers of the time
before have gone. In a second run no signal is sent: workers are replaced because each has served as much as it may.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import work
from benchmarks.careful import Careful
from benchmarks.catalogue import ASGI, Entry, Place, ours, peer
from benchmarks.plot import Kind
from benchmarks.processes import Server, ServerFailed, tree
from benchmarks.report import Report, Table
from benchmarks.suites.plan import Plan

LEAD = """Two workers, and clients that do not retry: each looks whether its connection is still open, sends its request
once, and counts it as lost when the connection is refused, reset, or ends before the whole answer. Half of them keep
their connection, the others make a new one for each request. *Reloads*: SIGHUP, each time when the workers of the time
before have gone. *Recycled*: workers that are replaced after so many requests (`--max-requests-per-worker` and what it
is called elsewhere). A reload is over when there are new workers and none of the old ones; its time is the median."""

WORKERS = 2
REQUESTS = 100_000
"""In each of the two runs."""

TIMES = 20
"""Reloads, and workers recycled at least."""

TOO_LONG = 180.0
"""Seconds for a reload, until it is given up."""

GRANIAN = "--host 127.0.0.1 --port {port} --workers 2 --http 1 --no-ws --no-access-log --log-level error"


@dataclass(frozen=True, slots=True)
class Contender:
    """A server, and how it is told to replace workers after so many requests; None where it cannot."""

    entry: Entry
    recycling: Callable[[int], list[str]] | None = None


def _with(entry: Entry, words: list[str]) -> Callable[[Place], list[str]]:
    return lambda place: [*entry.command(place), *words]


CONTENDERS = (
    Contender(
        Entry(
            "Clerestory",
            ours("--workers", "2", "--no-access-log", "--no-xray", target=ASGI),
            Kind.OURS,
            settings="plain Python, --workers 2, the ASGI application that the others have",
        ),
        lambda count: ["--max-requests-per-worker", str(count)],
    ),
    Contender(
        Entry(
            "uvicorn",
            peer("uvicorn", ASGI, bind="--host 127.0.0.1 --port {port} --workers 2 --no-access-log --log-level error"),
            needs=("uvicorn",),
            settings="--workers 2, its own supervisor",
        ),
        lambda count: ["--limit-max-requests", str(count)],
    ),
    Contender(
        Entry(
            "gunicorn, gthread",
            peer("gunicorn", "benchmarks.peers.wsgi:app", bind="-b 127.0.0.1:{port} -w 2 -k gthread --threads 4"),
            needs=("gunicorn",),
            settings="-w 2 -k gthread --threads 4",
        ),
        lambda count: ["--max-requests", str(count)],
    ),
    Contender(
        Entry(
            "granian", peer("granian", "--interface", "asgi", ASGI, bind=GRANIAN), needs=("granian",), settings=GRANIAN
        )
    ),
)


@dataclass(slots=True)
class Outcome:
    """What became of one run."""

    answered: int
    lost: dict[str, int]
    replaced: int
    seconds: list[float]
    note: str = ""

    @property
    def count(self) -> int:
        """Requests that were lost."""
        return sum(self.lost.values())


def workers_of(server: Server) -> set[int]:
    """The processes below the server's first one."""
    return set(tree(server.process.pid)) - {server.process.pid}


def reload_once(server: Server, load: Careful, helpers: set[int]) -> float:
    """Tell it to reload, and wait until all the workers are others; how long that took. Raises ServerFailed."""
    before = workers_of(server) - helpers
    begun = time.monotonic()
    os.kill(server.process.pid, signal.SIGHUP)
    while time.monotonic() - begun < TOO_LONG:
        server.check_alive()
        now = workers_of(server) - helpers
        if not now & before and len(now) >= WORKERS:
            return time.monotonic() - begun
        if not load.runs:
            break
        time.sleep(0.02)
    raise ServerFailed(f"after {TOO_LONG:.0f} s its workers are those that they were")


def helpers_of(server: Server) -> set[int]:
    """Processes that are no workers: multiprocessing's resource tracker, for one."""
    found = set()
    for pid in workers_of(server):
        with contextlib.suppress(OSError):
            if b"resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(pid)
    return found


def by_signal(server: Server, requests: int, times: int) -> Outcome:
    """A run with so many reloads, spread over so many requests."""
    with Careful(server.port, targets()) as load:
        seconds, note = [], ""
        settle(server, load)
        helpers = helpers_of(server)
        try:
            for number in range(times):
                wait_for(load, requests * number // times)
                seconds.append(reload_once(server, load, helpers))
            wait_for(load, requests)
        except ServerFailed as failure:
            note = str(failure)
    return Outcome(load.done, dict(load.lost), len(seconds), seconds, note)


def by_count(server: Server, requests: int, times: int) -> Outcome:
    """A run in which workers are replaced because of what they have served: at least so many."""
    seen: set[int] = set()
    note = ""
    with Careful(server.port, targets()) as load:
        settle(server, load)
        helpers = helpers_of(server)
        first = workers_of(server) - helpers
        begun = time.monotonic()
        while load.done < requests or len(seen - first) < times:
            try:
                server.check_alive()
            except ServerFailed as failure:
                note = str(failure)
                break
            seen |= workers_of(server) - helpers
            if load.done >= requests and time.monotonic() - begun > 10 * TOO_LONG:
                note = f"only {len(seen - first)} workers were replaced"
                break
            time.sleep(0.02)
    return Outcome(load.done, dict(load.lost), len(seen - first), [], note)


def targets() -> list[tuple[str, int]]:
    """What is asked for: mostly the small answer."""
    small = ("/constant", len(work.constant()))
    return [small, small, small, (f"/files/{work.SMALL_FILE}", work.FILES[work.SMALL_FILE])]


def settle(server: Server, load: Careful) -> None:
    """All workers are there, and requests are answered."""
    until = time.monotonic() + TOO_LONG
    while time.monotonic() < until and (len(workers_of(server)) < WORKERS or load.done < 100):
        time.sleep(0.02)


def wait_for(load: Careful, answers: int) -> None:
    """Until so many requests have been answered, or too many lost."""
    while load.done < answers and load.runs and sum(load.lost.values()) < REQUESTS:
        time.sleep(0.01)


def run(plan: Plan) -> Report:
    """Both runs for each server."""
    report = Report("reload", "Requests that are lost while workers are replaced", LEAD)
    requests, times = plan.pick(REQUESTS, 4000), plan.pick(TIMES, 3)
    wanted = [one for one in CONTENDERS if plan.wants(one.entry.name)]
    if not wanted:
        raise LookupError("no server has such a name")
    columns = (
        "server",
        "answered",
        "reloads",
        "lost",
        "a reload, s",
        "answered ",
        "recycled",
        "lost ",
        "what was lost",
    )
    table = Table("", columns, left=frozenset({"what was lost"}))
    plan.progress.expect(2 * len(wanted) * plan.rounds_or(1))
    for turn in range(plan.rounds_or(1)):
        for one in wanted:
            missing = one.entry.missing(plan.peers)
            if missing:
                report.notes.append(f"{one.entry.name}: not installed; needs {missing}")
                continue
            table.rows.append(_row(plan, one, requests, times, turn, report))
    report.tables.append(table)
    report.notes += [f"{one.entry.name}: {one.entry.settings}" for one in wanted if one.entry.settings]
    return report


def _row(plan: Plan, one: Contender, requests: int, times: int, turn: int, report: Report) -> list[str]:
    entry = one.entry
    with entry.start(plan.data, plan.scratch, plan.peers) as server:
        signalled = by_signal(server, requests, times)
    plan.progress.step(f"{entry.name}, round {turn + 1}: {signalled.replaced} reloads, lost {signalled.count}")
    cells = [entry.name, f"{signalled.answered:,}", str(signalled.replaced), str(signalled.count)]
    cells.append(f"{sorted(signalled.seconds)[len(signalled.seconds) // 2]:.2f}" if signalled.seconds else "-")
    lost = dict(signalled.lost)
    notes = [signalled.note]
    if one.recycling is None:
        cells += ["-", "-", "-"]
    else:
        words = one.recycling(max(100, requests // (times + 2)))
        again = Entry(entry.name, _with(entry, words), entry.kind, entry.needs)
        with again.start(plan.data, plan.scratch, plan.peers) as server:
            counted = by_count(server, requests, times)
        plan.progress.step(f"{entry.name}, round {turn + 1}: {counted.replaced} recycled, lost {counted.count}")
        cells += [f"{counted.answered:,}", str(counted.replaced), str(counted.count)]
        lost = {how: lost.get(how, 0) + counted.lost.get(how, 0) for how in {**lost, **counted.lost}}
        notes.append(counted.note)
    cells.append("; ".join(f"{count} {how}" for how, count in sorted(lost.items())) or "-")
    report.notes += [f"{entry.name}: {note}" for note in notes if note]
    return cells
