"""The page of all options is made from their table."""

import pytest

from clerestory.server.cli.options.table import GROUPS, TABLE
from clerestory.server.cli.reference import HEADING, reference, renewed


def test_every_group_and_every_option_stands_in_it_once() -> None:
    text = reference()
    for group in GROUPS.values():
        assert text.count(f"### {group.title}\n") == 1
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == len(TABLE)
    assert all(line.replace("\\|", "").count("|") == 4 for line in rows)


def test_what_stands_before_the_heading_stays() -> None:
    page = f"# Title\n\n{HEADING}\nold"
    assert renewed(page).startswith(f"# Title\n\n{HEADING}\n### ")
    assert renewed(renewed(page)) == renewed(page)
    with pytest.raises(ValueError, match="All options"):
        renewed("# Title\n")
