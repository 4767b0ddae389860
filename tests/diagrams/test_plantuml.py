"""The PlantUML text has every state, every transition, and what a line means."""

import re

import pytest

from clerestory.diagrams.picture import picture_of
from clerestory.diagrams.plantuml import to_plantuml
from clerestory.statemachines.contract import Table
from clerestory.statemachines.tables import TABLES

ARROW = re.compile(r"(\w+) -\[#[0-9a-f]{6}(?:,bold|,dashed)?\]-> (\w+) : (.+)")


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_every_row_is_a_line_of_an_arrow(table: Table) -> None:
    lines = to_plantuml(picture_of(table)).splitlines()
    assert lines[0] == f"@startuml {table.name}"
    assert lines[-1] == "@enduml"
    assert f"[*] --> {table.initial}" in lines
    found = [
        (arrow[1], arrow[2], text)
        for line in lines
        if (arrow := ARROW.fullmatch(line)) is not None
        for text in arrow[3].split("\\n")
    ]
    rows = [
        (row.source, row.dest, " ".join(filter(None, [row.trigger, row.guard and f"[{row.guard}]", _does(row.action)])))
        for row in table.rows
    ]
    assert sorted(found) == sorted(rows)
    declared = [line.strip() for line in lines]
    for state in table.states:
        assert f"state {state}" in declared


def _does(action: str) -> str:
    return action and f"/ {action}"


def test_the_phrases_of_the_connection_enclose_their_states() -> None:
    text = to_plantuml(picture_of(TABLES["connection"]))
    inside = text.partition('state "reading request" as reading_request {')[2].partition("}")[0]
    assert "  state READING_HEAD\n" in inside
    assert "CLOSED" not in inside
