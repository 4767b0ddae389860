"""Every limit is an option: its unit says how it is read, and its sentence begins with it."""

import pytest

from clerestory.server.cli.options.bounds import (
    BRIEF,
    LIMITS,
    MEANINGS,
    OPTIONS_OF_LIMITS,
    SPELLINGS,
    TIMEOUTS,
    ZERO_MEANS_NONE,
)
from clerestory.server.cli.options.option import Option
from clerestory.server.config import OPTIONS
from tests.support.many import for_each

UNITS = {field.name: str(field.metadata["unit"]) for field in OPTIONS}
COUNTED = [option for option in OPTIONS_OF_LIMITS if not option.is_switch]


@for_each("option", COUNTED, what=lambda option: option.name)
def test_a_limit_is_zero_only_where_that_means_something(option: Option) -> None:
    if option.name in ZERO_MEANS_NONE:
        assert option.kind.read("0") == 0
    else:
        with pytest.raises(ValueError, match="'0' is not "):
            option.kind.read("0")


@for_each("option", COUNTED, what=lambda option: option.name)
def test_only_bytes_take_a_suffix_and_only_seconds_a_fraction(option: Option) -> None:
    for text, value, units in (("2K", 2048, ("bytes", "bytes/s")), ("2.5", 2.5, ("seconds",))):
        if UNITS[option.name] in units:
            assert option.kind.read(text) == value
        else:
            with pytest.raises(ValueError, match="is not a"):
                option.kind.read(text)


@for_each("option", COUNTED, what=lambda option: option.name)
def test_a_sentence_begins_with_what_is_counted(option: Option) -> None:
    unit = UNITS[option.name].replace("bytes/s", "bytes a second")
    assert option.help.lower().startswith(unit)


def test_what_is_said_of_limits_is_said_of_limits_that_there_are() -> None:
    for names in (ZERO_MEANS_NONE, SPELLINGS, MEANINGS, BRIEF):
        assert set(names) <= set(UNITS)


def test_a_limit_stands_where_it_is_looked_for() -> None:
    groups = {option.name: option.group for option in OPTIONS_OF_LIMITS}
    assert (groups["keep_alive_timeout"], groups["body_min_rate"]) == (TIMEOUTS, TIMEOUTS)
    assert (groups["max_body"], groups["strict_targets"]) == (LIMITS, LIMITS)
    assert (groups["postgres_query_timeout"].name, groups["threads"].name) == ("postgres", "threads")
