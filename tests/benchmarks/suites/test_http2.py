"""The report on HTTP/2: medians, ratios, aims, and who was not there."""

from benchmarks import catalogue
from benchmarks.environment import Peers
from benchmarks.suites.http2 import HYPERCORN, Found, make_report

ENTRIES = list(catalogue.HTTP2)
OURS = "Clerestory, router"


def measured(cost: float) -> dict[str, list[float]]:
    times = {"alone p50": 0.001, "alone p99": 0.002, "beside p50": 0.002, "beside p99": 0.005}
    return {
        "cost": [cost, cost + 50, cost - 50],
        **{name: [seconds] for name, seconds in times.items()},
        "connection": [2048.0],
        "stream": [1024.0],
    }


def report_of(found: Found) -> str:
    absent = {entry.name: "is not installed" for entry in ENTRIES if entry.name not in found}
    whole = {entry.name: found.get(entry.name, {}) for entry in ENTRIES}
    return make_report(whole, absent, ENTRIES, 1000, 100).text()


def test_costs_are_medians_beside_hypercorn_s() -> None:
    text = report_of({OURS: measured(100.0), HYPERCORN: measured(400.0)})
    assert f"{OURS}: 0.25 of hypercorn's CPU a request; the aim is 0.5 at most." in text
    assert f"{OURS}: p99 beside downloads 2.5 times alone; the aim is 3.0 at most." in text
    assert "1,000 connections with 100 streams each" in text
    assert "2.0 KiB" in text
    assert "is not installed" in text


def test_without_hypercorn_there_is_no_ratio() -> None:
    text = report_of({OURS: measured(100.0)})
    assert "of hypercorn's CPU" not in text
    assert "p99 beside downloads" in text


def test_granian_speaks_http_2() -> None:
    (entry,) = [entry for entry in ENTRIES if entry.name.startswith("granian")]
    words = entry.command(catalogue.Place(1, catalogue.HERE, catalogue.HERE, Peers()))
    assert words[words.index("--http") + 1] == "2"
    assert words[words.index("--workers") + 1] == "1"
