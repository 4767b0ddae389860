"""`hosting`: other people's applications under ours, uvicorn, granian, gunicorn and waitress: CPU, memory, the x-ray.

Rounds are interleaved; each is a process of its own. An aim is a ratio of medians.
"""

import http.client
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks import crowds, hosting, load, work, ws
from benchmarks.catalogue import Entry
from benchmarks.hosting import FRAMEWORKS, GRANIAN_NAME, GTHREAD, OURS, PLAIN, UVICORN_NAME, WAITRESS
from benchmarks.load import EVERY, Fields, Workload
from benchmarks.machine import tool
from benchmarks.processes import Server, ServerFailed
from benchmarks.report import Report, Table
from benchmarks.suites.databases import postgres
from benchmarks.suites.measuring import WARMING
from benchmarks.suites.plan import Plan, in_turn
from benchmarks.summary import band, duration, figure, spread
from clerestory.server.xray.serve import runtime

LEAD = """One process for each server, on one CPU, the load on the other; 64 keep-alive connections. CPU is user and
system time of the whole process tree for a completed request, or for a message that came back; medians of rounds that
are interleaved, each with new processes. Memory is what the tree's own memory grew by, divided by how many were
opened. The applications are the same for all servers (`benchmarks/peers/hosting.py`, `frameworks.py`, `wsgi.py`).
*Clerestory compiled* is the released build; *Clerestory* the same in plain Python."""

SIZES = {"ws-100": 100, "ws-64k": 64 * 1024}
"""Bytes of a WebSocket's message."""
MEMORY = {"idle WebSocket": "websocket", "event stream": "stream", "waiting task": "task"}
LOOKED_AT = "x-ray, looked at"
XRAY = ("x-ray off", "x-ray on", LOOKED_AT)
LOOKING = 1.0
"""Seconds between two looks: those of the page."""
XRAY_AIM = 0.95
LOOKS = 10
LOOK_AIMS = {"CPU of a look": 0.1, "the loop's longest pause": 0.005}
"""Seconds, with ten thousand requests that wait."""


@dataclass(frozen=True, slots=True)
class Part:
    """Servers of one application, and the workloads that they take."""

    name: str
    title: str
    entries: Callable[[], list[Entry]]
    workloads: tuple[str, ...]
    aims: tuple[tuple[str, float], ...]
    """At most this part of the other's CPU."""


def _bare() -> list[Entry]:
    return hosting.asgi(hosting.APP)


def _starlette() -> list[Entry]:
    return hosting.asgi(f"{FRAMEWORKS}:starlette", "starlette")


def _fastapi() -> list[Entry]:
    return hosting.asgi(f"{FRAMEWORKS}:fastapi", "fastapi")


def _asyncpg() -> list[Entry]:
    return hosting.asgi(f"{FRAMEWORKS}:fastapi_asyncpg", "fastapi", "asyncpg")


PARTS = (
    Part("json", "bare ASGI", _bare, ("json",), ((UVICORN_NAME, 0.55), (GRANIAN_NAME, 0.85))),
    Part("body", "bare ASGI", _bare, ("post-1k", "post-1m", "stream"), ((UVICORN_NAME, 0.7),)),
    Part("starlette", "Starlette", _starlette, ("item",), ((UVICORN_NAME, 0.8),)),
    Part("fastapi", "FastAPI", _fastapi, ("item",), ((UVICORN_NAME, 0.8),)),
    Part("asyncpg", "FastAPI, asyncpg", _asyncpg, ("row",), ((UVICORN_NAME, 0.85),)),
    Part("wsgi", "bare WSGI", hosting.wsgi, ("json",), ((GTHREAD, 0.35), (WAITRESS, 0.5))),
    Part("websocket", "WebSocket echo", _bare, tuple(SIZES), ((UVICORN_NAME, 0.8),)),
)

Key = tuple[str, str, str]
"""A part, a workload, a server."""


@dataclass(slots=True)
class Found:
    """A value a round: µs of CPU for a request, bytes for one that waits; and why a value is missing."""

    costs: dict[Key, list[float]] = field(default_factory=dict)
    rates: dict[Key, list[float]] = field(default_factory=dict)
    memory: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    xray: dict[str, list[float]] = field(default_factory=dict)
    looks: dict[str, list[float]] = field(default_factory=dict)
    crowd: int = 0
    """Requests that were looked at."""
    absent: dict[str, str] = field(default_factory=dict)


def run(plan: Plan) -> Report:
    """Measure each part in rounds, then memory and the x-ray. `--only` names parts, `memory`, `xray`, or servers."""
    if tool("wrk") is None:
        raise LookupError(load.INSTALL_WRK)
    found = Found()
    rounds, seconds = plan.rounds_or(5), plan.seconds_or(2.0, 0.4)
    named = [part for part in PARTS if plan.only and any(word in part.name for word in plan.only)]
    others = [what for what in ("memory", "xray") if what in plan.only]
    parts = named or ([] if others else list(PARTS))
    for part in parts:
        _measure_part(plan, found, part, rounds, seconds)
    if not named or "memory" in others:
        _measure_memory(plan, found, plan.rounds_or(3), plan.pick(1000, 100))
    if not named or "xray" in others:
        _measure_xray(plan, found, plan.rounds_or(9), plan.seconds_or(3.0, 0.4))
        _measure_looks(plan, found, plan.pick(10_000, 300))
    return make_report(found)


def _wanted(plan: Plan, entries: Sequence[Entry], found: Found) -> list[Entry]:
    """Those that are there. A quick run goes without the compiled build, which takes minutes to make at first."""
    servers = [word for word in plan.only if any(word.lower() in entry.name.lower() for entry in entries)]
    wanted = []
    for entry in entries:
        if servers and not any(word.lower() in entry.name.lower() for word in servers):
            continue
        if plan.quick and entry.build.compiled and not servers:
            continue
        if missing := entry.missing(plan.peers):
            found.absent[entry.name] = f"not installed; needs {missing}"
        else:
            wanted.append(entry)
    return wanted


def _measure_part(plan: Plan, found: Found, part: Part, rounds: int, seconds: float) -> None:
    with _placed(part) as surroundings:
        entries = [replace(entry, environment=surroundings) for entry in _wanted(plan, part.entries(), found)]
        plan.progress.expect(rounds * len(entries) * len(part.workloads))
        for turn in range(rounds):
            for entry in in_turn(entries, turn):
                try:
                    with entry.start(plan.data, plan.scratch, plan.peers) as server:
                        for name in part.workloads:
                            cost, rate = _cost(server, name, seconds, first=not turn)
                            found.costs.setdefault((part.name, name, entry.name), []).append(cost)
                            found.rates.setdefault((part.name, name, entry.name), []).append(rate)
                            plan.progress.step(f"{part.title}, {name}: {entry.name}: {figure(cost)} µs")
                except (ServerFailed, OSError) as failure:
                    found.absent[f"{entry.name}, {part.name}"] = str(failure)
                    plan.progress.step(f"{entry.name}: {failure}")


@contextmanager
def _placed(part: Part) -> Iterator[dict[str, str]]:
    """The environment that an application needs: where its database is."""
    if part.name != "asyncpg":
        yield {}
        return
    with postgres() as url:
        yield {work.DATABASE: url}


def _cost(server: Server, name: str, seconds: float, *, first: bool) -> tuple[float, float]:
    """µs of CPU for a request or message, and how many a second."""
    if name in SIZES:
        ws.load(server, SIZES[name], WARMING)
        echoed = ws.load(server, SIZES[name], seconds)
        return echoed.cost, echoed.rate
    workload: Workload = EVERY[name]
    if first:
        load.verify(server, workload, Fields.REPEATED)
    load.run(server, workload, Fields.REPEATED, WARMING)
    outcome = load.run(server, workload, Fields.REPEATED, seconds)
    if outcome.errors:
        raise ServerFailed(f"{name}: errors {outcome.errors}")
    return outcome.cost, outcome.rate


def _measure_memory(plan: Plan, found: Found, rounds: int, count: int) -> None:
    entries = _wanted(plan, hosting.asgi(hosting.APP), found)
    plan.progress.expect(rounds * len(entries) * len(MEMORY))
    for turn in range(rounds):
        for entry in in_turn(entries, turn):
            for name, kind in MEMORY.items():
                try:
                    with entry.start(plan.data, plan.scratch, plan.peers) as server:
                        each = crowds.held(server, kind, count)
                    found.memory.setdefault((name, entry.name), []).append(each)
                    plan.progress.step(f"{entry.name}, {name}: {each / 1024:.1f} KiB")
                except (ServerFailed, OSError) as failure:
                    found.absent[f"{entry.name}, {name}"] = str(failure)
                    plan.progress.step(f"{entry.name}: {failure}")


# --- the x-ray, off and on


def _measure_xray(plan: Plan, found: Found, rounds: int, seconds: float) -> None:
    """The same server without its x-ray, with it, and with somebody who looks."""
    name = PLAIN if plan.quick else OURS
    off, on = (
        next(entry for entry in hosting.ours_with(hosting.APP, *words, xray=xray) if entry.name == name)
        for xray, words in ((False, ()), (True, ("--xray", "127.0.0.1:0")))
    )
    if missing := off.missing(plan.peers):
        found.absent["x-ray"] = f"needs {missing}"
        return
    plan.progress.expect(rounds * len(XRAY))
    for turn in range(rounds):
        for row in in_turn(XRAY, turn):
            with (
                (off if row == XRAY[0] else on).start(plan.data, plan.scratch, plan.peers) as server,
                looking(server) if row == LOOKED_AT else nullcontext(),
            ):
                cost, _ = _cost(server, "json", seconds, first=False)
            found.xray.setdefault(row, []).append(cost)
            plan.progress.step(f"{row}: {figure(cost)} µs")


def _xray_of(server: Server) -> Callable[[], Any]:
    """What asks the server's x-ray for its whole table, and hands it back. Raises ServerFailed if it has no x-ray."""
    there = next((one for one in runtime.find() if one.pid == server.process.pid), None)
    if there is None:
        raise ServerFailed("its x-ray is not found")
    address, token = there.url.removeprefix("http://").rstrip("/"), there.token

    def look() -> Any:
        connection = http.client.HTTPConnection(address, timeout=60)
        connection.request("GET", "/snapshot.json", headers={"authorization": f"Bearer {token}"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    return look


@contextmanager
def looking(server: Server) -> Iterator[None]:
    """Somebody looks once a second meanwhile."""
    look, over = _xray_of(server), threading.Event()

    def again() -> None:
        look()
        while not over.wait(LOOKING):
            look()

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _measure_looks(plan: Plan, found: Found, count: int) -> None:
    """What it costs to look at so many requests that wait in the application, each told to its line."""
    name = PLAIN if plan.quick else OURS
    entries = hosting.ours_with(hosting.APP, "--xray", "127.0.0.1:0", "--max-connections", str(count + 100), xray=True)
    entry = next(entry for entry in entries if entry.name == name)
    if entry.missing(plan.peers):
        return
    try:
        with entry.start(plan.data, plan.scratch, plan.peers) as server, crowds.waiting(server, "task", count):
            look = _xray_of(server)
            look()
            for _ in range(LOOKS):
                before = server.cpu_seconds()
                seen = look()
                found.looks.setdefault("CPU of a look", []).append(server.cpu_seconds() - before)
                found.looks.setdefault("the loop's longest pause", []).append(seen["loop"]["pause"])
            found.crowd = count
    except (ServerFailed, OSError) as failure:
        found.absent["looks"] = str(failure)
    plan.progress.say(f"{count:,} requests that wait were looked at")


# --- the report


def make_report(found: Found) -> Report:
    """The aims first, then each part."""
    report = Report("hosting", "Other people's applications", LEAD)
    report.tables = [
        table
        for table in (aims_table(found), *_parts(found), _memory(found), _xray(found), _looks(found))
        if table.rows
    ]
    report.notes = [f"{name}: {reason}" for name, reason in found.absent.items()]
    settings = Table("Who took part", ("server", "settings"), left=frozenset({"settings"}))
    entries = {entry.name: entry.settings for part in PARTS for entry in part.entries()}
    settings.rows += list(entries.items())
    report.tables.append(settings)
    return report


def aims_table(found: Found) -> Table:
    """Each aim of which both sides were measured."""
    columns = ("application", "workload", "ours", "against", "at most", "found", "reached")
    table = Table("Aims, CPU a request", columns, left=frozenset(columns) - {"at most", "found"})
    for part in PARTS:
        for name in part.workloads:
            for ours in (OURS, PLAIN):
                for against, at_most in part.aims:
                    ratio = _ratio(
                        found.costs.get((part.name, name, ours)), found.costs.get((part.name, name, against))
                    )
                    if ratio is not None:
                        row = (part.title, _title(name), ours, against, f"{at_most:.2f}", f"{ratio:.2f}")
                        table.rows.append((*row, "yes" if ratio <= at_most else "no"))
    return table


def _ratio(ours: list[float] | None, theirs: list[float] | None) -> float | None:
    return spread(ours).median / spread(theirs).median if ours and theirs and spread(theirs).median else None


def _title(name: str) -> str:
    return f"messages of {SIZES[name]:,} bytes" if name in SIZES else EVERY[name].title


def _parts(found: Found) -> Iterator[Table]:
    for part in PARTS:
        for name in part.workloads:
            table = Table(f"{part.title}: {_title(name)}", ("server", "CPU µs", "rounds", "ours ÷ it", "a second"))
            rows = {
                server: costs
                for (of, work_of, server), costs in found.costs.items()
                if (of, work_of) == (part.name, name)
            }
            ours = rows.get(OURS) or rows.get(PLAIN)
            for server, costs in sorted(rows.items(), key=lambda row: spread(row[1]).median):
                ratio = _ratio(ours, costs)
                rate = f"{spread(found.rates[part.name, name, server]).median:,.0f}"
                cost = spread(costs)
                table.rows.append((server, figure(cost.median), band(cost), f"{ratio:.2f}" if ratio else "", rate))
            yield table


def _memory(found: Found) -> Table:
    table = Table(
        "Memory of what waits; the aim is uvicorn's at most", ("server", "of", "KiB", "rounds", "of uvicorn's")
    )
    for (name, server), sizes in found.memory.items():
        each = spread([size / 1024 for size in sizes])
        ratio = _ratio(sizes, found.memory.get((name, UVICORN_NAME)))
        table.rows.append((server, name, f"{each.median:.1f}", band(each), f"{ratio:.2f}" if ratio else ""))
    table.rows.sort(key=lambda row: row[1])
    return table


def _xray(found: Found) -> Table:
    table = Table("The x-ray, constant JSON", ("switched", "CPU µs", "rounds", "off ÷ it", "at least", "reached"))
    for row in XRAY:
        if row in found.xray:
            cost, ratio = spread(found.xray[row]), _ratio(found.xray.get(XRAY[0]), found.xray[row])
            held = f"{ratio:.2f}" if ratio is not None else ""
            aim = (f"{XRAY_AIM:.2f}", "yes" if ratio and ratio >= XRAY_AIM else "no") if row != XRAY[0] else ("", "")
            table.rows.append((row, figure(cost.median), band(cost), held, *aim))
    return table


def _looks(found: Found) -> Table:
    title = f"A look at {found.crowd:,} requests that wait in the application"
    table = Table(title, ("what", "median", "slowest", "at most", "reached"))
    for name, seconds in found.looks.items():
        median, aim = spread(seconds).median, LOOK_AIMS[name]
        cells = (duration(median), duration(max(seconds)), duration(aim))
        table.rows.append((name, *cells, "yes" if median <= aim else "no"))
    return table
