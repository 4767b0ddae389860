"""A guess is made only where it is near."""

import pytest

from clerestory.server.cli.nearest import COMMANDS, nearest_command, nearest_option
from clerestory.server.cli.options.table import TABLE
from clerestory.server.xray.terminal import COMMANDS as TERMINAL


@pytest.mark.parametrize("option", TABLE, ids=lambda option: str(option.name))
def test_every_name_and_every_meaning_leads_to_its_option(option: object) -> None:
    for word in (option.key, option.name, *option.spellings, *option.meanings):  # type: ignore[attr-defined]
        assert nearest_option(word, TABLE) is option, word


@pytest.mark.parametrize(
    ("word", "name"),
    [("prot", "port"), ("max-boddy", "max_body"), ("Max-Body", "max_body"), ("no-access-logs", "access_log")],
)
def test_a_misspelt_word_is_recognised(word: str, name: str) -> None:
    found = nearest_option(word, TABLE)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("word", ["", "x", "zz", "tl"])
def test_what_is_far_off_is_nothing(word: str) -> None:
    assert nearest_option(word, TABLE) is None


@pytest.mark.parametrize(("word", "command"), [("chek", "check"), ("pss", "ps"), ("wach", "watch"), ("xyz", "")])
def test_a_misspelt_command_is_recognised(word: str, command: str) -> None:
    assert nearest_command(word) == command


def test_every_command_of_the_terminal_is_known() -> None:
    assert set(TERMINAL) <= set(COMMANDS)
