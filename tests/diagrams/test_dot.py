"""The DOT text: what is bold, dashed, red, tinted and listed; and that Graphviz can read it."""

import re
from html import escape

import pygraphviz  # type: ignore[import-untyped]
import pytest

from clerestory.diagrams.dot import FAULT, to_dot
from clerestory.diagrams.picture import Look, Picture, picture_of
from clerestory.statemachines.tables import TABLES

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


def listed(picture: Picture, state: str) -> list[str]:
    """What is written in the card of a state."""
    card = next(line for line in to_dot(picture).splitlines() if f"  {state} [label" in line)
    return re.findall(r">([^<>]+)<", card)


@each_picture
def test_every_transition_is_an_arrow_with_its_text_or_listed_in_the_card_of_its_state(picture: Picture) -> None:
    drawn = edges(to_dot(picture))
    for arrow in picture.arrows:
        texts = "".join(drawn.get((arrow.source.name, arrow.dest.name), []))
        card = listed(picture, arrow.source.name)
        again = " again" if arrow.source is arrow.dest else ""
        for line in arrow.lines:
            words = " ".join(part for part in (line.trigger, line.condition()) if part)
            written = f"to {arrow.dest.name}{again}" in card and escape(words) in card
            assert written != (f">{line.trigger}<" in texts and f"{escape(line.condition())}" in texts)


@each_picture
def test_every_state_is_reached_by_a_line_and_none_is_drawn_that_does_not_exist(picture: Picture) -> None:
    drawn = edges(to_dot(picture))
    pairs = {(arrow.source.name, arrow.dest.name) for arrow in picture.arrows}
    assert {dest for _, dest in drawn} == {spec.state.name for spec in picture.specs}
    assert all(source == "start" or (source, dest) in pairs for source, dest in drawn)


@each_picture
def test_beside_the_usual_path_a_state_has_one_way_in_and_one_out_and_the_final_one_a_single_line(
    picture: Picture,
) -> None:
    bold = [arrow for arrow in picture.arrows if arrow.look is Look.HAPPY]
    usual = {state for arrow in bold for state in (arrow.source, arrow.dest)}
    drawn = edges(to_dot(picture))
    for state in (
        spec.state for spec in picture.specs if spec.state not in usual and spec.state is not picture.initial
    ):
        beside = {source for source, dest in drawn if dest == state.name and source in {one.name for one in usual}}
        assert len(beside) <= 1
    for final in picture.finals:
        ends = {arrow.source.name for arrow in bold if arrow.dest is final}
        lines = {source for source, dest in drawn if dest == final.name}
        assert lines == ends or (not ends and len(lines) == 1)


def test_the_usual_path_is_bold_and_nothing_else_is() -> None:
    drawn = edges(to_dot(PICTURES["connection"]))
    bold = [ends for ends, several in drawn.items() if any("penwidth=3.2" in attributes for attributes in several)]
    assert bold == [
        ("AWAITING_REQUEST", "QUERYING_BACKEND"),
        ("QUERYING_BACKEND", "SENDING_RESPONSE"),
        ("SENDING_RESPONSE", "AWAITING_REQUEST"),
    ]


def test_a_deadline_is_dashed_and_a_fault_is_red() -> None:
    card = next(line for line in to_dot(PICTURES["connection"]).splitlines() if "  AWAITING_REQUEST [label" in line)
    (fault,) = re.findall(r"<TR>((?:(?!<TR>).)*)HEAD_REFUSED", card)
    (late,) = re.findall(r"<TR>((?:(?!<TR>).)*)DEADLINE_PASSED", card)
    assert FAULT in fault
    assert FAULT not in late


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
        "HTTP2_CHOSEN",
    ]


def test_a_row_back_to_its_own_state_is_listed_and_has_no_loop_of_an_arrow() -> None:
    dot = to_dot(PICTURES["listener"])
    assert "to REFUSING again" in dot
    assert ("REFUSING", "REFUSING") not in edges(dot)


def test_the_three_phrases_of_a_connection_are_explained_tints() -> None:
    dot = to_dot(PICTURES["connection"])
    assert all(phrase in dot for phrase in ("reading request", "querying backend", "sending response"))
    tints = dict(re.findall(r'^  (\w+) \[label=<<TABLE [^>]*BGCOLOR="(#\w+)"', dot, re.MULTILINE))
    assert tints["READING_HEAD"] == tints["READING_BODY"] == tints["AWAITING_REQUEST"]
    assert len({tints[state] for state in ("READING_HEAD", "HALF_CLOSED", "PRODUCING", "LINGERING")}) == 4
    assert all(tint == "#ffffff" for tint in re.findall(r'BGCOLOR="(#f\w+)">', to_dot(PICTURES["process"])))


@each_picture
def test_what_stands_beside_the_usual_path_stands_in_one_column(picture: Picture) -> None:
    """At 900 pixels, as a README shows it, letters of 9.5 pt are 7 pixels high or higher."""
    graph = pygraphviz.AGraph(string=to_dot(picture))
    graph.layout("dot")
    assert float(graph.graph_attr["bb"].split(",")[2]) <= 1180


def test_where_the_usual_path_forks_only_its_first_way_is_bold() -> None:
    drawn = edges(to_dot(PICTURES["upstream"]))
    bold = {ends for ends, several in drawn.items() if any("penwidth=3.2" in attributes for attributes in several)}
    assert bold == {
        ("CONNECTING", "SENDING_REQUEST"),
        ("SENDING_REQUEST", "AWAITING_RESPONSE"),
        ("AWAITING_RESPONSE", "IDLE"),
        ("IDLE", "SENDING_REQUEST"),
    }


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
