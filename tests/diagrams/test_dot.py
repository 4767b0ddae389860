"""The DOT text: what is bold, dashed, red, tinted and listed; and that Graphviz can read it."""

import re

import pygraphviz  # type: ignore[import-untyped]
import pytest

from diagrams.dot import FAULT, LAWFUL, to_dot
from diagrams.picture import Picture, picture_of
from statemachines.tables import TABLES

PICTURES = {name: picture_of(table) for name, table in TABLES.items()}
each_picture = pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES.keys())


def edges(dot: str) -> dict[tuple[str, str], list[str]]:
    """The attributes of the edges that are drawn, from where their arrows come to where they point."""
    found: dict[tuple[str, str], list[str]] = {}
    for upper, lower, attributes in re.findall(r"^ *(\w+)(?::\w)? -> (\w+)(?::\w)? \[(.*)\]$", dot, re.MULTILINE):
        if "style=invis" not in attributes:
            ends = (lower, upper) if "dir=back" in attributes else (upper, lower)
            found.setdefault(ends, []).append(attributes)
    return found


@each_picture
def test_graphviz_reads_it_and_finds_every_state(picture: Picture) -> None:
    graph = pygraphviz.AGraph(string=to_dot(picture))
    assert {str(node) for node in graph.nodes()} == {spec.state.name for spec in picture.specs} | {"start"}


@each_picture
def test_every_trigger_guard_and_action_is_written_where_it_belongs(picture: Picture) -> None:
    dot = to_dot(picture)
    for arrow in picture.arrows:
        for line in arrow.lines:
            assert line.trigger in dot
            assert line.condition() in dot


@each_picture
def test_whatever_leads_from_one_state_to_another_has_an_arrow(picture: Picture) -> None:
    drawn = edges(to_dot(picture))
    pairs = {(arrow.source.name, arrow.dest.name) for arrow in picture.arrows if arrow.source is not arrow.dest}
    assert pairs <= set(drawn)
    assert all(source == "start" or (source, dest) in pairs or source == dest for source, dest in drawn)


def test_the_usual_course_is_bold_and_nothing_else_is() -> None:
    drawn = edges(to_dot(PICTURES["connection"]))
    bold = [ends for ends, several in drawn.items() if any("penwidth=3.2" in attributes for attributes in several)]
    assert bold == [
        ("AWAITING_REQUEST", "QUERYING_BACKEND"),
        ("QUERYING_BACKEND", "SENDING_RESPONSE"),
        ("SENDING_RESPONSE", "AWAITING_REQUEST"),
    ]


def test_a_deadline_is_dashed_and_a_fault_is_red() -> None:
    drawn = edges(to_dot(PICTURES["connection"]))
    (late,) = drawn["AWAITING_REQUEST", "LINGERING"]
    assert "style=dashed" in late
    assert f'color="{LAWFUL}80"' in late
    (fault,) = drawn["AWAITING_REQUEST", "SENDING_RESPONSE"]
    assert "style=solid" in fault
    assert f'color="{FAULT}80"' in fault
    both = drawn["QUERYING_BACKEND", "SENDING_RESPONSE"]
    assert any("style=dashed" in attributes and f'color="{FAULT}80"' in attributes for attributes in both)


def test_what_leads_aside_is_listed_in_its_state_under_where_it_leads() -> None:
    card = next(line for line in to_dot(PICTURES["connection"]).splitlines() if "  READING_HEAD [label" in line)
    words = re.findall(r">([^<>]+)<", card)
    assert words == [
        "READING_HEAD",
        "waits for readable · head 10 s",
        "to SENDING_RESPONSE",
        "HEAD_REFUSED / refuse",
        "DEADLINE_PASSED / refuse_late",
        "to CLOSED",
        "PEER_CLOSED",
        "PEER_RESET",
        "CLOSE_ORDERED / cut",
    ]


def test_a_row_back_to_its_own_state_is_listed_and_has_no_loop_of_an_arrow() -> None:
    dot = to_dot(PICTURES["listener"])
    assert "to PAUSED again" in dot
    assert ("PAUSED", "PAUSED") not in edges(dot)


def test_the_three_phrases_of_a_connection_are_tinted_groups() -> None:
    dot = to_dot(PICTURES["connection"])
    assert dot.count("subgraph cluster_") == 3
    assert all(phrase in dot for phrase in ("reading request", "querying backend", "sending response"))
    assert "subgraph" not in to_dot(PICTURES["process"])


def test_beginning_and_end_are_marked() -> None:
    for picture in PICTURES.values():
        dot = to_dot(picture)
        assert f"  start -> {picture.initial.name} [" in dot
        for final in picture.finals:
            assert re.search(rf'{final.name} \[label=<<TABLE BORDER="2"', dot)


def test_the_legend_explains_the_looks_that_occur_and_no_others() -> None:
    assert "something went wrong" in to_dot(PICTURES["connection"])
    assert "something went wrong" not in to_dot(PICTURES["wakeup"])


@each_picture
def test_every_text_sits_in_a_cell_of_fixed_size(picture: Picture) -> None:
    dot = to_dot(picture)
    texts = re.findall(r"<TD ([^>]*)>(?:<B>)?<FONT", dot)
    assert texts
    assert all('FIXEDSIZE="TRUE"' in attributes and "WIDTH=" in attributes for attributes in texts)
    assert len(texts) == dot.count("<FONT")
