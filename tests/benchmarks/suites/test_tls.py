"""The report on TLS: aims, medians, and every server with the same certificate."""

from pathlib import Path

import pytest

from benchmarks import load
from benchmarks.catalogue import Entry
from benchmarks.environment import Peers
from benchmarks.hosting import GRANIAN_NAME, OURS, PLAIN, UVICORN_NAME
from benchmarks.load import HOSTING, Fields
from benchmarks.suites import tls
from benchmarks.suites.plan import Plan
from benchmarks.suites.tls import NGINX, Found

NAMES = [entry.name for entry in tls.servers(tls.Pair(Path("c"), Path("k")))]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Entry]:
    return {entry.name: entry for entry in tls.servers(tls.make_certificate(tmp_path_factory.mktemp("tls")))}


@pytest.mark.parametrize("name", [name for name in NAMES if name != OURS])
def test_each_server_gives_the_right_answer_over_tls(
    name: str, servers: dict[str, Entry], data: Path, tmp_path: Path, peers: Peers
) -> None:
    if missing := servers[name].missing(peers):
        pytest.skip(missing)
    with servers[name].start(data, tmp_path, peers) as server:
        load.verify(server, HOSTING["json"], Fields.REPEATED)
        assert tls.held(server, 20) >= 0


def test_the_aims_are_held_against_medians() -> None:
    found = Found(
        kept={OURS: [60.0, 90.0, 50.0], UVICORN_NAME: [100.0], GRANIAN_NAME: [50.0], NGINX: [30.0]},
        new={("full", OURS): [1300.0], ("full", NGINX): [2000.0]},
        idle={OURS: [2048.0], UVICORN_NAME: [4096.0]},
    )
    assert tls.make_report(found).notes == [
        f"{OURS}: 0.60 of uvicorn's CPU a request; the aim is 0.6: reached.",
        f"{OURS}: 1.20 of granian's CPU a request; the aim is 1.0: not reached.",
        f"{OURS}: 2.00 of nginx's CPU a request.",
        f"{OURS}: 0.65 of nginx's new connections a CPU-second; the aim is 0.6 at least: reached.",
        f"{OURS}: 0.50 of uvicorn's memory of an idle connection; the aim is 1.0: reached.",
    ]


def test_a_short_run_has_every_table(data: Path, tmp_path: Path, wrk: str) -> None:
    plan = Plan(data, tmp_path, Peers(tmp_path), quick=True, rounds=1, seconds=0.3)
    report = tls.run(plan)
    assert [PLAIN in {row[0] for row in table.rows} for table in report.tables] == [True, True, True]
    assert any(note.startswith("uvicorn: needs ") for note in report.notes)
