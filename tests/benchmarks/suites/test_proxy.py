"""The suite `proxy`: every proxy hands the upstream's answers on, slow readers are measured, and the report says it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import load, machine, proxies
from benchmarks.environment import Peers
from benchmarks.load import WORKLOADS, Fields, Outcome
from benchmarks.processes import Server
from benchmarks.proxies import AIOHTTP, HAPROXY, NGINX, OURS, STARLETTE, UPSTREAM
from benchmarks.suites import proxy
from benchmarks.suites.measuring import Case, Measured

NAMES = (OURS, NGINX, HAPROXY, AIOHTTP, STARLETTE)


@pytest.fixture(scope="module")
def upstream(data: Path, tmp_path_factory: pytest.TempPathFactory, peers: Peers) -> Iterator[Server]:
    """What is asked."""
    if missing := UPSTREAM.missing(peers):
        pytest.skip(f"the upstream is not installed: {missing}")
    with UPSTREAM.start(data, tmp_path_factory.mktemp("upstream"), peers, machine.LOAD_CPU) as server:
        yield server


@pytest.mark.parametrize("name", NAMES)
def test_a_proxy_hands_the_right_answers_on(
    name: str, upstream: Server, data: Path, tmp_path: Path, peers: Peers
) -> None:
    (entry,) = [entry for entry in proxies.entries(upstream.port) if entry.name == name]
    if missing := entry.missing(peers):
        pytest.skip(f"{name} is not installed: {missing}")
    with entry.start(data, tmp_path, peers) as server:
        for fields in Fields:
            load.verify(server, WORKLOADS["constant"], fields)
        load.verify(server, WORKLOADS["large-file"], Fields.REPEATED)


def test_slow_readers_take_what_they_are_to_and_memory_is_seen(
    upstream: Server, data: Path, tmp_path: Path, peers: Peers
) -> None:
    entry = proxies.entries(upstream.port)[0]
    with entry.start(data, tmp_path, peers) as server:
        held, taken = proxy.slow_readers(server, 2, 1 << 20)
    assert 2 << 20 <= taken < (2 << 20) + 2 * proxy.PIECE
    assert 0 <= held < 100 << 20


def found_for(**costs: float) -> Measured:
    found = Measured()
    for name, cost in costs.items():
        for fields in Fields:
            outcomes = [Outcome(1000, 1.0, 200_000, 0.001, 0.002, {}, cpu=cost * each / 1000) for each in (1, 3, 1.1)]
            found.outcomes[Case(name.replace("_", " + "), "constant", fields)] = outcomes
    return found


def test_the_report_holds_ours_against_the_others_by_medians() -> None:
    found = found_for(Clerestory=40.0, nginx=10.0, HAProxy=20.0, aiohttp=150.0)
    found.absent[STARLETTE] = "not installed"
    report = proxy.make_report(proxies.entries(1), found, {OURS: (8 << 20, 80 << 20), NGINX: (1 << 20, 80 << 20)})
    text = report.text()
    aims, cpu, memory, who = report.tables
    assert [row[1:] for row in aims.rows] == [
        (OURS, NGINX, "5.00", "4.00", "yes"),
        (OURS, HAPROXY, "", "2.00", ""),
        (OURS, AIOHTTP, "0.25", "0.27", "no"),
        (OURS, "itself", "1.00 MiB", "1.00 MiB", "yes"),
    ]
    assert [row[0] for row in cpu.rows][::2] == [NGINX, HAPROXY, OURS, AIOHTTP]
    assert memory.rows[0] == (NGINX, "10.0 MiB", "1.00 MiB", "128 KiB")
    assert "not installed" in text
    assert len(who.rows) == len(NAMES) + 1, "ours is there compiled, too"
    assert "<svg" in report.plots["proxy"]


def test_a_bar_that_would_leave_no_room_for_the_others_is_not_drawn() -> None:
    report = proxy.make_report(proxies.entries(1), found_for(Clerestory=40.0, nginx=10.0, aiohttp=5000.0), {})
    assert "aiohttp" not in report.plots["proxy"]
    assert [note.split(" ")[0] for note in report.notes] == ["aiohttp"]
    assert AIOHTTP in [row[0] for row in report.tables[1].rows]
