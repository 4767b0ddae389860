"""docs/install.md, and what is said where a library is missing: a command that works in a checkout and elsewhere."""

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "install.md").read_text()
EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
ROWS: list[tuple[str, str]] = re.findall(r"^\| `(\w+)` \|.*\| (?:`(.*)` )?\|$", PAGE, re.MULTILINE)
SHIPPED = ("clerestory", "statemachines", "handlers", "server", "diagrams")
COMMAND = re.compile(r"pip install ((?:'[^']+'|[a-z][\w.-]*)(?: (?:'[^']+'|[a-z][\w.-]*))*)")
WORDS_AFTER = {"or", "and", "in", "which"}


def requirements(extra: str) -> Iterator[Requirement]:
    """Those of an extra, and of the extras that it takes in."""
    for text in EXTRAS[extra]:
        one = Requirement(text)
        if one.name == "clerestory":
            for inner in one.extras:
                yield from requirements(inner)
        else:
            yield one


def said() -> Iterator[tuple[str, str]]:
    """Every `pip install ...` in a text of the program, with its file."""
    for folder in SHIPPED:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not path.is_relative_to(ROOT / "clerestory") or path.parent == ROOT / "clerestory":
                for node in ast.walk(ast.parse(path.read_text())):
                    if isinstance(node, ast.Constant) and isinstance(node.value, str):
                        yield from ((str(path.relative_to(ROOT)), found) for found in COMMAND.findall(node.value))


KNOWN = {(one.name, frozenset(one.extras)) for extra in EXTRAS if extra != "test" for one in requirements(extra)}


def packages(words: str) -> list[str]:
    return [word for word in shlex.split(words.rstrip(".")) if word not in WORDS_AFTER]


def test_every_extra_is_in_the_table_with_its_libraries() -> None:
    assert sorted(extra for extra, _ in ROWS) == sorted(EXTRAS)
    for extra, command in ROWS:
        if extra != "test":
            by_hand = [Requirement(word) for word in shlex.split(command)[2:]]
            wanted = {(one.name, frozenset(one.extras)) for one in requirements(extra)}
            implied = {(f"opentelemetry-{name}", frozenset[str]()) for name in ("api", "sdk")}  # the exporter's own
            assert {(one.name, frozenset(one.extras)) for one in by_hand} == wanted - implied


@pytest.mark.parametrize(("path", "words"), list(said()))
def test_what_is_missing_is_installed_by_its_own_name(path: str, words: str) -> None:
    """`pip install 'clerestory[...]'` would need an index that has Clerestory: a checkout does not."""
    for word in packages(words)[:1]:
        one = Requirement(word)
        assert (one.name, frozenset(one.extras)) in KNOWN, path


def test_there_are_such_commands() -> None:
    assert len(list(said())) >= 10
