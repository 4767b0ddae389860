"""The command: what it refuses, where it writes, and one suite from end to end."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import SUITES, main, parser
from benchmarks.processes import ROOT
from benchmarks.published import write
from benchmarks.report import Report
from benchmarks.suites import engine


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nothing"], "there is no suite nothing; there are engine, parsers"),
        (["servers", "--workloads", "x"], "there is no workload x; there are constant"),
        (["engine", "--only", "surely-not"], "no row of this suite"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.work.prepare", lambda _: None)
    monkeypatch.setenv("BENCHMARK_DATA", "")
    assert main(arguments) == 2
    assert reason in capsys.readouterr().err


def test_without_wrk_its_suites_are_named_and_the_others_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.work.prepare", lambda _: None)
    monkeypatch.setattr("benchmarks.machine.tool", lambda _: None)
    monkeypatch.setenv("BENCHMARK_DATA", "")
    assert main(["servers", "files", "--no-install"]) == 2
    assert "not measured: servers, files: install wrk" in capsys.readouterr().err


@pytest.mark.parametrize(("published", "status"), [(0.01, 1), (10.0, 0)])
def test_a_check_compares_with_the_published_ratios_and_writes_nothing(
    published: float,
    status: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("benchmarks.work.prepare", lambda _: None)
    monkeypatch.setattr("benchmarks.__main__.RESULTS", tmp_path)
    monkeypatch.setenv("BENCHMARK_DATA", "")
    name = f"one to another: {engine.COMPILED} ÷ {engine.STOCK}"
    monkeypatch.setattr(engine, "run", lambda _: Report("engine", "", "", ratios={name: 0.1}))
    write("engine", tmp_path, {name: published})
    assert main(["--check"]) == status
    told = capsys.readouterr()
    assert f"slower: {name}" in told.err if status else "slower" not in told.err
    assert "published" in told.out
    assert [path.name for path in tmp_path.iterdir()] == ["engine.json"]


def test_a_check_of_what_was_never_published_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["syscalls", "--check"]) == 2
    assert "syscalls has no published ratios" in capsys.readouterr().err


def test_help_names_every_suite() -> None:
    assert all(name in parser().format_help() for name in SUITES)


@pytest.mark.timeout(1200)  # the compiled build is made on its first use
def test_a_run_prints_a_table_and_writes_a_page_with_the_machine(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "engine", "--quick", "--rounds", "1", "--seconds", "0.001"]
    done = subprocess.run([*command, "--output", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "stock transitions" in done.stdout
    assert "[1/1]" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["engine.json", "engine.md", "engine.svg"]
    page = (tmp_path / "engine.md").read_text(encoding="utf-8")
    assert "- CPU: " in page
    assert "python -m benchmarks engine --quick" in page
