"""The command `clerestory diagrams`: what it writes, what --check finds, and what it says."""

import sys
from pathlib import Path

import pytest

from clerestory.diagrams.__main__ import FOLDER, main
from clerestory.statemachines.tables import TABLES


def test_the_committed_pictures_are_true_to_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    assert capsys.readouterr().out == f"{3 * len(TABLES)} files in {FOLDER} are true to the tables\n"


def test_all_formats_of_one_machine_are_written_and_found_true(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "folder"
    assert main(["--machine", "wakeup", "--output", str(folder)]) == 0
    written = [folder / f"wakeup{ending}" for ending in (".mmd", ".dot", ".svg")]
    assert capsys.readouterr().out.splitlines() == [str(path) for path in written]
    assert sorted(folder.iterdir()) == sorted(written)
    assert main(["--machine", "wakeup", "--output", str(folder), "--check"]) == 0


def test_one_format_of_all_machines_is_written(tmp_path: Path) -> None:
    assert main(["--format", "mermaid", "--output", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.mmd" for name in TABLES}


def test_every_format_is_written_and_found_true(tmp_path: Path) -> None:
    asked = ["--machine", "wakeup", "--format", "all", "--output", str(tmp_path)]
    assert main(asked) == 0
    endings = (".mmd", ".dot", ".puml", ".scxml", ".xstate.json", ".svg", ".png")
    assert {path.name for path in tmp_path.iterdir()} == {f"wakeup{ending}" for ending in endings}
    assert main([*asked, "--check"]) == 0


@pytest.mark.parametrize("ending", ["mmd", "dot", "puml", "scxml", "svg", "png"])
def test_a_stale_file_is_named_and_the_check_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    kind = ["--format", {"mmd": "mermaid", "puml": "plantuml"}.get(ending, ending), "--output", str(tmp_path)]
    main(["--machine", "wakeup", *kind])
    main(["--machine", "process", *kind])
    path = tmp_path / f"wakeup.{ending}"
    path.write_bytes((tmp_path / f"process.{ending}").read_bytes())
    capsys.readouterr()
    assert main(["--machine", "wakeup", *kind, "--check"]) == 1
    error = capsys.readouterr().err.splitlines()
    assert error[0].startswith(f"{path}: it")
    assert error[1:] == ["clerestory diagrams: the pictures are stale: draw them with clerestory diagrams"]


def test_a_missing_file_and_one_of_no_machine_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--format", "dot", "--output", str(tmp_path)])
    (tmp_path / "process.dot").rename(tmp_path / "no_machine.dot")
    capsys.readouterr()
    assert main(["--format", "dot", "--output", str(tmp_path), "--check"]) == 1
    assert capsys.readouterr().err.splitlines()[:2] == [
        f"{tmp_path / 'process.dot'}: there is no such file",
        f"{tmp_path / 'no_machine.dot'}: there is no such machine",
    ]


def test_a_check_writes_nothing(tmp_path: Path) -> None:
    assert main(["--format", "dot", "--output", str(tmp_path), "--check"]) == 1
    assert list(tmp_path.iterdir()) == []


def test_without_graphviz_texts_are_written_and_pictures_say_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    assert main(["--machine", "wakeup", "--format", "dot", "--output", str(tmp_path)]) == 0
    assert main(["--machine", "wakeup", "--format", "mermaid", "--output", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["--machine", "wakeup", "--format", "svg", "--output", str(tmp_path)]) == 2
    error = "clerestory diagrams: SVG and PNG are drawn by Graphviz: pip install pygraphviz\n"
    assert capsys.readouterr().err == error


def test_without_graphviz_all_the_texts_are_written_before_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    assert main(["--output", str(tmp_path)]) == 2
    error = "SVG and PNG are drawn by Graphviz: pip install pygraphviz; the texts have been written\n"
    assert capsys.readouterr().err == f"clerestory diagrams: {error}"
    written = {f"{name}{ending}" for name in TABLES for ending in (".mmd", ".dot")}
    assert {path.name for path in tmp_path.iterdir()} == written


def test_files_are_written_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--machine", "wakeup", "--format", "dot"]) == 0
    assert (tmp_path / "diagrams" / "wakeup.dot").is_file()


def test_a_folder_that_can_not_be_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--format", "dot", "--output", str(tmp_path / "file" / "below")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("clerestory diagrams: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("wrong", [["--machine", "nope"], ["--format", "gif"], ["--what"]])
def test_a_wrong_option_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(wrong)
    assert caught.value.code == 2
    assert "clerestory diagrams: error: " in capsys.readouterr().err


def test_the_help_shows_examples_and_the_extra(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "clerestory diagrams --check" in text
    assert "pip install pygraphviz" in text
    assert all(name in text for name in TABLES)
