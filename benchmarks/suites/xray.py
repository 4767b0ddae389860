"""`xray`: what looking costs while ten thousand connections are open: those who look, and those who are served beside.

A server holds idle connections, each of which has made one request; the x-ray is asked over HTTP, as its page and
`ps` do. What a client beside feels is measured by one that asks again and again, alone and while others look.
"""

import http.client
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.catalogue import Place, ours
from benchmarks.idle import crowd
from benchmarks.machine import LOAD_CPU, pinned, tool
from benchmarks.processes import ROOT, Server, free_port
from benchmarks.report import Report, Table
from benchmarks.suites.plan import Plan
from benchmarks.summary import duration
from clerestory.server.xray.serve import runtime

LEAD = """The x-ray of a server with {size:,} idle connections. A snapshot's time is that of `GET /snapshot.json`, from
the request's first byte to the answer's last; the pause is what the loop itself measures, standing still while it is
copied. `ps` is a process, its start included. The page's share is the server's CPU with the page open in Chromium,
less that of the same server without."""

SIZE, QUICK = 10_000, 1_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
AIMS = {"snapshot": 0.060, "pause": 0.005, "ps": 1.0, "page": 0.10}
"""Seconds, and a share of a core: what the median of each is to stay below."""

PAUSE = 0.02
"""Seconds between two looks, or two requests beside."""


@dataclass(slots=True)
class Found:
    """Seconds of each look, by what was asked; shares of a core with the page open; and what could not be had."""

    size: int = SIZE
    times: dict[str, list[float]] = field(default_factory=dict)
    page: list[float] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


def run(plan: Plan) -> Report:
    """Measure all of it on one server."""
    found = Found(plan.pick(SIZE, QUICK))
    xray = free_port()
    place = Place(free_port(), plan.data, plan.scratch, plan.peers)
    command = ours("--parser", "auto", "--no-access-log", "--xray", f"127.0.0.1:{xray}")(place)
    with Server(command, place.port, plan.scratch / f"{place.port}.log") as server, crowd(place.port) as idle:
        idle.grow_to(found.size)
        looks = plan.pick(200, 20)
        plan.progress.expect(5)
        found.times["beside, alone"] = beside(place.port, lambda: time.sleep(looks * PAUSE))
        plan.progress.step("a client beside, while nobody looks")
        found.times["beside, looked at"] = beside(place.port, lambda: look(xray, looks, found))
        plan.progress.step("snapshots, and a client beside")
        before = server.cpu_seconds()
        look(xray, looks, Found())
        found.times["snapshot's CPU"] = [(server.cpu_seconds() - before) / looks]
        plan.progress.step("snapshots, and nothing else")
        for _ in range(plan.pick(15, 3)):
            listed(xray, found)
        plan.progress.step("ps")
        page_share(server, xray, plan.rounds_or(5), plan.seconds_or(4.0, 1.0), found)
        plan.progress.step("the page")
    return make_report(found)


def look(xray: int, looks: int, found: Found) -> None:
    """Ask for snapshots."""
    connection = http.client.HTTPConnection("127.0.0.1", xray, timeout=30)
    head = {"authorization": f"Bearer {token_of(xray)}"}
    for _ in range(looks):
        taken, data = asked(connection, "/snapshot.json", head)
        found.times.setdefault("snapshot", []).append(taken)
        found.times.setdefault("pause", []).append(json.loads(data)["loop"]["pause"])
        time.sleep(PAUSE)
    connection.close()


def token_of(xray: int) -> str:
    """The token of the x-ray on that port."""
    return next(one.token for one in runtime.find() if one.url == f"http://127.0.0.1:{xray}/")


def asked(
    connection: http.client.HTTPConnection, target: str, head: dict[str, str] | None = None
) -> tuple[float, bytes]:
    """How long an answer took, and what it is. Raises LookupError when it is none."""
    begun = time.perf_counter()
    connection.request("GET", target, headers=head or {})
    answer = connection.getresponse()
    data = answer.read()
    if answer.status != 200:
        raise LookupError(f"{target} was answered with {answer.status}")
    return time.perf_counter() - begun, data


def beside(port: int, meanwhile: Callable[[], None]) -> list[float]:
    """How long a client's requests take while something else is done."""
    done = threading.Event()
    times: list[float] = []

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while not done.is_set():
            times.append(asked(connection, "/constant?n=1")[0])
            time.sleep(PAUSE / 10)
        connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        meanwhile()
    finally:
        done.set()
        thread.join()
    return times


def listed(xray: int, found: Found) -> None:
    """How long `ps` takes to print a line for each, and how much CPU of that is its own."""
    command = [sys.executable, "-m", "clerestory", "ps", "--xray", f"127.0.0.1:{xray}"]
    spent, begun = own_children(), time.perf_counter()
    with pinned(LOAD_CPU):
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True, timeout=60)
    found.times.setdefault("ps", []).append(time.perf_counter() - begun)
    found.times.setdefault("ps's CPU", []).append(own_children() - spent)


def own_children() -> float:
    """CPU seconds of the processes that we have waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def page_share(server: Server, xray: int, rounds: int, seconds: float, found: Found) -> None:
    """How much of a core the server uses for the page, open in a browser."""
    try:
        from playwright.sync_api import sync_playwright  # of the test extra: the rest goes without
    except ImportError:
        found.absent.append("The page was not measured: pip install 'clerestory[test]' brings what drives a browser.")
        return
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(tool, BROWSERS)), None)
    if browser is None:
        found.absent.append("The page was not measured: install Chromium (Debian: apt-get install chromium).")
        return
    for _ in range(rounds):
        without = share(server, seconds)
        with pinned(LOAD_CPU), sync_playwright() as driver:
            opened = driver.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
            page = opened.new_page(viewport={"width": 1440, "height": 900})
            page.goto(f"http://127.0.0.1:{xray}/")
            page.get_by_label("Token").fill(token_of(xray))
            page.keyboard.press("Enter")
            page.wait_for_selector("#link[data-link=live]")
            page.wait_for_selector(".line[data-kind=row]")
            found.page.append(share(server, seconds) - without)
            opened.close()


def share(server: Server, seconds: float) -> float:
    """How much of a core a server uses."""
    before, begun = server.cpu_seconds(), time.perf_counter()
    time.sleep(seconds)
    return (server.cpu_seconds() - before) / (time.perf_counter() - begun)


# --- the report

ROWS = (
    ("a snapshot", "snapshot"),
    ("CPU of the server for it", "snapshot's CPU"),
    ("the loop's pause for it", "pause"),
    ("`ps`", "ps"),
    ("CPU of `ps` itself", "ps's CPU"),
    ("a client beside, nobody looks", "beside, alone"),
    ("a client beside, 20 looks a second and more", "beside, looked at"),
)


def make_report(found: Found) -> Report:
    """The tables, and whether the aims were reached."""
    report = Report("xray", "What looking costs", LEAD.format(size=found.size))
    table = Table(f"{found.size:,} connections", ("what", "median", "of 100 the slowest", "slowest", "number", "aim"))
    for title, name in ROWS:
        times = sorted(found.times.get(name, []))
        if times:
            aim = duration(AIMS[name]) if name in AIMS else ""
            spots = (times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)], times[-1])
            table.rows.append((title, *map(duration, spots), str(len(times)), aim))
    shares = sorted(found.page)
    if shares:
        spots = (shares[len(shares) // 2], shares[-1], shares[-1])
        table.rows.append(
            ("the page, of a core", *(f"{one:.1%}" for one in spots), str(len(shares)), f"{AIMS['page']:.0%}")
        )
    report.tables.append(table)
    report.notes += [verdict(name, sorted(found.times[name])) for name in AIMS if name in found.times]
    if shares:
        report.notes.append(verdict("page", shares))
    report.notes += found.absent
    return report


def verdict(name: str, values: list[float]) -> str:
    """Whether the median keeps to its aim."""
    median = values[len(values) // 2]
    shown, aim = (f"{median:.1%}", f"{AIMS[name]:.0%}") if name == "page" else map(duration, (median, AIMS[name]))
    return f"{name}: {shown}; the aim is {aim}: {'reached' if median <= AIMS[name] else 'not reached'}."
