"""The suite of the x-ray: its report, and a short run of it against a real server."""

from pathlib import Path

import pytest

from benchmarks.environment import Peers
from benchmarks.suites import xray
from benchmarks.suites.plan import Plan


def test_the_report_has_medians_the_slowest_and_whether_the_aims_were_reached() -> None:
    found = xray.Found(10_000, absent=["no browser"], page=[0.05, 0.2, 0.04])
    found.times["snapshot"] = [0.01] * 198 + [0.05, 0.3]
    found.times["pause"] = [0.006]
    report = xray.make_report(found)
    (table,) = report.tables
    assert table.rows == [
        ("a snapshot", "10.0 ms", "50.0 ms", "300 ms", "200", "60.0 ms"),
        ("the loop's pause for it", "6.00 ms", "6.00 ms", "6.00 ms", "1", "5.00 ms"),
        ("the page, of a core", "5.0%", "20.0%", "20.0%", "3", "10%"),
    ]
    assert report.notes == [
        "snapshot: 10.0 ms; the aim is 60.0 ms: reached.",
        "pause: 6.00 ms; the aim is 5.00 ms: not reached.",
        "page: 5.0%; the aim is 10%: reached.",
        "no browser",
    ]


def test_everything_but_the_browser_is_measured_on_a_server(
    monkeypatch: pytest.MonkeyPatch, data: Path, tmp_path: Path, peers: Peers
) -> None:
    monkeypatch.setattr(xray, "tool", lambda _: None)
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(xray, "QUICK", 50)
    report = xray.run(Plan(data, tmp_path, peers, quick=True))
    assert [row[0] for row in report.tables[0].rows] == [title for title, _ in xray.ROWS]
    assert "not measured: install Chromium" in report.notes[-1]
    assert "50 connections" in report.tables[0].title
