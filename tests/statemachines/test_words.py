"""The plain words of the states."""

import pytest

from clerestory.statemachines.tables import TABLES
from clerestory.statemachines.words import PLAIN, words_of

WIDEST = 22
"""Letters that a card of the x-ray's picture has room for."""


def test_every_name_that_has_words_is_a_state_of_a_machine() -> None:
    states = {name: {state.name for state in table.states} for name, table in TABLES.items()}
    assert [name for name in PLAIN if name not in states] == []
    assert [(name, state) for name, words in PLAIN.items() for state in words if state not in states[name]] == []


def test_a_state_without_words_is_called_by_its_name() -> None:
    assert words_of("connection", "AWAITING_REQUEST") == "waiting for a request"
    assert words_of("upstream", "CONNECTING") == "connecting"


@pytest.mark.parametrize("name", TABLES)
def test_no_two_states_of_a_machine_have_the_same_words_and_none_is_too_long(name: str) -> None:
    words = [words_of(name, state) for state in TABLES[name].states]
    assert len(set(words)) == len(words)
    assert [one for one in words if len(one) > WIDEST] == []
