"""`databases`: an e-mail from PostgreSQL and from SQLite, ours against Starlette with the drivers that it is used with.

PostgreSQL is one of our own (benchmarks.cluster), on the load's CPU; its time is nobody's here.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg

from benchmarks import catalogue, work
from benchmarks.catalogue import Entry
from benchmarks.cluster import Cluster
from benchmarks.load import DATABASES, Fields
from benchmarks.machine import LOAD_CPU, pinned
from benchmarks.plot import Kind
from benchmarks.report import Report, Table
from benchmarks.suites.measuring import Case, Measured, measure
from benchmarks.suites.plan import Plan
from benchmarks.suites.servers import BOTH, settings_table, workload_plot, workload_table

LEAD = f"""`GET /emails/{{id}}` by 64 keep-alive connections: one row by its primary key, encoded as JSON. The same
statement for all, the same number of sessions ({work.SESSIONS}) with the same PostgreSQL over the loopback, the same
file of SQLite in WAL mode, read by threads. One process for each server, on one CPU; wrk
and PostgreSQL on the other. CPU is user and system time of the server's process tree for one completed request, without
PostgreSQL's; the spread is the lowest and highest of the rounds, which are interleaved, each with new processes.
*Fields repeated* and *varying* are as in [servers](servers.md)."""

AT_MOST = 0.6
"""Of the CPU a request of the better one of the others: what we set out to reach, with either database."""


def run(plan: Plan) -> Report:
    """Measure, and make the report: the aims, and a table and a plot for each database."""
    report = Report("databases", "Databases", LEAD)
    with _databases(plan.scratch) as places:
        entries = [_placed(entry, places) for entry in catalogue.choose(plan.only, catalogue.DATABASES)]
        found = measure(plan, entries, tuple(DATABASES), BOTH, plan.rounds_or(5), plan.seconds_or(2.0, 0.4))
    report.tables.append(aims_table(found))
    for workload in DATABASES:
        names = [entry.name for entry in entries if workload in entry.workloads]
        table = workload_table(found, names, workload, ours_for(workload)[0])
        if table.rows:
            report.tables.append(table)
            report.plots[f"databases-{workload}"] = workload_plot(found, names, workload)
    report.tables.append(settings_table(found, [entry.name for entry in entries]))
    own, others = ([entry.name for entry in entries if _is_ours(entry) is ours] for ours in (True, False))
    report.ratios = found.ratios(own, others, tuple(DATABASES), BOTH)
    return report


def ours_for(workload: str) -> list[str]:
    """The names of ours under that workload, plain Python first."""
    return [entry.name for entry in catalogue.DATABASES if _is_ours(entry) and workload in entry.workloads]


def _is_ours(entry: Entry) -> bool:
    return entry.kind is Kind.OURS


def aims_table(found: Measured) -> Table:
    """Ours against the better one of the others that were measured."""
    columns = ("ours", "fields", "CPU µs", "the better one", "its CPU µs", "at most", "ratio", "reached")
    table = Table("Aims", columns, left=frozenset({"fields", "the better one", "reached"}))
    for workload in DATABASES:
        for kind in BOTH:
            for name in ours_for(workload):
                better, ours = _better(found, workload, kind), found.cost(Case(name, workload, kind))
                if better is None or ours is None:
                    continue
                other, cost = better
                ratio = ours.median / cost
                reached = "yes" if ratio <= AT_MOST else "no"
                figures = (f"{cost:.1f}", f"{AT_MOST:.2f}", f"{ratio:.2f}", reached)
                table.rows.append((name, kind, f"{ours.median:.1f}", other, *figures))
    return table


def _better(found: Measured, workload: str, kind: Fields) -> tuple[str, float] | None:
    """The one of the others that takes the least CPU a request, and how much."""
    costs = {
        entry.name: cost.median
        for entry in catalogue.DATABASES
        if not _is_ours(entry) and (cost := found.cost(Case(entry.name, workload, kind))) is not None
    }
    return min(costs.items(), key=lambda named: named[1]) if costs else None


def _placed(entry: Entry, places: dict[str, str]) -> Entry:
    """`entry`, told where its database is."""
    (workload,) = entry.workloads
    return replace(entry, environment={work.DATABASE: places[workload]})


@contextmanager
def _databases(directory: Path) -> Iterator[dict[str, str]]:
    """Both databases, filled: by workload, where each is."""
    path = directory / "databases.sqlite"
    fill_sqlite(path)
    with postgres() as url:
        yield {"postgres": url, "sqlite-threads": str(path)}


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL with the rows, on the load's CPU: where it is."""
    with pinned(LOAD_CPU):
        cluster = Cluster(shared_buffers="64MB")
    try:
        _fill_postgres(cluster.url())
        yield cluster.url()
    finally:
        cluster.close()


def fill_sqlite(path: Path) -> None:
    """Make SQLite's file, with the rows."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(f"CREATE TABLE emails ({work.COLUMNS[0]} INTEGER PRIMARY KEY, {', '.join(work.COLUMNS[1:])})")
    database.executemany("INSERT INTO emails VALUES (?, ?, ?, ?, ?)", work.rows())
    database.commit()
    database.close()


def _fill_postgres(url: str) -> None:
    with psycopg.connect(url) as connection:
        texts = ", ".join(f"{column} text NOT NULL" for column in work.COLUMNS[1:])
        connection.execute(f"CREATE TABLE emails ({work.COLUMNS[0]} integer PRIMARY KEY, {texts})")
        connection.cursor().executemany("INSERT INTO emails VALUES (%s, %s, %s, %s, %s)", work.rows())
        connection.execute("ANALYZE emails")
