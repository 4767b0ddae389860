"""What is drawn is what runs: every row is in the picture once, with the look of its kind."""

from collections import Counter
from dataclasses import replace

import pytest

from clerestory.diagrams import picture as module
from clerestory.diagrams.picture import LANES, Line, Look, limit_of, look_of, picture_of, waits_of
from clerestory.statemachines import connection, listener
from clerestory.statemachines.connection import TABLE, State, Trigger
from clerestory.statemachines.contract import Name, Row, Table, Way
from clerestory.statemachines.definition import Definition, define
from clerestory.statemachines.tables import TABLES

S, T = State, Trigger

each_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())


@each_table
def test_every_row_of_the_table_is_in_the_picture_once(table: Table) -> None:
    drawn = Counter(
        (arrow.source, arrow.dest, arrow.look, line) for arrow in picture_of(table).arrows for line in arrow.lines
    )
    rows = [(row.source, row.dest, look_of(row), Line(row.trigger.name, row.guard, row.action)) for row in table.rows]
    assert drawn == Counter(rows)


@each_table
def test_rows_of_one_look_between_two_states_are_one_arrow(table: Table) -> None:
    alike = Counter(arrow[:3] for arrow in picture_of(table).arrows)
    assert set(alike.values()) == {1}


@each_table
def test_every_state_is_in_the_picture_in_the_order_of_the_table(table: Table) -> None:
    assert [spec.state for spec in picture_of(table).specs] == list(table.states)
    assert picture_of(table).initial is table.initial


@pytest.mark.parametrize(
    ("way", "trigger", "look"),
    [
        (Way.HAPPY, T.HEAD_RECEIVED, Look.HAPPY),
        (Way.NORMAL, T.HEAD_STARTED, Look.NORMAL),
        (Way.NORMAL, T.DEADLINE_PASSED, Look.LATE),
        (Way.FAULT, T.HEAD_REFUSED, Look.FAULT),
        (Way.FAULT, T.DEADLINE_PASSED, Look.FAULT_LATE),
    ],
)
def test_a_row_looks_like_its_way_and_like_time_when_time_passed(way: Way, trigger: Name, look: Look) -> None:
    assert look_of(Row(S.AWAITING_REQUEST, trigger, S.CLOSED, way=way)) is look


def test_the_usual_path_of_a_connection_is_the_three_states_and_back() -> None:
    usual = [(arrow.source, arrow.dest) for arrow in picture_of(TABLE).arrows if arrow.look is Look.HAPPY]
    assert usual == [
        (S.AWAITING_REQUEST, S.QUERYING_BACKEND),
        (S.QUERYING_BACKEND, S.SENDING_RESPONSE),
        (S.SENDING_RESPONSE, S.AWAITING_REQUEST),
    ]


def test_lanes_name_states_that_there_are_and_each_but_once() -> None:
    for name, lanes in LANES.items():
        states = [state for lane in lanes for state in lane.states]
        assert len(set(states)) == len(states)
        assert set(states) <= {state.name for state in TABLES[name].states}


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (Line("T", "", ""), ""),
        (Line("T", "is_so", ""), "[is_so]"),
        (Line("T", "", "act"), "/ act"),
        (Line("T", "is_so", "act"), "[is_so] / act"),
    ],
)
def test_a_guard_stands_in_brackets_and_an_action_behind_a_stroke(line: Line, text: str) -> None:
    assert line.condition() == text


def test_a_state_says_what_it_waits_for_and_until_when() -> None:
    said = {spec.state: (waits_of(spec), limit_of(spec)) for spec in connection.SPECS + listener.SPECS[:1]}
    assert said[S.AWAITING_REQUEST] == ("waits for readable", "keep-alive 15 s")
    assert said[S.QUERYING_BACKEND] == ("waits for the application", "backend 75 s")
    assert said[S.READING_BODY] == ("waits for readable", "body 30 s idle, or under 240 bytes/s")
    assert said[S.CLOSED] == ("final", "")
    assert said[listener.State.ACCEPTING] == ("waits for readable", "no deadline")


def say_something_else(monkeypatch: pytest.MonkeyPatch, dest: str, **how: str) -> None:
    """Have the library's machine say something on PEER_RESET in CLOSED, whatever the table says."""

    def other(table: Table) -> Definition:
        definition = define(table)
        if definition.get_transitions("PEER_RESET", "CLOSED"):
            definition.remove_transition("PEER_RESET", "CLOSED")
        definition.add_transition("PEER_RESET", "CLOSED", dest, **how)
        return definition

    monkeypatch.setattr(module, "define", other)


def test_a_machine_with_more_transitions_than_its_table_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    say_something_else(monkeypatch, "AWAITING_REQUEST")
    with pytest.raises(ValueError, match="connection: its machine has other transitions than its table has rows"):
        picture_of(TABLE)


@pytest.mark.parametrize(
    "how",
    [{"dest": "LINGERING"}, {"dest": "CLOSED", "after": "cut"}, {"dest": "CLOSED", "conditions": "may_keep_alive"}],
)
def test_a_transition_that_is_not_its_rows_is_not_drawn(monkeypatch: pytest.MonkeyPatch, how: dict[str, str]) -> None:
    say_something_else(monkeypatch, **how)
    with pytest.raises(ValueError, match="CLOSED on PEER_RESET: its transition is not the row's"):
        picture_of(replace(TABLE, rows=(*TABLE.rows, Row(S.CLOSED, T.PEER_RESET, S.CLOSED))))
