"""The command line lists the labs, runs one, and refuses what is not there."""

from pathlib import Path

import pytest

from labs import report
from labs.__main__ import main
from labs.catalogue import LABS
from labs.findings import Findings, Stage
from labs.report import Outcome


def test_it_lists_the_road(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == [lab.name for lab in LABS]


@pytest.mark.parametrize("word", ["two-blocking", "3"])
def test_it_runs_a_lab_by_name_or_number(word: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([word, "--quick", "--output", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("3. two connections, one thread, blocking reads\n")
    assert "the second was answered" in told
    assert [path.name for path in tmp_path.iterdir()] == ["two-blocking.svg"]


def test_claims_are_told_with_their_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["one-at-a-time", "--quick"]) == 0
    assert '"A blocking server serves one client at a time." Holds: ' in capsys.readouterr().out


def test_what_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["perpetual-motion"]) == 2
    assert "there is no lab perpetual-motion" in capsys.readouterr().err


@pytest.mark.parametrize(("failure", "status"), [("", 0), ("ServerFailed: it would not start", 1)])
def test_a_report_is_written_where_it_is_wanted_and_fails_with_its_labs(
    failure: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[Path] = []

    def write(directory: Path, stage: Stage) -> list[Outcome]:
        written.append(directory)
        assert stage.quick
        return [Outcome(LABS[0], None if failure else Findings("it works"), failure)]

    monkeypatch.setattr(report, "write", write)
    assert main(["report", "--quick", "--output", "elsewhere"]) == status
    assert written == [Path("elsewhere")]
    assert "written: elsewhere/REPORT.md" in capsys.readouterr().out


def test_a_quick_report_does_not_take_the_place_of_the_published_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--quick"]) == 2
    assert "--output" in capsys.readouterr().err
