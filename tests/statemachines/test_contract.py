"""The words of the contract: names that are strings, interest that is epoll's bits, specs found by state."""

import select
from dataclasses import FrozenInstanceError
from enum import auto
from typing import Any

import pytest

from clerestory.statemachines import connection
from clerestory.statemachines.contract import HUNG_UP, Cause, Deadline, Facts, Interest, Name, Row, Unbounded, Way


class Fruit(Name):
    APPLE = auto()
    PLUM = auto()


def test_a_name_is_the_string_that_it_is_written_as() -> None:
    assert [str(name) for name in Fruit] == ["APPLE", "PLUM"]
    assert f"{Fruit.APPLE}" == "APPLE"
    assert {"APPLE": 1}[Fruit.APPLE] == 1


@pytest.mark.parametrize(
    ("interest", "phrase"),
    [
        (Interest.NOTHING, "nothing"),
        (Interest.READABLE, "readable"),
        (Interest.WRITABLE, "writable"),
        (Interest.READABLE | Interest.WRITABLE, "readable or writable"),
        (Interest.HANG_UP, "nothing but a disconnect"),
        (Interest.HALF_CLOSE, "nothing but a disconnect"),
        (Interest.READABLE | Interest.HALF_CLOSE, "readable"),
    ],
)
def test_interest_is_said_in_words(interest: Interest, phrase: str) -> None:
    assert interest.phrase() == phrase


@pytest.mark.skipif(not hasattr(select, "EPOLLIN"), reason="there is no epoll here")
def test_the_bits_of_interest_are_epolls() -> None:
    assert int(Interest.READABLE) == select.EPOLLIN
    assert int(Interest.WRITABLE) == select.EPOLLOUT
    assert int(Interest.HANG_UP) == select.EPOLLHUP
    assert int(Interest.HALF_CLOSE) == select.EPOLLRDHUP
    assert select.EPOLLERR | select.EPOLLHUP | select.POLLNVAL == HUNG_UP


def test_the_bits_of_interest_are_polls() -> None:
    assert int(Interest.READABLE) == select.POLLIN
    assert int(Interest.WRITABLE) == select.POLLOUT
    assert HUNG_UP & ~select.POLLNVAL == select.POLLERR | select.POLLHUP


@pytest.mark.parametrize(
    "record",
    [
        Row(Fruit.APPLE, Fruit.APPLE, Fruit.PLUM),
        Deadline("ripe", "ripe_timeout", 1.0, "for ripeness"),
        Unbounded("fruit"),
        connection.TABLE,
        connection.SPECS[0],
    ],
    ids=lambda record: type(record).__name__,
)
def test_tables_and_what_they_are_made_of_can_not_be_changed(record: Any) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(record, record.__match_args__[0], None)


def test_a_row_is_lawful_unguarded_idle_and_ends_nothing_unless_it_says_so() -> None:
    row = Row(Fruit.APPLE, Fruit.APPLE, Fruit.PLUM)
    assert (row.guard, row.action, row.way, row.ends) == ("", "", Way.NORMAL, None)


def test_a_table_finds_a_states_spec() -> None:
    found = [connection.TABLE.spec(state).state for state in connection.State]
    assert found == list(connection.State)


def test_every_cause_is_a_word_for_the_logs() -> None:
    assert [str(cause) for cause in Cause] == ["client", "server", "upstream", "operator", "deadline"]


def test_facts_need_say_nothing() -> None:
    facts = Facts()
    assert not any(facts)
    assert (facts.number, facts.peer, facts.request, facts.status, facts.pace) == (0, "", None, None, None)
