"""The help: what it says is the table, and the first page fits a screen."""

import re

import pytest

from clerestory.server.cli.arguments import parse
from clerestory.server.cli.help import EXAMPLES, first_page, group_page, page
from clerestory.server.cli.options.option import Option
from clerestory.server.cli.options.table import GROUPS, TABLE
from clerestory.server.cli.settings import UsageError
from tests.support.many import for_each


def test_the_first_page_fits_a_screen() -> None:
    """80 columns and 40 lines."""
    lines = first_page("clerestory").splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80


def test_the_first_page_has_what_people_ask_for_first() -> None:
    text = first_page("clerestory")
    for word in ("shop:app", "http://127.0.0.1:9000", "--listen", "--port", "--config", "--max-body", "--help all"):
        assert word in text
    assert all(name in text for name in GROUPS)


@for_each("option", TABLE, what=lambda option: option.name)
def test_every_option_stands_in_its_group_with_what_it_does_and_then_its_default(option: Option) -> None:
    text = " ".join(group_page(option.group).split())
    form = "TARGET" if option.name == "target" else f"${option.variable}" if option.secret else f"-{option.key}"
    assert form in text or f"]{option.key}" in text
    shown = option.default_help or ("" if option.is_switch else option.show(option.default))
    found = re.search(re.escape(option.help) + r"( \([^()]*\))?\.", text)
    assert found is not None
    if shown:
        assert f"default: {shown}" in found[0] or f"default: {shown})" in text


@for_each("option", TABLE, what=lambda option: option.name)
def test_help_is_a_sentence(option: Option) -> None:
    for text in (option.help, *([option.brief] if option.brief else [])):
        assert re.match(r"[A-Z]", text), text
        assert not text.endswith(".")


@pytest.mark.parametrize("name", GROUPS)
def test_a_page_fits_the_terminal(name: str) -> None:
    assert max(map(len, group_page(GROUPS[name], 78).splitlines())) <= 118


def test_all_is_all_and_ends_with_commands_that_parse() -> None:
    text = page("all", "clerestory")
    assert all(option.key in text or option.variable in text for option in TABLE if option.name != "target")
    commands = [line.split("  ")[1].split() for line in EXAMPLES.format(prog="clerestory").splitlines()[1:]]
    assert len(commands) >= 5
    for words in commands:
        assert words[0] == "clerestory"
        parse(words[1:])


def test_a_group_that_there_is_not_is_told_which_there_are() -> None:
    with pytest.raises(UsageError, match=r"--help postgress: there is no such group; did you mean postgres\? "):
        page("postgress", "clerestory")
