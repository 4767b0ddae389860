"""The report: a section for every lab, a row for every model, a line for every claim; and a lab that fails is named."""

import re
from pathlib import Path

import pytest

from benchmarks.processes import ServerFailed
from labs import report
from labs.catalogue import LABS, Lab
from labs.claims import CLAIMS
from labs.findings import Claim, Findings, Stage, Verdict
from labs.models import MODELS, Model
from labs.report import Outcome, claims_table, perform_all

pytestmark = pytest.mark.timeout(600)  # a whole report, on a machine that may have other things to do


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole quick report."""
    directory = tmp_path_factory.mktemp("report")
    outcomes = report.write(directory, Stage(print, quick=True))
    assert {outcome.lab.name: outcome.failure for outcome in outcomes if outcome.failure} == {}
    return directory


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "REPORT.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def claims(page: str) -> list[str]:
    _, _, rest = page.partition("## What the lecture says")
    return [line for line in rest.splitlines() if line.startswith("| ")][2:]


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)
def test_every_lab_has_its_section_and_is_linked_from_the_top(page: str, lab: Lab) -> None:
    assert f"\n## {lab.number}. {lab.title}\n" in page
    heading = "".join(letter for letter in f"{lab.number}. {lab.title}".lower() if letter.isalnum() or letter in " -")
    assert f"[{lab.name}](#{heading.replace(' ', '-')})" in page
    assert f"python -m labs {lab.name}" in page


@pytest.mark.parametrize("key", CLAIMS)
def test_every_claim_of_the_lecture_has_been_measured(claims: list[str], key: str) -> None:
    lines = [line for line in claims if line.startswith(f"| {CLAIMS[key]} |")]
    assert len(lines) == 1
    assert re.search(r"\*\*(holds|holds in part|does not hold)\*\*", lines[0])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_model_has_a_row_for_the_echo_and_one_for_the_e_mail(page: str, model: Model) -> None:
    assert f"\n| {model.name} | echo | " in page
    assert f"\n| {model.name} | e-mail | " in page


def test_it_says_on_which_machine_and_when_and_that_it_was_quick(page: str) -> None:
    measured_on = page.partition("## Measured on")[2]
    for particular in ("Date", "CPU", "Memory", "System", "Python", "Revision", "Load before", "Load after", "Run"):
        assert f"\n- {particular}: " in measured_on
    assert "quick" in measured_on


def test_every_plot_that_is_shown_is_there_and_none_besides(folder: Path, page: str) -> None:
    shown = set(re.findall(r"\]\((plots/[^)]+)\)", page))
    assert shown == {f"plots/{path.name}" for path in (folder / "plots").iterdir()}
    assert len(shown) > len(LABS) / 2


def test_every_module_that_is_linked_is_there(page: str) -> None:
    for name in re.findall(r"\]\(([a-z_/]+(?:\.py)?)\)", page):
        assert (report.HERE / name).exists(), name


def fails(_: Stage) -> Findings:
    raise ServerFailed("it would not start")


def works(_: Stage) -> Findings:
    return Findings("it works", claims=[Claim("herd", "three", Verdict.FAILS, "why not")])


def test_a_lab_that_fails_is_named_and_does_not_take_the_others_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = iter([fails, works])
    monkeypatch.setattr(Lab, "run", lambda _, stage: next(runs)(stage))
    said: list[str] = []
    first, second = perform_all(Stage(said.append), LABS[:2])
    assert first.findings is None
    assert first.failure == "ServerFailed: it would not start"
    assert second.findings is not None
    assert any("failed" in line for line in said)
    assert "it would not start" in "".join(report._section(first))


def test_a_claim_has_the_verdict_that_was_measured_and_one_that_nobody_measured_says_so() -> None:
    rows = claims_table([Outcome(LABS[0], works(Stage(print)))]).rows
    by_claim = {row[0]: row for row in rows}
    assert by_claim[CLAIMS["herd"]] == (CLAIMS["herd"], "**does not hold**", "Three.", "Why not.", "1")
    assert by_claim[CLAIMS["coroutines"]][1] == "not measured"
    assert len(rows) == len(CLAIMS)


def test_a_claim_that_two_labs_have_measured_has_two_lines() -> None:
    rows = claims_table([Outcome(lab, works(Stage(print))) for lab in LABS[:2]]).rows
    assert [row[4] for row in rows if row[1] == "**does not hold**"] == ["1", "2"]
    assert len(rows) == len(CLAIMS) + 1
