"""`tls`: what a request on a kept connection, a new connection and an idle one cost, beside uvicorn, granian, nginx."""

import resource
import ssl
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import handshakes, hosting, load
from benchmarks.catalogue import GRANIAN, UVICORN, Entry, Place, filled, peer
from benchmarks.handshakes import KINDS
from benchmarks.hosting import GRANIAN_NAME, GRANIAN_WORDS, OURS, PLAIN, UVICORN_NAME, UVICORN_WORDS
from benchmarks.load import HOSTING, Fields
from benchmarks.machine import tool
from benchmarks.plot import Kind
from benchmarks.processes import Server, ServerFailed
from benchmarks.report import Report, Table
from benchmarks.suites.measuring import WARMING
from benchmarks.suites.plan import Plan, in_turn
from benchmarks.summary import Spread, band, figure, spread

LEAD = """TLS 1.3, a certificate with a key of P-256, one process for each server, on one CPU, the load on the other.
*Kept*: constant JSON by wrk on 64 keep-alive connections, whose handshakes are in it; beside it the same without TLS.
*New*: connections that make a handshake, ask once, and close, eight at a time: how many of them a second of the
server's CPU makes, by handshakes in full and by those that a ticket resumes. *Idle*: what the server's own memory grows
by for a connection that has asked once. Medians of interleaved rounds, each with new processes. The application is the
same bare ASGI one for all; nginx returns the text itself."""

NGINX = "nginx"
AIMS = ((UVICORN_NAME, 0.6), (GRANIAN_NAME, 1.0))
NEW_AIM = 0.6
"""Of nginx's new connections a CPU-second."""
BEFORE = 200
"""Connections that are not counted: they take the room that the start has left in the heap."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, in files."""

    certificate: Path
    key: Path


@dataclass(slots=True)
class Found:
    """A value a round, by server: µs a request with TLS and without, connections a CPU-second by kind, bytes idle."""

    kept: dict[str, list[float]] = field(default_factory=dict)
    plain: dict[str, list[float]] = field(default_factory=dict)
    new: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    idle: dict[str, list[float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


def make_certificate(directory: Path) -> Pair:
    """A self-signed one. Raises LookupError without openssl."""
    openssl = tool("openssl")
    if openssl is None:
        raise LookupError("install openssl (Debian: apt-get install openssl)")
    made = Pair(directory / "certificate.pem", directory / "key.pem")
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    words += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = [openssl, *words, "-keyout", str(made.key), "-out", str(made.certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return made


def servers(pair: Pair) -> list[Entry]:
    """All of them, with TLS."""
    certificate, key = str(pair.certificate), str(pair.key)

    def nginx(place: Place) -> list[str]:
        directory = filled(place, "nginx-tls.conf", certificate=certificate, key=key)
        return [tool("nginx") or "nginx", "-p", str(directory), "-e", "stderr", "-c", str(directory / "nginx-tls.conf")]

    options = ("--interface", "asgi", "--tls-certificate", certificate, "--tls-key", key)
    uvicorn = (*UVICORN_WORDS, "--ssl-certfile", certificate, "--ssl-keyfile", key)
    granian = ("--interface", "asgi", "--loop", "uvloop", *GRANIAN_WORDS)
    granian += ("--ssl-certificate", certificate, "--ssl-keyfile", key)
    bare = {entry.name: entry for entry in hosting.asgi(hosting.APP)}
    made = [
        *hosting.ours_with(hosting.APP, *options),
        replace(bare[UVICORN_NAME], command=peer("uvicorn", hosting.APP, *uvicorn, bind=UVICORN)),
        replace(bare[GRANIAN_NAME], command=peer("granian", hosting.APP, *granian, bind=GRANIAN)),
        Entry(NGINX, nginx, Kind.REFERENCE, tool="nginx", install="nginx (Debian: apt-get install nginx-light)"),
    ]
    return [replace(entry, scheme="https") for entry in made]


def run(plan: Plan) -> Report:
    """Measure in rounds: each server with TLS, and without it the kept connections once more."""
    if tool("wrk") is None:
        raise LookupError(load.INSTALL_WRK)
    directory = plan.scratch / "tls"
    directory.mkdir()
    found = Found()
    entries = wanted(plan, servers(make_certificate(directory)), found)
    without = {entry.name: entry for entry in hosting.asgi(hosting.APP)}
    rounds, seconds, count = plan.rounds_or(5), plan.seconds_or(4.0, 0.4), plan.pick(1000, 100)
    plan.progress.expect(rounds * len(entries))
    for turn in range(rounds):
        for entry in in_turn(entries, turn):
            try:
                _measure(plan, found, entry, without.get(entry.name), seconds, count)
            except (ServerFailed, OSError) as failure:
                found.absent[entry.name] = str(failure)
            plan.progress.step(f"{entry.name}, round {turn + 1}")
    return make_report(found)


def wanted(plan: Plan, entries: Sequence[Entry], found: Found) -> list[Entry]:
    """Those that are there. A quick run goes without the compiled build, unless it is named."""
    chosen = [
        entry for entry in entries if plan.wants(entry.name) and (plan.only or not plan.quick or entry.name != OURS)
    ]
    if not chosen:
        raise LookupError(f"--only: no server here has such a name: {', '.join(entry.name for entry in entries)}")
    found.absent |= {entry.name: f"needs {missing}" for entry in chosen if (missing := entry.missing(plan.peers))}
    return [entry for entry in chosen if entry.name not in found.absent]


def _measure(plan: Plan, found: Found, entry: Entry, without: Entry | None, seconds: float, count: int) -> None:
    workload = HOSTING["json"]
    for one, costs in ((entry, found.kept), (without, found.plain)):
        if one is not None:
            with one.start(plan.data, plan.scratch, plan.peers) as server:
                load.verify(server, workload, Fields.REPEATED)
                load.run(server, workload, Fields.REPEATED, WARMING)
                outcome = load.run(server, workload, Fields.REPEATED, seconds)
                costs.setdefault(entry.name, []).append(outcome.cost)
    with entry.start(plan.data, plan.scratch, plan.peers) as server:
        for kind in KINDS:
            done = handshakes.load(server, kind, seconds)
            found.new.setdefault((kind, entry.name), []).append(done.count / done.cpu if done.cpu else 0.0)
    with entry.start(plan.data, plan.scratch, plan.peers) as server:
        found.idle.setdefault(entry.name, []).append(held(server, count))


def held(server: Server, count: int) -> float:
    """Bytes of memory for one more idle connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context, before = handshakes.context(), 0
    with ExitStack() as stack:
        for number in range(BEFORE + count):
            before = server.memory().own if number == BEFORE else before
            stack.enter_context(asked(server, context))
        return (server.memory().own - before) / count


def asked(server: Server, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A connection on which one request has been answered."""
    client = handshakes.opened(server.port, context)
    client.sendall(b"GET /constant?n=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    got = b""
    while b"hello" not in got:
        piece = client.recv(65536)
        if not piece:
            client.close()
            raise ServerFailed(f"closed after {got[:40]!r}")
        got += piece
    return client


# --- the report


def make_report(found: Found) -> Report:
    """The tables, and the aims as notes."""
    report = Report("tls", "TLS", LEAD)
    kept = {name: spread(values) for name, values in found.kept.items()}
    plain = {name: spread(values) for name, values in found.plain.items()}
    columns = ("server", "CPU µs", "rounds", "without TLS", "TLS ÷ without")
    table = Table("A request on a kept connection", columns)
    for name, cost in sorted(kept.items(), key=lambda one: one[1].median):
        bare = plain.get(name)
        cells = (figure(bare.median), f"{cost.median / bare.median:.2f}") if bare else ("", "")
        table.rows.append((name, figure(cost.median), band(cost), *cells))
    report.tables += [table, _new(found), _idle(found)]
    for ours in (OURS, PLAIN):
        report.notes += _verdicts(found, kept, ours)
    report.notes += [f"{name}: {reason}" for name, reason in found.absent.items()]
    return report


def _new(found: Found) -> Table:
    table = Table("New connections a second of CPU", ("server", "handshake", "a CPU-second", "rounds", "of nginx's"))
    for (kind, name), values in sorted(found.new.items()):
        each, theirs = spread(values), found.new.get((kind, NGINX))
        ratio = f"{each.median / spread(theirs).median:.2f}" if theirs and spread(theirs).median else ""
        table.rows.append((name, kind, f"{each.median:,.0f}", band(each), ratio))
    return table


def _idle(found: Found) -> Table:
    table = Table("Memory of an idle connection", ("server", "KiB", "rounds"))
    for name, values in found.idle.items():
        each = spread([value / 1024 for value in values])
        table.rows.append((name, f"{each.median:.1f}", band(each)))
    return table


def _verdicts(found: Found, kept: dict[str, Spread], ours: str) -> list[str]:
    notes = []
    for against, at_most in AIMS:
        if ours in kept and against in kept:
            ratio = kept[ours].median / kept[against].median
            notes.append(_verdict(ours, f"{ratio:.2f} of {against}'s CPU a request", f"{at_most}", ratio <= at_most))
    if ours in kept and NGINX in kept:
        notes.append(f"{ours}: {kept[ours].median / kept[NGINX].median:.2f} of nginx's CPU a request.")
    mine, theirs = found.new.get(("full", ours)), found.new.get(("full", NGINX))
    if mine and theirs:
        ratio = spread(mine).median / spread(theirs).median
        said = f"{ratio:.2f} of nginx's new connections a CPU-second"
        notes.append(_verdict(ours, said, f"{NEW_AIM} at least", ratio >= NEW_AIM))
    if ours in found.idle and UVICORN_NAME in found.idle:
        ratio = spread(found.idle[ours]).median / spread(found.idle[UVICORN_NAME]).median
        notes.append(_verdict(ours, f"{ratio:.2f} of {UVICORN_NAME}'s memory of an idle connection", "1.0", ratio <= 1))
    return notes


def _verdict(ours: str, said: str, aim: str, reached: bool) -> str:
    return f"{ours}: {said}; the aim is {aim}: {'reached' if reached else 'not reached'}."
