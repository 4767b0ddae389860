"""The report on several processes: aims, and a short run of each part with ours alone."""

from pathlib import Path

import pytest

from benchmarks.environment import Peers
from benchmarks.hosting import OURS, PLAIN
from benchmarks.suites import workers
from benchmarks.suites.plan import Plan
from benchmarks.suites.workers import Found


def test_the_aims_are_held_against_medians() -> None:
    found = Found(
        costs={(OURS, 1, "json"): [20.0], (OURS, 2, "json"): [21.0, 30.0, 20.0]},
        shares={(OURS, "json"): [0.61]},
        saves={PLAIN: [0.9, 1.2, 0.8]},
    )
    report = workers.make_report(found)
    assert report.tables[0].rows == [(OURS, "constant JSON", "20.0", "21.0", "20.0-30.0", "1.05", "0.61")]
    assert report.notes == [
        f"{OURS}, constant JSON: 2 workers take 1.05 of the CPU of 1; the aim is 1.05 at most: reached.",
        f"{OURS}, constant JSON: the busier takes 0.61; the aim is 0.6 at most: not reached.",
        f"{PLAIN}: a saved file is served after 900 ms; the aim is 1 s at most: reached.",
    ]
    assert report.tables[1].rows == [(PLAIN, "900 ms", "1.20 s", "3")]


def test_a_short_run_of_each_part_measures_ours(data: Path, tmp_path: Path, wrk: str) -> None:
    plan = Plan(data, tmp_path, Peers(tmp_path), quick=True, rounds=1, seconds=0.3)
    report = workers.run(plan)
    cpu, reload, save = report.tables
    assert [row[0] for row in cpu.rows] == [PLAIN, PLAIN]
    assert [row[0] for row in reload.rows] == [row[0] for row in save.rows] == [PLAIN]


def test_a_part_that_is_not_there_is_refused(data: Path, tmp_path: Path, wrk: str) -> None:
    with pytest.raises(LookupError, match="there are cpu, reload, save"):
        workers.run(Plan(data, tmp_path, Peers(tmp_path), only=("surely-not",)))
