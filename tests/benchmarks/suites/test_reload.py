"""The suite `reload`: a small version of it loses nothing, and says what a server did."""

from pathlib import Path

import pytest

from benchmarks import work
from benchmarks.environment import Peers
from benchmarks.suites.plan import Plan
from benchmarks.suites.reload import CONTENDERS, run


def plan(tmp_path: Path, *only: str) -> Plan:
    data, scratch = tmp_path / "data", tmp_path / "scratch"
    work.prepare(data)
    scratch.mkdir()
    return Plan(data, scratch, Peers(tmp_path / "none"), quick=True, only=only)


@pytest.mark.timeout(300)
def test_ours_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """4,000 requests over three reloads, and as many over three recycled workers."""
    made = plan(tmp_path, "Clerestory")
    monkeypatch.setenv(work.DATA, str(made.data))
    report = run(made)
    ((name, answered, reloads, lost, seconds, counted, recycled, lost_then, how),) = report.tables[0].rows
    assert (name, reloads, lost, lost_then, how) == ("Clerestory", "3", "0", "0", "-")
    assert int(answered.replace(",", "")) >= 4000
    assert int(counted.replace(",", "")) >= 4000
    assert int(recycled) >= 3
    assert float(seconds) > 0


def test_a_server_that_is_not_installed_is_named(tmp_path: Path) -> None:
    report = run(plan(tmp_path, "gunicorn"))
    assert report.tables[0].rows == []
    assert report.notes[0].startswith("gunicorn, gthread: not installed; needs ")
    with pytest.raises(LookupError):
        run(plan_of_nobody(tmp_path))


def plan_of_nobody(tmp_path: Path) -> Plan:
    return Plan(tmp_path, tmp_path, Peers(tmp_path), only=("nobody",))


def test_each_server_has_a_name_of_its_own() -> None:
    names = [one.entry.name for one in CONTENDERS]
    assert len(set(names)) == len(names)
