"""docs/architecture.md describes the tree as it is: what it names exists, and every folder of sources is in it."""

import re
from pathlib import Path

import pytest

PAGE = Path("docs/architecture.md").read_text()
TREE = {name for row in re.findall(r"^\| (`.+?) \|", PAGE, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)}
FILES = set(re.findall(r"[\w/]+/\w+\.py", PAGE))
SOURCES = ("handlers", "server", "statemachines", "diagrams", "labs", "benchmarks", "manual", "proof")
CONTAINED = {"labs/models", "benchmarks/peers", "benchmarks/suites"}
"""Folders that are described with the one around them."""


@pytest.mark.parametrize("path", sorted(TREE | FILES))
def test_what_the_page_names_exists(path: str) -> None:
    assert Path(path).exists()


def test_every_folder_of_sources_is_described() -> None:
    sources = [path for root in SOURCES for path in Path(root).rglob("*.py")]
    folders = {str(path.parent) for path in sources if not any(part.startswith(".") for part in path.parts)}
    described = {name.rstrip("/") for name in TREE}
    # A folder that has only folders in it is described by these.
    parents = {"handlers", "server", "server/xray"}
    assert folders - described - parents - CONTAINED == set()


def test_the_page_has_its_tables() -> None:
    assert len(TREE) > 30
    assert len(FILES) > 25
