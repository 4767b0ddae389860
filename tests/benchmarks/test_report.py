"""Tables and pages."""

from pathlib import Path

from benchmarks.report import Report, Table

TABLE = Table("Costs", ("server", "fields", "µs"), [("ours", "repeated", "7.1"), ("a|b", "x", "120")], "A note.")


def test_a_table_is_aligned_for_the_terminal() -> None:
    lines = TABLE.text().splitlines()
    assert lines[0] == "Costs"
    assert lines[2:6] == [
        "  server    fields   µs",
        "  ------  --------  ---",
        "  ours    repeated  7.1",
        "  a|b            x  120",
    ]
    assert lines[-1] == "  A note."


def test_a_named_column_is_left_aligned() -> None:
    table = Table("", ("server", "fields"), [("ours", "x")], left=frozenset({"fields"}))
    assert table.text().splitlines()[-1] == "  ours    x"
    assert "| --- | --- |" in table.markdown()


def test_a_table_in_markdown_escapes_what_would_end_a_cell() -> None:
    assert "| --- | ---: | ---: |" in TABLE.markdown()
    assert "| a\\|b | x | 120 |" in TABLE.markdown()


def test_a_page_holds_plots_tables_notes_and_the_machine(tmp_path: Path) -> None:
    report = Report("files", "Static files", "What it is.", [TABLE], {"files-small": "<svg/>"}, ["a note"])
    written = report.write(tmp_path / "new", {"CPU": "a model", "Date": "today"})
    assert [path.name for path in written] == ["files-small.svg", "files.md"]
    page = (tmp_path / "new" / "files.md").read_text(encoding="utf-8")
    for part in ("# Static files", "![Static files](files-small.svg)", "## Costs", "- a note", "- CPU: a model"):
        assert part in page
    assert (tmp_path / "new" / "files-small.svg").read_text(encoding="utf-8") == "<svg/>"


def test_a_report_in_text_has_its_title_and_notes() -> None:
    text = Report("files", "Static files", "", [TABLE], {}, ["a note"]).text()
    assert "Static files" in text
    assert text.endswith("- a note")
