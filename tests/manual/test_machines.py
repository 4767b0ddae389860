"""The pages of the machines: every state and every row is there."""

from pathlib import Path

import pytest

from clerestory.statemachines.tables import TABLES
from manual import machines


@pytest.mark.parametrize("name", TABLES)
def test_a_page_has_every_state_and_every_transition(name: str) -> None:
    table, page = TABLES[name], machines.page(TABLES[name])
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(lines) == len(table.specs) + len(table.rows)
    for spec in table.specs:
        assert any(line.startswith(f"| `{spec.state}` | ") and spec.true_while in line for line in lines)
    assert all(line.replace("\\|", "").count("|") in (5, 6) for line in lines)


def test_all_are_listed_with_their_pictures() -> None:
    pages = machines.pages()
    assert len(pages) == len(TABLES) + 1
    assert all(f"[{name}]({name}.md)" in pages[machines.PLACE.format("index")] for name in TABLES)
    assert all(path.exists() for path in machines.pictures(Path()).values())
