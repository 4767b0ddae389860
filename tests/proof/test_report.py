"""docs/proof.md: what is generated in it is of the worlds that are explored, and says what was left out."""

import re
from pathlib import Path

import pytest

from proof import catalogue
from proof.__main__ import main
from proof.explorer import Explorer
from proof.mutants import Judged, all_mutants
from proof.report import Result, mutants_table, promises_list, replaced, results_table
from proof.spin import Verdict
from proof.worlds.threads import threads
from tests.proof.toys import lamps

PAGE = (Path(__file__).parents[2] / "docs" / "proof.md").read_text()


def part(name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n\n(.*?)\n\n<!-- end of {name} -->", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_page_says_what_is_promised() -> None:
    """`python -m proof promises` brings it up to date: that explores nothing."""
    kinds = {world.name: world for world in catalogue.full()}
    assert part("promises") == promises_list(list(kinds.values())).strip()


def test_the_page_has_a_result_for_every_world_with_its_bounds() -> None:
    """`python -m proof report --kept DIR` brings it up to date."""
    table, bounds = part("results").split("What was bounded:")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]
    worlds = catalogue.full()
    assert [row[:2] for row in rows] == [
        [world.name, " ".join(f"{one.name}:{one.table.name}" for one in world.parts)] for world in worlds
    ]
    for row in rows:
        if row[-1] == "all holds":
            assert row[4] in (row[3], "not run")
        else:
            assert "the explorer was stopped" in row[-1]
    assert bounds.strip().splitlines() == [f"- {world.name}: {'; '.join(world.bounds)}." for world in worlds]


def test_the_shares_of_mutants_on_the_page_add_up() -> None:
    text = part("mutants")
    judged, found = re.match(r"(?:All )?(\d+) .*mutants were judged.*: (\d+) were found", text).groups()  # type: ignore[union-attr]
    rows = [
        [int(cell) for cell in re.findall(r"\| +(\d+)", line)]
        for line in text.splitlines()
        if re.search(r"\| \d", line)
    ]
    made, by_world, by_table, survive = map(sum, zip(*rows, strict=True))
    assert (made, by_world + by_table) == (int(judged), int(found))
    assert survive == len(re.findall(r"^- ", text, re.MULTILINE)) == made - by_world - by_table


def test_a_world_that_was_not_explored_whole_is_told_as_such() -> None:
    world = threads(1)
    outcome = Explorer(world).explore(seconds=-1)
    assert not outcome.is_whole
    result = Result(world, outcome, [Verdict("safety", 30, 0, 1.0, 1.0, "")])
    assert result.faults == []
    row = results_table([result]).splitlines()[2]
    assert row.endswith("| safety holds by Spin; the explorer was stopped, and the promises were not looked at |")
    assert "| none |" in row
    row = results_table([result._replace(verdicts=[])]).splitlines()[2]
    assert row.endswith("| nothing found; the explorer was stopped |")


def test_what_is_between_markers_is_replaced() -> None:
    page = "a\n<!-- x -->\nold\n<!-- end of x -->\nb"
    assert replaced(page, "x", " new\n") == "a\n<!-- x -->\n\nnew\n\n<!-- end of x -->\nb"
    with pytest.raises(ValueError, match="no markers"):
        replaced(page, "y", "")


def test_the_share_of_mutants_is_of_those_that_were_judged() -> None:
    made = all_mutants([lamps()])
    text = mutants_table([Judged(made[0], "lamps", "it is"), Judged(made[1], "", "")], len(made))
    assert text.startswith(f"2 of {len(made)} mutants were judged")
    assert "1 were found (50 %)" in text
    assert text.splitlines()[-1] == f"- {made[1].kind}: {made[1].what}"
    assert mutants_table([Judged(made[0], "lamps", "it is")], 1).startswith("All 1 mutants were judged: 1 were found")


def test_a_report_goes_on_with_what_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "".join(f"<!-- {name} -->\n<!-- end of {name} -->\n" for name in ("results", "promises", "mutants"))
    )
    monkeypatch.setattr("proof.__main__.PAGE", page)
    for name in ("full", "for_mutants"):
        monkeypatch.setattr(catalogue, name, lambda: [lamps()])
    command = ["report", "--no-spin", "--kept", str(tmp_path / "kept")]
    assert main(command) == 0
    assert "| lamps | a:lamp b:lamp |" in page.read_text()
    first, written = capsys.readouterr().out, page.read_text()
    assert "as it was kept" not in first
    assert main(command) == 0
    assert "lamps: 6 states, as it was kept" in capsys.readouterr().out
    assert page.read_text() == written
