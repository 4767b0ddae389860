"""The table of options as a whole."""

from dataclasses import fields

import pytest

from clerestory.server.cli.options.option import Option
from clerestory.server.cli.options.table import BY_NAME, GROUPS, TABLE, in_group
from clerestory.server.config import OPTIONS
from clerestory.server.options import Options


def test_names_are_unique_and_so_are_groups() -> None:
    assert len(BY_NAME) == len(TABLE)
    assert all(option.group is GROUPS[option.group.name] for option in TABLE)
    assert sorted(option.name for group in GROUPS.values() for option in in_group(group)) == sorted(BY_NAME)


def test_every_limit_is_an_option_with_its_default() -> None:
    assert {field.name: field.default for field in OPTIONS} == {
        field.name: BY_NAME[field.name].default for field in OPTIONS
    }


def test_what_the_process_is_told_is_an_option_or_is_made_from_one() -> None:
    """A field of Options with an option's name is set from it."""
    others = {field.name for field in fields(Options)} - set(BY_NAME)
    assert others == {"limits", "description", "tls", "trusted"}


@pytest.mark.parametrize("option", TABLE, ids=lambda option: str(option.name))
def test_a_default_is_read_as_it_is_shown(option: Option) -> None:
    """What --check-config prints can be written."""
    if option.default in (None, (), "") or option.typed:
        return
    assert option.kind.read(option.show(option.default)) == option.default
