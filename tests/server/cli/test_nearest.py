"""A guess is made only where it is near."""

import re

import pytest

from clerestory.server.cli.nearest import ABSENT, COMMANDS, INSTEAD, absent, instead, nearest_command, nearest_option
from clerestory.server.cli.options.table import GROUPS, TABLE
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


def test_what_is_said_instead_names_what_there_is() -> None:
    assert {instead(word) for word in INSTEAD} == set(INSTEAD.values())
    assert instead("pss") == "did you mean the command ps?"
    assert instead("xyz") == ""
    flags = {option.flag for option in TABLE}
    for text in (*INSTEAD.values(), *ABSENT.values()):
        assert set(re.findall(r"--[a-z-]+[a-z]", text)) <= flags
        assert set(re.findall(r"the command (\w+)", text)) <= set(COMMANDS)
        assert set(re.findall(r"--help (\w+)", text)) <= set(GROUPS)


def test_an_option_that_has_no_like_here_is_no_guess() -> None:
    assert absent("no-daemon") == absent("daemon") != ""
    assert absent("port") == ""
    assert [word for word in ABSENT if any(word in (option.key, *option.spellings) for option in TABLE)] == []


def test_every_command_of_the_terminal_is_known() -> None:
    assert set(TERMINAL) <= set(COMMANDS)
