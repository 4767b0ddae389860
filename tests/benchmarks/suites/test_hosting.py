"""The report on other people's applications: aims are ratios of medians, and a short run has every row."""

from pathlib import Path

import pytest

from benchmarks.environment import Peers
from benchmarks.hosting import OURS, PLAIN, UVICORN_NAME
from benchmarks.suites import hosting
from benchmarks.suites.hosting import LOOKED_AT, XRAY, Found
from benchmarks.suites.plan import Plan


@pytest.mark.parametrize(("ours", "ratio", "reached"), [(55.0, "0.55", "yes"), (56.0, "0.56", "no")])
def test_an_aim_is_held_against_the_median(ours: float, ratio: str, reached: str) -> None:
    found = Found()
    for name, cost in ((OURS, ours), (UVICORN_NAME, 100.0)):
        found.costs["json", "json", name] = [cost, cost * 3, cost / 3]
        found.rates["json", "json", name] = [1000.0]
    [row] = hosting.aims_table(found).rows
    assert row == ("bare ASGI", "constant JSON", OURS, UVICORN_NAME, "0.55", ratio, reached)


def test_the_page_has_memory_beside_uvicorn_s_and_the_price_of_looking() -> None:
    found = Found(xray={XRAY[0]: [95.0], XRAY[1]: [100.0], LOOKED_AT: [101.0]}, absent={"granian": "not installed"})
    for name, size in ((PLAIN, 1024.0), (UVICORN_NAME, 2048.0)):
        found.memory["idle WebSocket", name] = [size]
    report = hosting.make_report(found)
    memory, xray = report.tables[:2]
    assert [row[4] for row in memory.rows] == ["0.50", "1.00"]
    assert [row[-1] for row in xray.rows] == ["", "yes", "no"]
    assert report.notes == ["granian: not installed"]


def test_a_short_run_measures_ours_with_and_without_the_x_ray(data: Path, tmp_path: Path, wrk: str) -> None:
    plan = Plan(data, tmp_path, Peers(tmp_path), quick=True, rounds=1, seconds=0.2, only=("wsgi", "websocket", "xray"))
    report = hosting.run(plan)
    titles = [table.title for table in report.tables]
    assert "bare WSGI: constant JSON" in titles
    assert "WebSocket echo: messages of 65,536 bytes" in titles
    assert [row[0] for row in report.tables[titles.index("The x-ray, constant JSON")].rows] == list(XRAY)
    assert any("uvicorn: not installed" in note for note in report.notes)
    looks = next(table for table in report.tables if table.title.startswith("A look at 300 requests"))
    assert [row[0] for row in looks.rows] == list(hosting.LOOK_AIMS)
